"""A projection made anew from the log, beside the live one, on every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import inspect

from consumers.people.project import PeopleProjection
from consumers.projection import Projection
from consumers.rebuild import rebuild
from consumers.runner import Runner
from consumers.store.database import Database
from consumers.store.parked import park, parked
from consumers.store.positions import claim, positions
from consumers.store.tables import METADATA, TIMELINE
from consumers.timeline.project import TimelineProjection
from schemas.errors import StoreUnavailable
from schemas.event import encode
from schemas.log import EVENTS, NewRecord
from tests.consumers.build import PSEUDONYMS, SOURCES, said, stay
from tests.consumers.histories import everything
from tests.memory_log import MemoryLog
from tests.patience import until
from tests.stores import rows

pytestmark = pytest.mark.asyncio


def clock() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


async def history() -> MemoryLog:
    log = MemoryLog()
    await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in everything()])
    return log


async def live(projection: Projection, log: MemoryLog, store: Database) -> Any:
    """The rows of the projection once its runner has applied everything."""
    stop = asyncio.Event()
    task = asyncio.create_task(Runner([projection], log, store, "live", clock).run(stop))
    await until(lambda: as_far(projection.name, log, store))
    stop.set()
    await task
    return await rows(store, *projection.tables)


async def as_far(name: str, log: MemoryLog, store: Database) -> bool:
    found = await positions(store, name)
    return all(found.get((EVENTS, partition), 0) == end for partition, end in (await log.ends(EVENTS)).items())


PROJECTIONS = [TimelineProjection(SOURCES), PeopleProjection(PSEUDONYMS)]


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda one: one.name)
async def test_a_rebuild_gives_the_same_rows_twice(store: Database, projection: Projection) -> None:
    log = await history()
    expected = await live(projection, log, store)
    told: list[int] = []
    for _ in range(2):
        assert await rebuild(projection, log, store, clock, told.append) == len(log.all(EVENTS))
        assert await rows(store, *projection.tables) == expected
    assert told and told[-1] == len(log.all(EVENTS))


async def test_a_rebuild_mends_what_was_broken(store: Database) -> None:
    projection, log = TimelineProjection(SOURCES), await history()
    expected = await live(projection, log, store)
    async with store.writing() as connection:
        await connection.execute(TIMELINE.version.delete())
        await park(connection, "timeline", log.all(EVENTS)[0], "ValueError", "somewhere", clock())
    await rebuild(projection, log, store, clock)
    assert await rows(store, *projection.tables) == expected
    assert await parked(store, "timeline") == []


async def test_the_live_projection_goes_on_from_where_the_rebuilt_one_is(store: Database) -> None:
    projection, log = TimelineProjection(SOURCES), await history()
    stop = asyncio.Event()
    task = asyncio.create_task(Runner([projection], log, store, "live", clock).run(stop))
    for round_ in range(5):
        events = [said("contact-made-1", f"{round_} {n}", n, local_id=f"L{n}", focus=stay()) for n in range(20)]
        await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in events])
        await rebuild(projection, log, store, clock)
    await until(lambda: as_far("timeline", log, store))
    stop.set()
    await task
    found = await rows(store, TIMELINE.version)
    assert len(found["timeline_version"]) == len({event.value for event in log.all(EVENTS)})


async def test_a_rebuild_without_a_live_projection_leaves_positions_to_go_on_from(store: Database) -> None:
    log = await history()
    await rebuild(TimelineProjection(SOURCES), log, store, clock)
    ends = await log.ends(EVENTS)
    assert await claim(store, "timeline", "later", EVENTS, dict.fromkeys(ends, 0)) == ends


async def test_a_rebuild_that_is_given_up_leaves_the_live_projection_as_it_was(store: Database) -> None:
    projection, log = TimelineProjection(SOURCES), await history()
    expected = await live(projection, log, store)

    def give_up(applied: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuild(projection, log, store, clock, give_up)
    assert await rows(store, *projection.tables) == expected
    await rebuild(projection, log, store, clock)
    assert await rows(store, *projection.tables) == expected


async def test_after_a_rebuild_the_tables_and_indexes_are_called_as_before(store: Database) -> None:
    log = await history()

    def described(connection: Any) -> Any:
        found = inspect(connection)
        names = sorted(found.get_table_names())
        return {name: sorted(str(one["name"]) for one in found.get_indexes(name)) for name in names}

    async with store.reading() as connection:
        before = await connection.run_sync(described)
    assert set(before) == set(METADATA.tables)
    await rebuild(TimelineProjection(SOURCES), log, store, clock)
    async with store.reading() as connection:
        assert await connection.run_sync(described) == before


async def test_a_rebuild_while_the_log_is_away_leaves_everything_alone(store: Database) -> None:
    projection, log = TimelineProjection(SOURCES), await history()
    expected = await live(projection, log, store)

    class Away(MemoryLog):
        async def read(self, *asked: Any) -> Any:
            raise StoreUnavailable

        async def ends(self, topic: str) -> Any:
            return await log.ends(topic)

    with pytest.raises(StoreUnavailable):
        await rebuild(projection, Away(), store, clock)
    assert await rows(store, *projection.tables) == expected
