"""``python -m deploy.local``: starts the production shape, shows that it is healthy, and stops it on Ctrl-C or SIGTERM.

Exit status 0 when everything ended cleanly, 1 when a process did not, 3 when an engine did not start.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.local.kafka import STEADY_JVM
from deploy.local.production import Production

HTTP, MLLP = 8080, 2575
"""Where the demo and the documentation look."""
LOOKED_AT_EVERY_S = 1.0
"""How often it is seen whether everything still runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    asked = _parser().parse_args(arguments)
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="backbone-production-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own when this runs as root
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    shape = Production(folder.resolve(), brokers=asked.brokers, jvm=STEADY_JVM)
    shape.of("gateway").http, shape.of("intake").mllp = asked.http, asked.mllp
    status = _run(shape, stopping, once=asked.once)
    print(f"Stopping; what was taken in stays in {folder}." if asked.folder else "Stopping.", flush=True)
    failed = shape.stop()
    if not asked.folder:
        shape.remove()
    if failed:
        print(f"Did not end cleanly: {', '.join(failed)}.", file=sys.stderr)
    return status or bool(failed)


def _run(shape: Production, stopping: threading.Event, *, once: bool) -> int:
    try:
        shape.start()
    except (TimeoutError, OSError) as error:
        print(error, file=sys.stderr)
        return 3
    print(*_shown(shape), sep="\n", flush=True)
    if once:
        return 0
    print("Ctrl-C stops.", flush=True)
    while not stopping.wait(LOOKED_AT_EVERY_S):
        ended = [process.name for process in shape.processes if not process.running]
        if ended:
            print(f"Ended by themselves: {', '.join(ended)}. Their logs are in {shape.folder / 'backbone'}.", file=sys.stderr)
            return 1
    return 0


def _shown(shape: Production) -> list[str]:
    """Where everything is, and how it is."""
    lines = [f"{'kafka-' + str(node.id):<14}127.0.0.1:{node.port}" for node in shape.kafka.members]
    lines.append(f"{'postgresql':<14}127.0.0.1:{shape.postgres.port}")
    for process in shape.processes:
        health = process.asked("/health/ready") or {"status": "not ready"}
        lines.append(f"{process.name:<14}health http://127.0.0.1:{process.health}: {health['status']}")
    lines.append(f"{'http':<14}http://127.0.0.1:{shape.of('gateway').http}")
    lines.append(f"{'mllp':<14}127.0.0.1:{shape.of('intake').mllp}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The production shape on this machine.")
    parser.add_argument("--folder", type=Path, help="where everything is kept; a temporary one, removed at the end, by default")
    parser.add_argument("--brokers", type=int, default=3, choices=range(1, 10), metavar="N", help="Kafka brokers (3)")
    parser.add_argument("--http", type=int, default=HTTP, metavar="PORT", help=f"of the gateway ({HTTP})")
    parser.add_argument("--mllp", type=int, default=MLLP, metavar="PORT", help=f"of the intake ({MLLP})")
    parser.add_argument("--once", action="store_true", help="stop after showing that everything is healthy")
    return parser


if __name__ == "__main__":
    sys.exit(main())
