"""Projections killed between writing and committing, or frozen while another takes over: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.eventlog.connect import connect
from consumers.database.database import Database
from consumers.database.engines import BUSY_TIMEOUT
from consumers.following.rebuild import rebuild
from consumers.models import METADATA
from consumers.people.project import PeopleProjection
from consumers.people.tables import PEOPLE_TABLES
from consumers.timeline.project import TimelineProjection
from consumers.timeline.tables import TIMELINE_TABLES
from schemas.event import Event, encode
from schemas.log import EVENTS, NewRecord, Record
from tests.consumers.build import ANN, PSEUDONYMS, SOURCES, said, stay
from tests.consumers.histories import everything
from tests.faults.projection_child import PARTITIONS
from tests.patience import until
from tests.stores import empty_database, positions, rows

ROOT = Path(__file__).parents[2]
TABLES = (*TIMELINE_TABLES, *PEOPLE_TABLES)

pytestmark = pytest.mark.asyncio


def history(count: int) -> list[Event]:
    """The history with everything in it, among ``count`` plain events."""
    plain = [
        said("contact-made-1", f"contact {n}", n, local_id=f"L{n % 97}", number=ANN if n % 97 < 3 else None, focus=stay())
        for n in range(count)
    ]
    hard = everything()
    step = max(1, count // len(hard))
    for place, event in enumerate(hard):
        plain.insert(place * (step + 1), event)
    return plain


class Scene:
    """A log with a history in it, a store, and processes that project the one into the other."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.log_url, self.store_url = f"sqlite:///{folder / 'log.db'}", store_url

    async def prepare(self, events: Sequence[Event]) -> None:
        log = await connect(self.log_url, partitions=PARTITIONS)
        await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in events])
        await log.close()
        database = Database.connect(self.store_url)
        async with database.writing() as connection:
            await connection.run_sync(METADATA.create_all)
        await database.close()

    async def child(self, owner: str) -> asyncio.subprocess.Process:
        arguments = ("-m", "tests.faults.projection_child", self.log_url, self.store_url, owner)
        return await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)

    async def finished(self) -> None:
        """Wait until every event is applied."""
        log, database = await connect(self.log_url, partitions=PARTITIONS), Database.connect(self.store_url)
        try:
            ends = await log.ends(EVENTS)
            await until(lambda: self._is_finished(database, ends))
        finally:
            await log.close()
            await database.close()

    @staticmethod
    async def _is_finished(database: Database, ends: Any) -> bool:
        found = [await positions(database, name) for name in ("timeline", "people")]
        return all(one.get((EVENTS, partition), 0) == end for one in found for partition, end in ends.items())

    async def rows(self) -> Any:
        database = Database.connect(self.store_url)
        found = await rows(database, *TABLES)
        await database.close()
        return found

    async def expected(self, folder: Path) -> Any:
        """The rows that a projection without any fault makes of the same log."""
        log, database = (
            await connect(self.log_url, partitions=PARTITIONS),
            Database.connect(f"sqlite:///{folder / 'expected.db'}"),
        )
        ends = await log.ends(EVENTS)
        records: list[Record] = []
        for partition, end in ends.items():
            position = 0
            while position < end:
                records += await log.read(EVENTS, partition, position, end)
                position = records[-1].offset + 1
        async with database.writing() as connection:
            await connection.run_sync(METADATA.create_all)
            await TimelineProjection(SOURCES).apply(records, connection)
            await PeopleProjection(PSEUDONYMS).apply(records, connection)
        found = await rows(database, *TABLES)
        await database.close()
        await log.close()
        return found


