"""A projection made anew from the log, beside the live one, on every store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import inspect

from consumers.database.database import Database
from consumers.following.projecting import projecting
from consumers.following.rebuild import rebuild
from consumers.following.runner import BATCH
from consumers.models import METADATA
from consumers.people.project import PeopleProjection
from consumers.projection import Projection
from consumers.store.parked import park, parked
from consumers.store.positions import claim
from consumers.store.tables import CHANGE
from consumers.timeline.feed import ChangeFeed
from consumers.timeline.project import TimelineProjection
from consumers.timeline.query import TimelineQuery
from consumers.timeline.tables import TIMELINE_TABLES
from schemas.errors import StoreUnavailable
from schemas.event import encode
from schemas.log import EVENTS, NewRecord
from schemas.timeline import Question
from tests.consumers.build import ANN, PSEUDONYMS, SOURCES, said, stay
from tests.consumers.histories import everything
from tests.memory_log import MemoryLog
from tests.patience import until
from tests.stores import positions, rows

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
    task = asyncio.create_task(projecting([projection], log, store, "live", clock).run(stop))
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
        await connection.execute(TIMELINE_TABLES.version.delete())
        await park(connection, "timeline", log.all(EVENTS)[0], "ValueError", "somewhere", clock())
    await rebuild(projection, log, store, clock)
    assert await rows(store, *projection.tables) == expected
    assert await parked(store, "timeline") == []


async def test_the_live_projection_goes_on_from_where_the_rebuilt_one_is(store: Database) -> None:
    projection, log = TimelineProjection(SOURCES), await history()
    stop = asyncio.Event()
    task = asyncio.create_task(projecting([projection], log, store, "live", clock).run(stop))
    for round_ in range(5):
        events = [said("contact-made-1", f"{round_} {n}", n, local_id=f"L{n}", focus=stay()) for n in range(20)]
        await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in events])
        await rebuild(projection, log, store, clock)
    await until(lambda: as_far("timeline", log, store))
    stop.set()
    await task
    found = await rows(store, TIMELINE_TABLES.version)
    assert len(found["timeline_version"]) == len({event.value for event in log.all(EVENTS)})


async def test_a_rebuild_without_a_live_projection_leaves_positions_to_go_on_from(store: Database) -> None:
    log = await history()
    await rebuild(TimelineProjection(SOURCES), log, store, clock)
    ends = await log.ends(EVENTS)
    claimed = await claim(store, "timeline", "later", EVENTS, dict.fromkeys(ends, 0))
    assert {partition: reached.next for partition, reached in claimed.items()} == ends


class Steady(MemoryLog):
    """So many events come whenever a rebuild has read all there is, and the live projection applies them at once."""

    def __init__(self, log: MemoryLog, store: Database, come: int, poison: bool = False) -> None:
        super().__init__()
        self._topics = log._topics
        self.log, self.store, self.come, self.poison = log, store, come, poison
        self.rounds = 0
        self.live: dict[tuple[str, int], int] = {}

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Any:
        found = await super().read(topic, partition, start, limit)
        at_end = found and found[-1].offset + 1 == (await self.ends(topic))[partition]
        if at_end and limit == BATCH and partition == await self._where():
            self.rounds += 1
            await self.log.append([new(f"{self.rounds} {n}", n) for n in range(self.come)])
            if self.poison and self.rounds == 1:
                await self.log.append([new(POISON, 1)])
            await until(lambda: as_far("timeline", self.log, self.store))
            self.live = dict(await positions(self.store, "timeline"))
        return found

    async def _where(self) -> int:
        """The partition of all that comes."""
        (position,) = await MemoryLog().append([new("", 1)])
        return position.partition


POISON = "nobody can apply it"


def new(name: str, day: int) -> NewRecord:
    event = said("contact-made-1", name, day % 28, local_id="L1", focus=stay())
    return NewRecord(EVENTS, event.partitionkey, encode(event))


class Stumbling(TimelineProjection):
    """It cannot apply one event."""

    def onto(self, tables: Any) -> TimelineProjection:
        return Stumbling(SOURCES, tables)

    async def apply(self, records: Any, connection: Any) -> None:
        poisoned = new(POISON, 1).value
        if any(record.value == poisoned for record in records):
            raise ValueError
        await super().apply(records, connection)


@pytest.mark.parametrize(("poison", "rounds"), [(False, 1), (True, 2)])
async def test_under_steady_load_a_rebuild_is_swapped_as_soon_as_little_is_left_and_nobody_sees_it_go_back(
    store: Database, poison: bool, rounds: int
) -> None:
    projection, plain = Stumbling(SOURCES), await history()
    await plain.append([new("the first", 1)])
    await live(projection, plain, store)
    log = Steady(plain, store, come=30, poison=poison)
    stop = asyncio.Event()
    task = asyncio.create_task(projecting([projection], plain, store, "live", clock).run(stop))
    applied = await rebuild(projection, log, store, clock)
    after = await positions(store, "timeline")
    assert log.rounds == rounds
    assert all(after[place] >= position for place, position in log.live.items())
    assert applied == sum(log.live.values())
    assert [one.code for one in await parked(store, "timeline")] == ["ValueError"] * poison
    stop.set()
    await task
    assert await rows(store, *projection.tables) == await anew(projection, plain, store)


async def anew(projection: Projection, log: MemoryLog, store: Database) -> Any:
    """The rows of a rebuild when nothing else goes on."""
    await rebuild(projection, log, store, clock)
    return await rows(store, *projection.tables)


async def test_a_rebuild_that_cannot_get_near_is_swapped_as_it_is_in_the_end(store: Database) -> None:
    projection, plain = TimelineProjection(SOURCES), await history()
    await plain.append([new("the first", 1)])
    await live(projection, plain, store)
    log = Steady(plain, store, come=30)
    stop = asyncio.Event()
    task = asyncio.create_task(projecting([projection], plain, store, "live", clock).run(stop))
    await rebuild(projection, log, store, clock, tries=3, rest=29)
    assert log.rounds == 3
    await plain.append([new("the last", 1)])  # the live runner finds out with the next event
    await until(lambda: as_far("timeline", plain, store))
    stop.set()
    await task


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


async def test_a_rebuild_has_everybody_looked_at_once_and_tells_nothing_again(store: Database) -> None:
    people, timeline, log = PeopleProjection(PSEUDONYMS), TimelineProjection(SOURCES), await history()
    await live(people, log, store)
    await live(timeline, log, store)
    feed, query = ChangeFeed(store), TimelineQuery(store)
    asked = Question(person=PSEUDONYMS.person_by_number(ANN))
    seen = await query.changes(asked)
    assert seen.known
    assert await feed.changed() is None
    before = (await rows(store, CHANGE))["change"]
    for projection in (people, timeline):
        await rebuild(projection, log, store, clock)
        assert await feed.changed() is None
        assert await feed.changed() == frozenset()
    added = [row[2] for row in (await rows(store, CHANGE))["change"] if row not in before]
    assert added == ["rebuilt", "rebuilt"]
    again = await query.changes(Question(person=asked.person, after=seen.after), seen.known)
    assert not again.entries
    assert not again.gone
