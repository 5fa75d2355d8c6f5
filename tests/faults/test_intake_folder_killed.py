"""A process killed at every step it takes with a drop folder and the log: nothing is lost, nothing is doubled (P1)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.arrival.receipt import decode as decode_receipt
from schemas.event import decode
from schemas.log import EVENTS, QUARANTINE, RECEIPTS

ROOT = Path(__file__).parents[2]
STEPS_LEAST, STEPS_MOST = 30, 40
"""Bounds of how many steps there are: the last run gets through unharmed."""

CHILD = """
import asyncio, os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.intake.receive import Intake
from adapters.registry import Registry
from adapters.sources.folder import DropFolder
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.line_translator import SECRET, LineTranslator

RIVERSIDE = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)

folder, path, fatal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
steps = 0

def step():
    global steps
    steps += 1
    if steps == fatal:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, arguments):
    if event in ("open", "os.rename", "os.mkdir", "os.scandir", "os.remove") and str(arguments[0]).startswith(str(folder)):
        step()

class Stumbling(EmbeddedLog):
    async def append(self, records):
        step()
        positions = await super().append(records)
        step()
        return positions

async def main():
    log = Stumbling(path)
    intake = Intake(log, Registry({RIVERSIDE.id: LineTranslator()}), Pseudonyms(SECRET), lambda: datetime.now(UTC))
    await intake.open()
    door = DropFolder(intake, RIVERSIDE, folder, lambda: datetime.now(UTC), settle=timedelta(0))
    sys.addaudithook(watch)
    await door.look()
    step()
    await log.close()

asyncio.run(main())
"""

FILES = {"a.csv": b"good first\nbad second\n", "b.csv": b"refuse\n", "c.csv": b"".join(b"good %d\n" % n for n in range(1200))}
"""One taken in part, one refused whole, one long enough for several appends."""
SHELVES = {"a.csv": "done", "b.csv": "failed", "c.csv": "done"}
EVENTS_IN_ALL = 1201


def run(folder: Path, log: Path, fatal: int) -> int:
    """Let a process look into the folder once, and die at step ``fatal``; its exit status."""
    command = [sys.executable, "-c", CHILD, str(folder), str(log), str(fatal)]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


def where(folder: Path, name: str) -> list[str]:
    """The places where a file of that name is."""
    return [place for place in ("", "done", "failed") if (folder / place / name).exists()]


async def all_of(log: EmbeddedLog, topic: str) -> list[bytes]:
    ends = await log.ends(topic)
    return [record.value for partition, end in ends.items() for record in await log.read(topic, partition, 0, end + 1)]


async def contents(path: Path) -> tuple[list[str], list[str], int]:
    """Ids of the events and of the receipts in the log, and the number of records in quarantine."""
    log = EmbeddedLog(path)
    events = [decode(value).id for value in await all_of(log, EVENTS)]
    receipts = [decode_receipt(value).id for value in await all_of(log, RECEIPTS) if b'"part"' not in value]
    quarantined = len(await all_of(log, QUARANTINE))
    await log.close()
    return events, receipts, quarantined


def fall(tmp_path: Path, fatal: int) -> bool:
    """Die at one step and start again; whether it died."""
    folder, log = tmp_path / f"inbox-{fatal}", tmp_path / f"log-{fatal}.db"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    died = run(folder, log, fatal) == -9
    for name, content in FILES.items():
        [place] = where(folder, name)
        assert (folder / place / name).read_bytes() == content
        assert not place or (folder / place / f"{name}.receipt.json").exists()
    assert run(folder, log, 0) == 0

    for name, content in FILES.items():
        assert where(folder, name) == [SHELVES[name]]
        receipt = decode_receipt((folder / SHELVES[name] / f"{name}.receipt.json").read_bytes())
        assert receipt.size_bytes == len(content)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == sorted(
        name + end for name in FILES for end in ("", ".receipt.json")
    )
    events, receipts, quarantined = asyncio.run(contents(log))
    assert len(set(events)) == EVENTS_IN_ALL
    assert len(receipts) == len(set(receipts)) == len(FILES)
    # What was appended of a file before its receipt is appended again, under the same ids, and readers know it by them.
    assert len(events) <= EVENTS_IN_ALL + 1000
    assert quarantined == 2
    return died


@pytest.mark.parametrize("apart", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_a_crash_at_any_step_neither_loses_nor_doubles(apart: int, tmp_path: Path) -> None:
    steps = range(1, STEPS_MOST, apart)
    with ThreadPoolExecutor(2) as pool:
        died = list(pool.map(lambda fatal: fall(tmp_path, fatal), steps))
    assert died.count(True) * apart >= STEPS_LEAST
    assert died[-1] is False
