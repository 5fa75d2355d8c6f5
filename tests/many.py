"""A store of any size: the rows that the real projections make of one person, multiplied inside the engine.

Each copy is a person of their own, with keys spread as hashes are. Entries lie in the order in which they would have arrived:
everybody's first, then everybody's second, so that a person's are as far apart as they can be.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.types import TypeEngine

from adapters.intake.receive import Delivery
from consumers.database.database import Database
from consumers.models import migrate
from consumers.people.tables import PEOPLE_TABLES
from consumers.place import OFFSET_BITS, place
from consumers.quarantine.tables import QUARANTINE_TABLES
from consumers.receipts.tables import RECEIPTS_TABLES
from consumers.store.tables import POSITION
from consumers.timeline.tables import TIMELINE_TABLES
from schemas.identifiers import PersonId
from tests.gateway.http_rig import MARGARET, SOURCES, Rig, rigged

ENTRIES = 300
"""Of each person."""
_PARTITIONS = 24
_FIRST, _ORIGINAL = 32, 31
"""Partitions of the copies from here on, and that of the person they are copied from: a log that goes on has others."""
_SPREAD = 2_654_435_761
"""2^32 divided by the golden ratio: its multiples are spread over 32 bits as evenly as hashes. Source: Knuth, TAOCP 6.4."""
_HEADER = "Date,Member ID,Time,Contact,Attended,NHS Number,What was done\n"

_KEYS: Mapping[Table, Sequence[str]] = {
    PEOPLE_TABLES.record: ("key", "person", "own_person"),
    PEOPLE_TABLES.former: ("person", "record"),
    PEOPLE_TABLES.local_id: ("key", "record"),
    PEOPLE_TABLES.merge: ("fact", "old", "new"),
    TIMELINE_TABLES.version: ("record", "fact", "event", "correlation"),
    TIMELINE_TABLES.known: ("subject",),
    RECEIPTS_TABLES.receipt: ("id",),
    RECEIPTS_TABLES.part: ("id",),
    QUARANTINE_TABLES.item: ("id",),
    QUARANTINE_TABLES.part: ("id",),
    QUARANTINE_TABLES.trial: ("id",),
}
"""What grows with the number of people, and what makes a row of it another's."""


_SHORTEST = {
    "entry": '{"id":"","recorded_at":"","source":{"id":""}}',
    "resource": '{"resourceType":"Bundle","entry":[{"fullUrl":"urn:x","resource":{"resourceType":"Encounter"}}]}',
}
"""Texts that can be read, and no more."""


class Many(NamedTuple):
    """What is in the store."""

    people: int
    original: PersonId
    receipt: str
    item: str

    def person(self, number: int) -> PersonId:
        """The id of one of them."""
        return PersonId(f"{number * _SPREAD % 2**32:08x}{self.original[8:]}")


Rows = Mapping[Table, Sequence[Mapping[str, Any]]]


