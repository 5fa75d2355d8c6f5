"""The contract of every projection (`consumers.projection.Projection`), on every store.

* A record applied twice changes nothing the second time.
* Any interleaving of partitions, and any order of one fact's versions, ends in the same rows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from consumers.database.database import Database
from consumers.models import METADATA, READ_MODELS
from consumers.projection import Projection
from schemas.arrival import quarantine, receipt
from schemas.arrival.receipt import Refusal
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, Record
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source
from tests.consumers.build import PSEUDONYMS, SOURCES, at, interleaved, logged
from tests.consumers.histories import everything
from tests.stores import clear, rows


def receipts_history() -> list[Record]:
    """Receipts of two sources, one of them in parts, one of them twice."""
    short = receipt.Receipt(
        id="r1", source="a", door="http", received_at=at(1), sha256="", size_bytes=1, received=2, accepted=2
    )
    refusal = Refusal(position="line 2", code="invalid-value", reason="a reason", quarantine="q1")
    long = receipt.Receipt(
        id="r2",
        source="b",
        door="folder",
        received_at=at(9),
        sha256="",
        size_bytes=9,
        received=3,
        accepted=2,
        rejected=1,
        events=["e1"],
    )
    part = receipt.Receipt(
        id="r2",
        source="b",
        door="folder",
        received_at=at(9),
        sha256="",
        size_bytes=9,
        events=["e2"],
        refusals=[refusal],
        part=1,
    )
    last = receipt.Receipt(id="r3", source="a", door="mllp", received_at=at(5), sha256="", size_bytes=1, received=1, accepted=1)
    entries = [short, part, long, last]
    return [Record(RECEIPTS, place % 2, place // 2, one.id, receipt.encode(one), 0.0) for place, one in enumerate(entries)]


def quarantine_history() -> list[Record]:
    """An item in two parts that is taken in at the second try, and one that is not."""
    common = {"source": "a", "door": "http", "media_type": "text/csv", "code": "invalid-value", "reason": "a reason"}
    more = {"receipt": "r1", "received_at": at(1)}
    first = [
        quarantine.KeptPart(id="q1", position="line 2", part=part, parts=2, content=b"content", **common, **more)
        for part in (1, 0)
    ]
    tried = [quarantine.Tried(id="q1", at=at(2 + one), accepted=bool(one), receipt=f"r{one}") for one in (0, 1)]
    other = quarantine.KeptPart(id="q2", position="message", part=0, parts=1, content=b"x", **common, **more)
    entries: list[tuple[int, quarantine.QuarantineRecord]] = [(0, one) for one in (*first, *tried)] + [(1, other)]
    return [
        Record(QUARANTINE, partition, offset, one.id, quarantine.encode(one), 0.0)
        for offset, (partition, one) in enumerate(entries)
    ]


class Made(NamedTuple):
    """What the read models are made with."""

    pseudonyms: Pseudonyms = PSEUDONYMS
    sources: Mapping[str, Source] = SOURCES


HISTORIES: Mapping[tuple[str, ...], Callable[[], list[Record]]] = {
    (EVENTS,): lambda: logged(everything()),
    (RECEIPTS,): receipts_history,
    (QUARANTINE,): quarantine_history,
}
"""Topics → a history of them."""
PROJECTIONS: Mapping[str, tuple[Callable[[], Projection], Callable[[], list[Record]]]] = {
    model.name: (partial(model.projection, Made()), HISTORIES[model.topics]) for model in READ_MODELS
}
"""The projection of every read model with a history for it."""

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Bench:
    """Applies records to a projection with empty tables, as often as a test likes."""

    def __init__(self, runner: asyncio.Runner, database: Database, projection: Projection) -> None:
        self._runner, self._database, self._projection = runner, database, projection
        self.examples = MANY if database.is_sqlite else FEW

    def rows(self, *batches: Sequence[Record]) -> dict[str, list[tuple[object, ...]]]:
        """The rows of the projection after ``batches``, each a transaction."""
        return self._runner.run(self._apply(batches))

    async def _apply(self, batches: Sequence[Sequence[Record]]) -> dict[str, list[tuple[object, ...]]]:
        await clear(self._database)
        for batch in batches:
            async with self._database.writing() as connection:
                await self._projection.apply(batch, connection)
        return await rows(self._database, *self._projection.tables)


@contextmanager
def bench(url: str, make: Callable[[], Projection]) -> Iterator[Bench]:
    """A bench on the store at ``url``."""

    async def create() -> None:
        async with database.writing() as connection:
            await connection.run_sync(METADATA.create_all)

    with asyncio.Runner() as runner:
        database = Database.connect(url)
        runner.run(create())
        yield Bench(runner, database, make())
        runner.run(database.close())


def in_batches(records: Sequence[Record], cuts: Sequence[int]) -> list[Sequence[Record]]:
    """``records`` cut where ``cuts`` say."""
    places = sorted({cut % (len(records) + 1) for cut in cuts})
    return [records[start:end] for start, end in zip([0, *places], [*places, len(records)], strict=True) if start < end]


CUTS = st.lists(st.integers(0, 1000), max_size=12)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_batches_of_any_size_end_in_the_same_rows(name: str, store_url: str) -> None:
    make, history = PROJECTIONS[name]
    with bench(store_url, make) as store:
        expected = store.rows(history())
        assert any(expected.values())

        @store.examples
        @given(CUTS)
        def check(cuts: list[int]) -> None:
            assert store.rows(*in_batches(history(), cuts)) == expected

        check()
        assert store.rows(*([record] for record in history())) == expected


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_record_applied_again_changes_nothing(name: str, store_url: str) -> None:
    make, history = PROJECTIONS[name]
    with bench(store_url, make) as store:
        expected = store.rows(history())

        @store.examples
        @given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), CUTS)
        def check(again: list[int], cuts: list[int]) -> None:
            records = history()
            twice = [records[place % len(records)] for place in again]
            assert store.rows(*in_batches(records, cuts), *in_batches(twice, cuts)) == expected

        check()


@pytest.mark.parametrize("name", PROJECTIONS)
def test_any_interleaving_of_partitions_ends_in_the_same_rows(name: str, store_url: str) -> None:
    make, history = PROJECTIONS[name]
    with bench(store_url, make) as store:
        expected = store.rows(history())

        @store.examples
        @given(st.lists(st.integers(0, 1000), max_size=80), CUTS)
        def check(order: list[int], cuts: list[int]) -> None:
            assert store.rows(*in_batches(interleaved(history(), order), cuts)) == expected

        check()


PLACES = {"place", "stamps"}
"""Columns that say where in the log something stands: these differ when it arrives otherwise."""


def but_places(found: Mapping[str, list[tuple[Any, ...]]], tables: Sequence[Table]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows without the places in the log."""
    kept = {
        table.name: [number for number, column in enumerate(table.columns) if column.name not in PLACES] for table in tables
    }
    return {
        name: sorted((tuple(_but_place(row[number]) for number in kept[name]) for row in lines), key=repr)
        for name, lines in found.items()
    }


