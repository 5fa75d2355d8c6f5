"""The loop of every projection: what it applies, what it parks, whose it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.following.lag import behind
from consumers.following.projecting import projecting
from consumers.following.recognise import Recogniser
from consumers.following.retry import Retried, retry
from consumers.following.runner import Runner
from consumers.people.project import PeopleProjection
from consumers.people.tables import PEOPLE_TABLES
from consumers.projection import Projection
from consumers.store.parked import counts, parked
from consumers.store.positions import ReachedPosition, Step, advance, claim
from consumers.timeline.project import TimelineProjection
from consumers.timeline.tables import TIMELINE_TABLES, TimelineTables
from schemas.errors import LogMismatch, PositionLost, StoreUnavailable
from schemas.event import Event, encode
from schemas.log import EVENTS, NewRecord, Record
from tests.consumers.build import PSEUDONYMS, SOURCES, said, stay
from tests.memory_log import MemoryLog
from tests.patience import PATIENCE_S, until
from tests.stores import positions, rows

pytestmark = pytest.mark.asyncio


def clock() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


def contacts(count: int, start: int = 0) -> list[Event]:
    return [said("contact-made-1", f"c{n}", n, local_id=f"L{n % 7}", focus=stay()) for n in range(start, start + count)]


async def append(log: MemoryLog, events: Sequence[Event]) -> None:
    await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in events])


async def count(store: Database) -> int:
    found: int = (await store.fetch("SELECT count(*) FROM timeline_version", ()))[0][0]
    return found


@asynccontextmanager
async def running(runner: Runner) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


async def applied_all(log: MemoryLog, store: Database, projection: str = "timeline") -> bool:
    found = await positions(store, projection)
    return all(found.get((EVENTS, partition), 0) == end for partition, end in (await log.ends(EVENTS)).items())


class Failing:
    """The timeline, with records it cannot apply and trouble of the engines now and then."""

    name = "timeline"
    topics = (EVENTS,)

    def __init__(self, poison: set[bytes], troubles: list[Exception] | None = None) -> None:
        self._inner = TimelineProjection(SOURCES)
        self.tables: TimelineTables = TIMELINE_TABLES
        self.poison, self.troubles = poison, troubles or []
        self.sizes: list[int] = []

    def onto(self, tables: Any) -> Failing:
        raise NotImplementedError

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        self.sizes.append(len(records))
        await self._inner.apply(records, connection)
        if self.troubles:
            raise self.troubles.pop(0)
        if any(record.value in self.poison for record in records):
            raise ValueError("9990000018 Okafor")


async def test_what_the_log_holds_and_what_comes_is_applied(file_store: Database) -> None:
    log = MemoryLog()
    await append(log, contacts(50))
    async with running(projecting([TimelineProjection(SOURCES)], log, file_store, "me", clock)):
        await until(lambda: applied_all(log, file_store))
        await append(log, contacts(3, start=50))
        await until(lambda: applied_all(log, file_store))
    assert await count(file_store) == 53
    assert (await behind(log, file_store))["timeline"][:2] == (0, 0.0)
    people = (await behind(log, file_store))["people"]
    assert people.events == 53
    assert {number: waiting.events for number, waiting in people.partitions.items()} == await log.ends(EVENTS)
    assert people.seconds == pytest.approx(max(waiting.seconds for waiting in people.partitions.values()))


class Watching:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done: list[Record] = []

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        assert seconds >= 0
        self.done += records


class Counting:
    """A handler with positions of its own, elsewhere than in the store."""

    topics = (EVENTS,)

    def __init__(self) -> None:
        self.next: dict[int, int] = {}
        self.handled: list[bytes] = []
        self.claims = 0

    async def claim(self, topic: str, starts: Mapping[int, int]) -> Mapping[str, Mapping[int, int]]:
        self.claims += 1
        return {"counting": {partition: self.next.get(partition, start) for partition, start in starts.items()}}

    async def apply(self, records: Sequence[Record]) -> Sequence[Record]:
        fresh = [record for record in records if record.offset >= self.next.get(record.partition, 0)]
        self.handled += [record.value for record in fresh]
        self.next |= {record.partition: record.offset + 1 for record in fresh}
        return fresh


async def test_a_group_of_its_own_handles_the_same_log_with_positions_of_its_own(file_store: Database) -> None:
    log, counting = MemoryLog(), Counting()
    await append(log, contacts(20))
    async with running(Runner(counting, log, "counting")):
        await until(lambda: len(counting.handled) == 20)
    await append(log, contacts(10, start=20))
    async with (
        running(Runner(counting, log, "counting")),
        running(projecting([TimelineProjection(SOURCES)], log, file_store, "me", clock)),
    ):
        await until(lambda: len(counting.handled) == 30)
        await until(lambda: applied_all(log, file_store))
    assert counting.claims == 2
    assert sorted(counting.handled) == sorted(record.value for record in log.all(EVENTS))
    assert await count(file_store) == 30


async def test_an_onlooker_is_told_of_every_record_once_it_is_committed(file_store: Database) -> None:
    log, watching = MemoryLog(), Watching()
    await append(log, contacts(30))
    async with running(projecting([TimelineProjection(SOURCES)], log, file_store, "me", clock, watching)):
        await until(lambda: len(watching.done) >= 30)
        assert await count(file_store) == 30
    assert len({(record.partition, record.offset) for record in watching.done}) == len(watching.done) == 30


async def test_a_second_start_goes_on_where_the_first_left_off(file_store: Database) -> None:
    log = MemoryLog()
    for start in (0, 20):
        await append(log, contacts(20, start))
        projection, watching = Failing(set()), Watching()
        async with running(projecting([projection], log, file_store, f"start {start}", clock, watching)):
            await until(lambda: applied_all(log, file_store))
        assert sum(projection.sizes) == len(watching.done) == 20


async def test_records_that_cannot_be_applied_are_parked_and_stop_nobody(
    file_store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    log = MemoryLog()
    events = contacts(64)
    await append(log, events)
    await log.append([NewRecord(EVENTS, "k", b"no event at all")])
    poison = {encode(event) for event in (events[3], events[40], events[41])} | {b"no event at all"}
    with caplog.at_level(logging.ERROR):
        async with running(projecting([Failing(poison)], log, file_store, "me", clock)):
            await until(lambda: applied_all(log, file_store))
    assert await count(file_store) == 61
    assert await counts(file_store) == {"timeline": 4}
    found = await parked(file_store, "timeline")
    assert {one.code for one in found} == {"ValueError", "DecodeError"}
    written = caplog.text + repr(found)
    assert "Okafor" not in written and "9990000018" not in written
    assert [record.value for one in found for record in await log.read(*one.position, 1)].count(b"no event at all") == 1


async def test_one_projection_s_trouble_is_no_other_s(file_store: Database) -> None:
    log = MemoryLog()
    events = contacts(40)
    await append(log, events)
    projections: list[Projection] = [Failing({encode(event) for event in events[5:7]}), PeopleProjection(PSEUDONYMS)]
    async with running(projecting(projections, log, file_store, "me", clock)):
        await until(lambda: applied_all(log, file_store))
        await until(lambda: applied_all(log, file_store, "people"))
    assert await counts(file_store) == {"timeline": 2}
    assert await count(file_store) == 38
    assert len((await rows(file_store, PEOPLE_TABLES.record))["person_record"]) == 7


async def test_a_projection_that_is_behind_catches_up_and_nothing_is_applied_to_the_others_again(file_store: Database) -> None:
    log, timeline = MemoryLog(), Failing(set())
    await append(log, contacts(20))
    async with running(projecting([timeline], log, file_store, "alone", clock)):
        await until(lambda: applied_all(log, file_store))
    await append(log, contacts(5, start=20))
    async with running(projecting([timeline, PeopleProjection(PSEUDONYMS)], log, file_store, "both", clock)):
        await until(lambda: applied_all(log, file_store, "people"))
    assert sum(timeline.sizes) == 25
    assert await positions(file_store, "people") == await positions(file_store, "timeline")


async def test_what_was_parked_can_be_tried_again(file_store: Database) -> None:
    log = MemoryLog()
    events = contacts(10)
    await append(log, events)
    failing = Failing({encode(event) for event in events[2:4]})
    async with running(projecting([failing], log, file_store, "me", clock)):
        await until(lambda: applied_all(log, file_store))
    failing.poison = {encode(events[2])}
    assert await retry(failing, log, file_store, clock) == Retried(applied=1, left=1, gone=0)
    [left] = await parked(file_store, "timeline")
    assert left.tries == 2
    assert await retry(TimelineProjection(SOURCES), log, file_store, clock) == Retried(1, 0, 0)
    assert await count(file_store) == 10
    assert await parked(file_store, "timeline") == []


async def test_an_engine_s_trouble_parks_nothing(file_store: Database) -> None:
    log = MemoryLog()
    await append(log, contacts(10))
    failing = Failing(set(), [StoreUnavailable(), StoreUnavailable()])
    async with running(projecting([failing], log, file_store, "me", clock)):
        await until(lambda: applied_all(log, file_store))
    assert await counts(file_store) == {}
    assert await count(file_store) == 10


async def test_trouble_that_lasts_is_raised_to_whoever_runs_it(file_store: Database) -> None:
    log = MemoryLog()
    await append(log, contacts(1))
    failing = Failing(set(), [StoreUnavailable() for _ in range(50)])
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(projecting([failing], log, file_store, "me", clock).run(asyncio.Event()), PATIENCE_S)
    assert await count(file_store) == 0


async def test_a_stale_owner_writes_nothing(store: Database) -> None:
    await claim(store, "timeline", "old", EVENTS, {0: 0, 1: 5})
    assert await claim(store, "timeline", "new", EVENTS, {0: 0}) == {0: ReachedPosition(0, "")}
    with pytest.raises(PositionLost):
        async with store.writing() as connection:
            await connection.execute(TIMELINE_TABLES.known.insert().values(subject="x", state="{}"))
            await advance(connection, "old", [Step("timeline", EVENTS, 1, 5, 6), Step("timeline", EVENTS, 0, 0, 7)])
    assert await positions(store, "timeline") == {(EVENTS, 0): 0, (EVENTS, 1): 5}
    assert (await rows(store, TIMELINE_TABLES.known))["timeline_known"] == []


async def test_a_position_that_moved_meanwhile_is_lost(store: Database) -> None:
    await claim(store, "timeline", "me", EVENTS, {0: 0})
    async with store.writing() as connection:
        await advance(connection, "me", [Step("timeline", EVENTS, 0, 0, 7, "the seventh")])
    with pytest.raises(PositionLost):
        async with store.writing() as connection:
            await advance(connection, "me", [Step("timeline", EVENTS, 0, 0, 9)])
    assert await claim(store, "timeline", "me", EVENTS, {0: 0, 3: 2}) == {
        0: ReachedPosition(7, "the seventh"),
        3: ReachedPosition(2, ""),
    }


async def test_a_runner_whose_partitions_were_taken_over_goes_on_from_where_the_other_left_off(file_store: Database) -> None:
    log = MemoryLog()
    await append(log, contacts(10))
    projection = Failing(set())
    async with running(projecting([projection], log, file_store, "first", clock)):
        await until(lambda: applied_all(log, file_store))
        ends = await log.ends(EVENTS)
        await claim(file_store, "timeline", "second", EVENTS, dict.fromkeys(ends, 0))
        await append(log, contacts(10, start=10))
        await until(lambda: applied_all(log, file_store))
    assert await count(file_store) == 20


class Cut(MemoryLog):
    """A log whose retention has removed its beginning, or that is not as long as it was."""

    def __init__(self, starts: int, ends: int | None = None) -> None:
        super().__init__()
        self._starts, self._ends = starts, ends

    async def starts(self, topic: str) -> Mapping[int, int]:
        return dict.fromkeys(await super().starts(topic), self._starts)

    async def ends(self, topic: str) -> Mapping[int, int]:
        ends = await super().ends(topic)
        return ends if self._ends is None else dict.fromkeys(ends, self._ends)


@pytest.mark.parametrize(("log", "position"), [(Cut(5, 9), 4), (Cut(0, 3), 4)], ids=["too late", "another log"])
async def test_a_log_that_does_not_go_on_where_the_projection_left_off_is_said_loudly(
    file_store: Database, log: MemoryLog, position: int
) -> None:
    await claim(file_store, "timeline", "me", EVENTS, {0: position})
    projection: Projection = TimelineProjection(SOURCES)
    with pytest.raises(LogMismatch) as raised:
        await asyncio.wait_for(projecting([projection], log, file_store, "me", clock).run(asyncio.Event()), PATIENCE_S)
    assert raised.value.where == f"timeline, {EVENTS}, partition 0, offset {position}"
    assert (await positions(file_store, "timeline"))[EVENTS, 0] == position
    with pytest.raises(LogMismatch) as unknown:
        await behind(log, file_store)
    assert unknown.value.where == raised.value.where, "nobody is told that it is up to date"


async def test_another_log_that_is_as_long_is_recognised_by_the_record_applied_last(file_store: Database) -> None:
    log, other = MemoryLog(), MemoryLog()
    await append(log, contacts(10))
    await append(other, contacts(30, start=3))
    async with running(projecting([TimelineProjection(SOURCES)], log, file_store, "me", clock)):
        await until(lambda: applied_all(log, file_store))
    reached = await positions(file_store, "timeline")
    with pytest.raises(LogMismatch, match="another record than the one that was applied") as raised:
        await asyncio.wait_for(
            projecting([TimelineProjection(SOURCES)], other, file_store, "me", clock).run(asyncio.Event()), PATIENCE_S
        )
    assert raised.value.where.startswith(f"timeline, {EVENTS}, partition ")
    assert await positions(file_store, "timeline") == reached
    with pytest.raises(LogMismatch, match="another record"):
        await behind(other, file_store, Recogniser(other))
    assert await behind(log, file_store, Recogniser(log))
    assert await count(file_store) == 10


async def test_a_stop_is_heeded_while_nothing_comes(file_store: Database) -> None:
    async with running(projecting([TimelineProjection(SOURCES)], MemoryLog(), file_store, "me", clock)):
        await asyncio.sleep(0)
    assert await count(file_store) == 0