async def fill(database: Database, entries: int, texts: bool = True) -> Many:
    """Make the tables in an empty store, with about so many entries.

    ``texts``: entries are as long as they really are; without, they are empty, which is quicker where only plans are looked at.
    """
    await migrate(database)
    original, template = await _template()
    people = max(1, entries // len(template[TIMELINE_TABLES.version]))
    async with database.writing() as connection:
        await connection.run_sync(_multiply, template, people, texts)
    if not database.is_sqlite:
        async with database.reading() as connection:
            await connection.exec_driver_sql("SET statement_timeout = 0")
            await connection.exec_driver_sql("VACUUM ANALYZE")
    return Many(people, original, template[RECEIPTS_TABLES.receipt][0]["id"], template[QUARANTINE_TABLES.item][0]["id"])


async def _template() -> tuple[PersonId, Rows]:
    """One person with `ENTRIES` entries of two sources, and what else came of taking them in."""
    with tempfile.TemporaryDirectory() as folder:
        async with rigged(Path(folder)) as rig:
            await rig.samples()
            await _take_in(rig, _HEADER + "01/01/2025,M0,09:00,Home visit,yes,,A first visit\n")  # who it is, is learned later
            await rig.settle()
            await _take_in(rig, _HEADER + "".join(_visits(ENTRIES - 5)))
            await _take_in(rig, _HEADER + "31/31/2026,M0,10:00,Home visit,yes,,\n")
            await rig.settle()
            async with rig.database.reading() as connection:
                tables = (*_KEYS, RECEIPTS_TABLES.activity)
                rows = {table: [dict(row._mapping) for row in await connection.execute(select(table))] for table in tables}
            return PersonId(await rig.person()), rows | _rare(rows)


def _rare(rows: Rows) -> Rows:
    """What one person's story does not make: the rows of another identifier, a merge, a long receipt and a redrive."""
    key, receipt, item = (rows[table][0][name] for table, name in _NAMED)
    return {
        PEOPLE_TABLES.local_id: [{"key": key[::-1], "record": key}],
        PEOPLE_TABLES.merge: [{"fact": key[::-1], "old": key[::-1], "new": key, "order": "", "place": 0}],
        RECEIPTS_TABLES.part: [{"id": receipt, "part": 1, "events": "[]", "refusals": "[]", "flags": "[]"}],
        QUARANTINE_TABLES.trial: [{"id": item, "place": 0, "at": "", "accepted": 0, "account": "{}"}],
    }


_RARE = frozenset({PEOPLE_TABLES.local_id, PEOPLE_TABLES.merge, RECEIPTS_TABLES.part, QUARANTINE_TABLES.trial})
_NAMED = ((PEOPLE_TABLES.record, "key"), (RECEIPTS_TABLES.receipt, "id"), (QUARANTINE_TABLES.item, "id"))


def _visits(count: int) -> Iterator[str]:
    for visit in range(count):
        day, month, hour = visit % 28 + 1, visit // 28 % 12 + 1, visit % 9 + 9
        yield f"{day:02}/{month:02}/2025,M0,{hour:02}:00,Home visit,yes,{MARGARET},Tea and a walk in the park\n"


async def _take_in(rig: Rig, rows: str) -> None:
    await rig.intake.receive(Delivery(SOURCES["willow-contacts"].source, "cli", io.BytesIO(rows.encode()), "text/csv"))


def _multiply(connection: Connection, template: Rows, people: int, texts: bool) -> None:
    indexes = [index for table in template for index in table.indexes]
    for index in indexes:
        index.drop(connection)
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    for table, rows in template.items():
        for rank, row in enumerate(rows):
            short = row if texts else row | {name: shortest for name, shortest in _SHORTEST.items() if name in row}
            if table not in _RARE:
                connection.execute(table.insert(), _original(table, rank, short))
            if table in _KEYS:
                _copy(connection, table, rank, short, people)
    for index in indexes:
        index.create(connection)
    connection.execute(POSITION.delete())


def _original(table: Table, rank: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, "place": place(_ORIGINAL, rank)} if table is TIMELINE_TABLES.version else row


def _copy(connection: Connection, table: Table, rank: int, row: Mapping[str, Any], people: int) -> None:
    """One row of the template for each of ``people``."""
    sqlite = connection.dialect.name == "sqlite"
    spread = f"(i * {_SPREAD}) % 4294967296"
    prefix = f"printf('%08x', {spread})" if sqlite else f"lpad(to_hex({spread}), 8, '0')"
    several = "WITH RECURSIVE series(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM series WHERE i + 1 < :people) "
    values, given = [], {"people": people}
    for name, value in row.items():
        if name in _KEYS[table] and value is not None:
            values.append(f"{prefix} || substr(CAST(:{name} AS TEXT), 9)")
            given[name] = value
        elif name == "place" and table is TIMELINE_TABLES.version:
            offset = rank * (people // _PARTITIONS + 1)
            values.append(f"((i % {_PARTITIONS} + {_FIRST}) << {OFFSET_BITS}) + {offset} + i / {_PARTITIONS}")
        else:
            values.append(f"CAST(:{name} AS {_type(table.c[name].type, connection)})")
            given[name] = value
    names = ", ".join(f'"{name}"' for name in row)
    source = "series" if sqlite else "generate_series(CAST(0 AS BIGINT), :people - 1) AS series(i)"
    words = f'INSERT INTO "{table.name}" ({names}) {several if sqlite else ""}SELECT {", ".join(values)} FROM {source}'
    connection.execute(text(words), given)


def _type(kind: TypeEngine[Any], connection: Connection) -> str:
    """The name of ``kind``; how text is compared is the column's own business."""
    return kind.compile(connection.dialect).partition(" COLLATE")[0]