@asynccontextmanager
async def ended(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, killed at the end."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def announced(process: asyncio.subprocess.Process, times: int, within_s: float = 30) -> int:
    """Wait until the process has written so often, or does not for so long; how often it has."""
    assert process.stdout is not None
    for seen in range(times):
        try:
            line = await asyncio.wait_for(process.stdout.readline(), within_s)
        except TimeoutError:
            return seen
        if not line:
            return seen
    return times


async def kill_again_and_again(folder: Path, store_url: str, kills: int, count: int, seed: int) -> None:
    chance = random.Random(seed)
    scene = Scene(folder, store_url)
    await scene.prepare(history(count))
    killed = 0
    while killed < kills:
        async with ended(await scene.child(f"owner {killed}")) as process:
            if not await announced(process, chance.randint(1, 4)):
                break  # nothing is left to apply
            process.kill()
            killed += 1
    assert killed >= kills // 2, "the history is too short for so many kills"
    async with ended(await scene.child("the last")):
        await scene.finished()
    assert await scene.rows() == await scene.expected(folder)


async def test_killed_between_writing_and_committing(tmp_path: Path) -> None:
    await kill_again_and_again(tmp_path, f"sqlite:///{tmp_path / 'store.db'}", kills=12, count=900, seed=1)


@pytest.mark.engine
async def test_killed_between_writing_and_committing_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    await kill_again_and_again(tmp_path, empty_database(postgres_url), kills=6, count=500, seed=2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
async def test_killed_two_hundred_times(tmp_path: Path, seed: int) -> None:
    await kill_again_and_again(tmp_path, f"sqlite:///{tmp_path / 'store.db'}", kills=200, count=30_000, seed=seed)


async def freeze_and_thaw(folder: Path, store_url: str, freezes: Sequence[float], count: int, seed: int) -> None:
    """Two owners that do not know of each other, one of them frozen now and then in the middle of a transaction.

    It stays frozen until the other has written a few times, or has not for so many seconds: the freezes.
    """
    chance = random.Random(seed)
    scene = Scene(folder, store_url)
    await scene.prepare(history(count))
    async with ended(await scene.child("zombie")) as zombie, ended(await scene.child("other")) as other:
        for within_s in freezes:
            assert await announced(zombie, chance.randint(1, 3)), "the history is too short for so many freezes"
            zombie.send_signal(signal.SIGSTOP)
            await announced(other, chance.randint(1, 6), within_s)
            zombie.send_signal(signal.SIGCONT)
        await scene.finished()
    assert await scene.rows() == await scene.expected(folder)


async def test_two_owners_that_do_not_know_of_each_other(tmp_path: Path) -> None:
    # A process frozen in a transaction keeps SQLite's only write lock, and the other can but wait: once for longer than it
    # waits at a stretch (`BUSY_TIMEOUT`), else not for long.
    freezes = [BUSY_TIMEOUT.total_seconds() + 1, *[0.3] * 7]
    await freeze_and_thaw(tmp_path, f"sqlite:///{tmp_path / 'store.db'}", freezes, count=1500, seed=3)


@pytest.mark.engine
async def test_a_zombie_is_fenced_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    await freeze_and_thaw(tmp_path, empty_database(postgres_url), [30] * 5, count=1000, seed=4)


@pytest.mark.engine
async def test_two_owners_of_the_same_partitions_both_get_on(tmp_path: Path, postgres_url: str) -> None:
    await freeze_and_thaw(tmp_path, empty_database(postgres_url), [], count=300, seed=5)


@pytest.mark.engine
async def test_rebuilds_beside_two_processes_end_in_the_same_people_and_rows(tmp_path: Path, postgres_url: str) -> None:
    scene = Scene(tmp_path, empty_database(postgres_url))
    await scene.prepare(history(400))
    log, database = await connect(scene.log_url, partitions=PARTITIONS), Database.connect(scene.store_url)
    async with ended(await scene.child("one")) as one, ended(await scene.child("other")):
        await announced(one, 2)
        for projection in (PeopleProjection(PSEUDONYMS), TimelineProjection(SOURCES), PeopleProjection(PSEUDONYMS)):
            await rebuild(projection, log, database, lambda: datetime.now(UTC))
        await scene.finished()
    await database.close()
    await log.close()
    assert await scene.rows() == await scene.expected(tmp_path)
