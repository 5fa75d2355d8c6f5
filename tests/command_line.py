"""The real command in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

BACKBONE = Path(sys.executable).with_name("backbone")
DEADLINE_S = 120
"""For one command, or for a server to be ready or gone. Far more than it takes: a slow machine is no failure."""
HOSPITAL = """
[[source]]
id = "northfield-pas"
name = "Northfield Hospital"
sector = "nhs"
reads = "hl7v2"
doors = ["mllp", "http"]
match = { sending_application = "PAS" }
"""
"""A source as settings declare it: a hospital over MLLP and HTTP."""


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


class Backbone:
    """The command, run in ``folder`` without any setting from the environment but ``environment``.

    A server is one process unless that says otherwise: those of ``tests/journeys`` are several.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BACKBONE_")}
        self._environment = {**inherited, "BACKBONE_PROCESSES": "1", **(environment or {})}

    def settings(self, text: str) -> None:
        """Write ``backbone.toml``."""
        (self.folder / "backbone.toml").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """What is run."""
        return [str(BACKBONE), *arguments]

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        """Run one command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin one command; its output is piped."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def serving(self, *arguments: str) -> Iterator[Server]:
        """A server on free ports, ready; stopped at the end."""
        process = self.start("serve", "--json", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0", *arguments)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                _, err = process.communicate(timeout=DEADLINE_S)
                raise AssertionError(f"the server did not start: {err.decode()}")
            yield Server(process, json.loads(line))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=DEADLINE_S)
            process.kill()
            process.communicate()


class Server:
    """A server that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], ready: Mapping[str, Any]) -> None:
        self.process = process
        self.ready = ready

    def where(self, door: str) -> str:
        """What was printed of a door."""
        return next(one["where"] for one in self.ready["open"] if one["door"] == door)

    @property
    def http(self) -> str:
        """``http://127.0.0.1:12345``."""
        return self.where("http")

    @property
    def mllp(self) -> tuple[str, int]:
        """Host and port."""
        host, port = re.fullmatch(r"(.+):(\d+)", self.where("mllp")).groups()  # type: ignore[union-attr] # printed by the server
        return host, int(port)

    def stop(self, number: int = signal.SIGTERM) -> Outcome:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return Outcome(self.process.returncode, out.decode(), err.decode())
