"""The outbox, on every store: who follows it is told exactly what who asks the store all the time is told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from consumers.database.database import Database
from consumers.models import migrate
from consumers.people.project import PeopleProjection
from consumers.people.query import PeopleQuery
from consumers.place import OFFSET_BITS
from consumers.projection import Projection
from consumers.store.outbox import Change, Happening, Outbox
from consumers.store.tables import CHANGE
from consumers.timeline.feed import ChangeFeed
from consumers.timeline.project import TimelineProjection
from consumers.timeline.query import TimelineQuery
from schemas.identifiers import PersonId
from schemas.log import Record
from schemas.timeline import Question
from tests.consumers.build import ANN, BOB, CHARITY, COUNCIL, HOSPITAL, PSEUDONYMS, SOURCES, logged, record_key
from tests.consumers.histories import everything
from tests.stores import clear, empty_database, rows

RECORDS = [record_key(HOSPITAL, name) for name in ("A1", "B1", "B2", "B3", "C0", "C1", "C2", "D0", "D1", "E0", "E1")]
RECORDS += [record_key(COUNCIL, "1001"), record_key(CHARITY, "W7")]
PEOPLE = [*(PSEUDONYMS.person_by_number(number) for number in (ANN, BOB)), *map(PSEUDONYMS.person_by_record, RECORDS)]
"""Every id that somebody of the history ever has."""
FILTERS: Sequence[dict[str, Any]] = (
    {},
    {"withdrawn": True, "kinds": frozenset({"encounter"})},
    {"types": frozenset({"encounter-changed-1", "contact-made-1"}), "resources": True},
    {"sources": frozenset({CHARITY.id}), "sectors": frozenset({"voluntary"})},
)


class Stream:
    """What one client is told."""

    def __init__(self, query: TimelineQuery, question: Question) -> None:
        self._query = query
        self._question = question
        self._known: frozenset[int] | None = None
        self.persons = {question.person}
        self.told: list[Any] = []
        self.asked = 0

    async def look(self) -> None:
        """Ask until there is nothing more to tell."""
        while True:
            self.asked += 1
            changes = await self._query.changes(self._question, self._known)
            self._question, self._known = replace(self._question, after=changes.after), changes.known
            self.told += [*changes.gone, *changes.entries]
            fresh = changes.person not in self.persons
            self.persons.add(changes.person)
            if not (changes.gone or changes.entries or fresh):
                return


class Following:
    """Every stream twice: one asks the store all the time, the other only when the outbox says so."""

    def __init__(self, database: Database) -> None:
        self._feed = ChangeFeed(database)
        self._query = TimelineQuery(database)
        self._people = PeopleQuery(database, PSEUDONYMS, SOURCES)
        self.polling: dict[Any, Stream] = {}
        self.fed: dict[Any, Stream] = {}

    async def look(self) -> None:
        changed = await self._feed.changed()
        for name, stream in self.polling.items():
            await stream.look()
            if changed is None or self.fed[name].persons & changed:
                await self.fed[name].look()
            assert self.fed[name].told == stream.told, name
        await self._open()

    async def _open(self) -> None:
        """A stream can be opened once the person exists."""
        for person in PEOPLE:
            if (person, 0) not in self.polling and await self._people.current(person) is not None:
                for number, filters in enumerate(FILTERS):
                    for streams in (self.polling, self.fed):
                        streams[person, number] = Stream(self._query, Question(person=person, **filters))
                        await streams[person, number].look()


async def apply(database: Database, *lots: tuple[Projection, Sequence[Record]]) -> None:
    """Each lot to its projection, all in one transaction."""
    async with database.writing() as connection:
        for projection, records in lots:
            await projection.apply(records, connection)


async def happen(database: Database, records: Sequence[Record], chance: random.Random) -> Following:
    """Apply ``records`` in batches of any size, by both projections together or each at its own pace."""
    await clear(database)
    people, timeline, following = PeopleProjection(PSEUDONYMS), TimelineProjection(SOURCES), Following(database)
    told = heard = 0
    await following.look()
    while told < len(records) or heard < len(records):
        told_to, heard_to = told + chance.randint(0, 9), heard + chance.randint(0, 9)
        lots: list[tuple[Projection, Sequence[Record]]] = [
            (timeline, records[told:told_to]),
            (people, records[heard:heard_to]),
        ]
        if chance.random() < 0.5:
            await apply(database, *lots)
        else:
            for lot in lots:
                await apply(database, lot)
                await following.look()
        await following.look()
        told, heard = told_to, heard_to
    return following


def test_a_stream_that_follows_the_outbox_is_told_what_one_that_asks_all_the_time_is_told(store_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database.connect(store_url)
        runner.run(migrate(database))
        totals: Counter[str] = Counter()

        @settings(max_examples=12 if database.is_sqlite else 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.integers(0, 2**32))
        def check(seed: int) -> None:
            chance, events = random.Random(seed), everything()
            following = runner.run(happen(database, logged(chance.sample(events, len(events))), chance))
            totals["told"] += sum(len(stream.told) for stream in following.fed.values())
            totals["polls"] += sum(stream.asked for stream in following.polling.values())
            totals["asked"] += sum(stream.asked for stream in following.fed.values())

        check()
        assert totals["told"] > 100
        assert totals["asked"] < totals["polls"]
        runner.run(database.close())


def change(person: str, cause: int = 1) -> Change:
    return Change(Happening.MOVED, cause, f"record of {person}", person=person)


async def put(database: Database, *changes: Change, outbox: Outbox | None = None) -> None:
    async with database.writing() as connection:
        await (outbox or Outbox()).put(changes, connection)


@pytest.mark.asyncio
async def test_each_change_is_told_once_and_at_first_everybody_is_looked_at(store: Database) -> None:
    feed = ChangeFeed(store)
    assert await feed.changed() is None
    assert await feed.changed() == frozenset()
    await put(store, change("a"), change("b"))
    assert await feed.changed() == {"a", "b"}
    assert await feed.changed() == frozenset()


@pytest.mark.engine
@pytest.mark.asyncio
async def test_what_is_committed_late_with_an_early_number_is_told_and_holds_up_nobody(postgres_url: str) -> None:
    """Whoever went on after the greatest number seen would never be told of "slow"."""
    database = Database.connect(empty_database(postgres_url))
    await migrate(database)
    feed = ChangeFeed(database)
    await feed.changed()
    async with database.writing() as slow:
        await Outbox().put([change("slow")], slow)
        await put(database, change("fast"))
        assert await feed.changed() == {"fast"}
        await put(database, change("faster"))
        assert await feed.changed() == {"faster"}
    assert await feed.changed() == {"slow"}
    assert await feed.changed() == frozenset()
    assert [row[-1] for row in (await rows(database, CHANGE))["change"]] == ["slow", "fast", "faster"]
    await database.close()


@pytest.mark.asyncio
async def test_a_transaction_that_is_rolled_back_says_nothing(store: Database) -> None:
    feed = ChangeFeed(store)
    await feed.changed()
    with pytest.raises(ZeroDivisionError):
        async with store.writing() as connection:
            await Outbox().put([change("a")], connection)
            raise ZeroDivisionError
    await put(store, change("b"))
    assert await feed.changed() == {"b"}


@pytest.mark.asyncio
async def test_only_the_newest_rows_are_kept_and_who_missed_some_looks_at_everybody(store: Database) -> None:
    outbox, away, there = Outbox(kept=10, pruned_every=4), ChangeFeed(store, kept=10), ChangeFeed(store, kept=10)
    await away.changed(), await there.changed()
    for number in range(50):
        await put(store, change(f"p{number}"), outbox=outbox)
        assert await there.changed() == {PersonId(f"p{number}")}
        assert len((await rows(store, CHANGE))["change"]) <= 14
    assert await away.changed() is None
    assert await away.changed() == frozenset()


@pytest.mark.asyncio
async def test_another_store_in_its_place_makes_everybody_be_looked_at(store: Database) -> None:
    feed = ChangeFeed(store)
    await put(store, change("a"), change("b"))
    await feed.changed()
    await clear(store)
    assert await feed.changed() is None


@pytest.mark.asyncio
async def test_an_event_that_is_applied_again_changes_nothing(store: Database) -> None:
    records = logged(everything())
    lots = [(PeopleProjection(PSEUDONYMS), records), (TimelineProjection(SOURCES), records)]
    await apply(store, *lots)
    before = await rows(store, CHANGE)
    assert len(before["change"]) > len({record.key for record in records})
    await apply(store, *lots)
    assert await rows(store, CHANGE) == before


@pytest.mark.asyncio
async def test_what_one_partition_caused_is_numbered_in_the_order_of_the_log(store: Database) -> None:
    records = logged(everything())
    people, timeline = PeopleProjection(PSEUDONYMS), TimelineProjection(SOURCES)
    for start in range(0, len(records), 5):
        await apply(store, (people, records[start : start + 5]), (timeline, records[start : start + 5]))
    causes: dict[Any, list[int]] = {}
    for _, _, what, cause, _, entry, _, _ in sorted((await rows(store, CHANGE))["change"], key=lambda row: int(str(row[0]))):
        causes.setdefault((entry is None, int(str(cause)) >> OFFSET_BITS), []).append(int(str(cause)))
        assert what in set(Happening)
    assert len(causes) > 4
    assert all(found == sorted(found) for found in causes.values())


@pytest.mark.asyncio
async def test_copies_of_the_tables_change_nobodys_timeline(store: Database) -> None:
    records = logged(everything())
    people, timeline = PeopleProjection(PSEUDONYMS), TimelineProjection(SOURCES)
    copies = [people.onto(type(people.tables)(*people.tables)), timeline.onto(type(timeline.tables)(*timeline.tables))]
    await apply(store, *((copy, records) for copy in copies))
    assert (await rows(store, CHANGE))["change"] == []