def _but_place(value: object) -> object:
    """What is known of a subject says when it was said last, the place included."""
    if isinstance(value, str) and value.startswith('{"latest":'):
        known = orjson.loads(value)
        return repr((known["latest"][:3], sorted(known["elements"].items())))
    return value


@pytest.mark.parametrize("name", ["timeline", "people"])
def test_any_order_of_arrival_ends_in_the_same_rows(name: str, store_url: str) -> None:
    make, _ = PROJECTIONS[name]
    events = everything()
    with bench(store_url, make) as store:
        tables = make().tables
        expected = but_places(store.rows(logged(events)), tables)

        @store.examples
        @given(st.randoms(use_true_random=False), CUTS)
        def check(chance: random.Random, cuts: list[int]) -> None:
            mixed = chance.sample(events, len(events))
            assert but_places(store.rows(*in_batches(logged(mixed), cuts)), tables) == expected

        check()
        assert but_places(store.rows(logged(reversed(events))), tables) == expected


@pytest.mark.parametrize("name", PROJECTIONS)
def test_tables_beside_the_live_ones_get_the_same_rows(name: str, store_url: str) -> None:
    make, history = PROJECTIONS[name]
    with bench(store_url, make) as store:
        expected = store.rows(history())
    live = make()
    assert type(live.onto(live.tables)) is type(live)
    with bench(store_url, lambda: live.onto(live.tables)) as store:
        assert store.rows(history()) == expected


def test_every_entry_is_json_of_the_shape_that_is_served(store_url: str) -> None:
    make, history = PROJECTIONS["timeline"]
    with bench(store_url, make) as store:
        columns = [column.name for column in make().tables[0].columns]
        for row in store.rows(history())["timeline_version"]:
            entry = orjson.loads(str(row[columns.index("entry")]))
            assert entry["id"] == row[columns.index("event")]
            assert entry["version"] == row[columns.index("version")]
