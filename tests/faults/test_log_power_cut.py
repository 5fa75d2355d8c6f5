"""Power cuts below the embedded log: whatever was acknowledged is there afterwards, byte for byte (promise P1).

The statements are production's own (`adapters.eventlog.embedded.append`), run by another build of SQLite on a disk that loses,
keeps or tears what was not synced. After each cut the files are opened by the real log on a real disk and compared with
what had been acknowledged; then the power goes on again.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from adapters.eventlog.embedded.append import FileAppender, entries_of
from adapters.eventlog.embedded.file import prepare
from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.eventlog.verify import verify
from schemas.errors import BackboneError
from schemas.log import NewRecord, Position
from tests.faults.cut_disk import CutDisk

pytestmark = pytest.mark.asyncio

TOPICS = ("events", "kept", "receipts")
PARTITIONS = 3
CUTS_IN_A_LIFE = 10
INDEX_EVERY = 20
"""Instead of thousands, so that many cuts fall into the transactions that fill the index."""
CHECKPOINT_EVERY = 5
"""Appends between two checkpoints, for the same reason."""
MOST_OPERATIONS = 250
"""Of the disk between two cuts: some twenty appends."""

Content = dict[tuple[str, int], list[tuple[str, bytes]]]
"""(topic, partition) → (key, value) by offset."""


class Outcome(NamedTuple):
    """What a run of cuts came to."""

    cuts: int
    acknowledged: int
    losses: list[str]


class Expected:
    """What must be in the log: every acknowledged call, and the one under way at the cut wholly or not at all."""

    def __init__(self) -> None:
        self.acknowledged: Content = defaultdict(list)
        self.under_way: list[NewRecord] = []
        self.count = 0

    def begin(self, records: list[NewRecord]) -> None:
        self.under_way = records

    def acknowledge(self, positions: list[Position]) -> None:
        for record, (topic, partition, offset) in zip(self.under_way, positions, strict=True):
            here = self.acknowledged[topic, partition]
            assert offset == len(here)
            here.append((record.key, record.value))
        self.under_way = []
        self.count += 1

    def compare(self, found: Content) -> None:
        """Settle what became of the call under way. Raises ``AssertionError``."""
        if self.under_way and _without(self.acknowledged) != _without(found):
            for entry in entries_of(self.under_way, PARTITIONS):
                self.acknowledged[entry.topic, entry.partition].append((entry.key.decode(), entry.value))
        self.under_way = []
        assert _without(found) == _without(self.acknowledged), "what is in the log is not what was acknowledged"


def _without(content: Content) -> Content:
    return {place: entries for place, entries in content.items() if entries}


def calls(chance: random.Random) -> Iterator[list[NewRecord]]:
    """Calls as intake makes them, of all sizes: within a page, over several, empty."""
    number = 0
    while True:
        number += 1
        size = chance.choice((0, 40, 600, 2000, 9000, 40_000))
        events = [NewRecord("events", f"key-{chance.randrange(9)}", b"%d " % number + chance.randbytes(size))] * chance.randint(
            1, 3
        )
        kept = [NewRecord("kept", f"key-{number}", chance.randbytes(200))] * chance.randint(0, 1)
        yield [*events, *kept, NewRecord("receipts", f"key-{number}", b"receipt %d" % number)]


class Life:
    """A log on a disk whose power is cut again and again."""

    def __init__(self, seed: int, folder: Path, settings: tuple[str, ...]) -> None:
        self.chance = random.Random(seed)
        self.calls = calls(self.chance)
        self.expected = Expected()
        self.folder, self._settings = folder, settings
        self._disk = CutDisk(f"cut-{seed}", self.chance)
        self._looks = 0

    def until_the_next_cut(self) -> None:
        """Open the log, append until the power fails, and let the disk lose what it will."""
        self._disk.switch_on(self.chance.randrange(MOST_OPERATIONS))
        connection: apsw.Connection | None = None
        with suppress(apsw.Error):
            connection = apsw.Connection("log.db", vfs=self._disk.name)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # this disk has no memory for processes to share
            prepare(connection, PARTITIONS)
            for setting in self._settings:
                connection.execute(setting)
            self._append(FileAppender(connection, PARTITIONS, INDEX_EVERY))
        self._disk.cut()
        if connection is not None:
            with suppress(apsw.Error):
                connection.close(True)

    def _append(self, appender: FileAppender) -> None:
        for number, call in enumerate(self.calls):
            self.expected.begin(call)
            self.expected.acknowledge(appender.append(entries_of(call, PARTITIONS), 1_000_000 + number))
            if number % CHECKPOINT_EVERY == 0:
                appender.checkpoint()

    async def look(self) -> None:
        """Open what the cut left by the real log and compare. Raises ``AssertionError`` or our own errors."""
        self._looks += 1
        folder = self.folder / f"look-{self._looks}"
        folder.mkdir(parents=True)
        self._disk.save(folder)
        log = EmbeddedLog(folder / "log.db", PARTITIONS)
        try:
            found: Content = {}
            for topic in TOPICS:
                report = await verify(log, topic)
                assert report.sound, report.findings
                for partition, count in report.partitions.items():
                    records = await log.read(topic, partition, 0, 10_000)
                    while len(records) < count.end:
                        records = [*records, *await log.read(topic, partition, len(records), 10_000)]
                    found[topic, partition] = [(record.key, record.value) for record in records]
        finally:
            await log.close()
        with closing(sqlite3.connect(folder / "log.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        self.expected.compare(found)
        if self.chance.random() < 0.5:  # go on with what the real log made of it; else with what the cut left
            self._disk.load(folder)


async def cut_again_and_again(cuts: int, folder: Path, settings: tuple[str, ...] = ()) -> Outcome:
    """``cuts`` power cuts, ten to a log; a log that lost something is left."""
    done = acknowledged = 0
    losses: list[str] = []
    while done < cuts:
        life = Life(done, folder / f"life-{done}", settings)
        for _ in range(CUTS_IN_A_LIFE):
            life.until_the_next_cut()
            done += 1
            try:
                await life.look()
            except (AssertionError, BackboneError, sqlite3.Error) as error:
                losses.append(f"cut {done}: {type(error).__name__}")
                break
        acknowledged += life.expected.count
        shutil.rmtree(life.folder)
    return Outcome(done, acknowledged, losses)


@pytest.mark.parametrize("cuts", [60, pytest.param(2000, marks=pytest.mark.soak)])
async def test_no_acknowledged_append_is_lost_in_power_cuts(cuts: int, tmp_path: Path) -> None:
    outcome = await cut_again_and_again(cuts, tmp_path)
    print(f"{outcome.cuts} power cuts, {outcome.acknowledged} acknowledged appends, {len(outcome.losses)} losses")
    assert outcome.acknowledged > cuts  # or nothing was put to the test
    assert outcome.losses == []


@pytest.mark.parametrize("setting", ["PRAGMA synchronous = NORMAL", "PRAGMA synchronous = OFF"])
async def test_the_simulated_cuts_do_lose_appends_that_were_not_synced(setting: str, tmp_path: Path) -> None:
    """What the test above is worth: with settings that skip the sync, the same cuts lose acknowledged appends."""
    outcome = await cut_again_and_again(60, tmp_path, (setting,))
    print(f"{setting}: {outcome.cuts} power cuts, {outcome.acknowledged} acknowledged appends, {len(outcome.losses)} losses")
    assert len(outcome.losses) > 10
