"""A small disk that the log fills to the last byte: refused appends are told, acknowledged ones stay, and room mends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILL = """
import asyncio, sys
from pathlib import Path
from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.eventlog.verify import verify
from schemas.errors import LogUnavailable
from schemas.log import NewRecord

async def fill(log, name):
    acknowledged, refused = 0, 0
    while refused < 20:
        try:
            await log.append([NewRecord("events", f"{name}-{acknowledged}", bytes(50_000)), NewRecord("receipts", name, b"r")])
            acknowledged += 1
        except LogUnavailable as error:
            assert "disk" in error.message, error
            refused += 1
    return acknowledged

async def main(folder):
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    log = EmbeddedLog(folder / "log.db")
    first = await fill(log, "first")
    assert sum((await log.ends("events")).values()) == first  # read while the disk is full
    ballast.unlink()
    second = await fill(log, "second")
    await log.close()
    log = EmbeddedLog(folder / "log.db")
    events, receipts = await verify(log, "events"), await verify(log, "receipts")
    await log.close()
    print(first, second, events.records, receipts.records, events.counts["broken"], receipts.counts["gap"])

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_log_that_fills_its_disk_loses_nothing_and_works_on_once_there_is_room(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=8m none {tmp_path} || exit 77; exec {sys.executable} -c "$0" {tmp_path}'
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, FILL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small disk")
    assert done.returncode == 0, done.stderr
    first, second, events, receipts, broken, gaps = (int(number) for number in done.stdout.split())
    assert first > 20
    assert second > 10  # what the ballast left room for
    assert (events, receipts, broken, gaps) == (first + second, first + second, 0, 0)
