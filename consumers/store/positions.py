"""How far each projection has got: positions that move in the same transaction as the rows they belong to.

A position belongs to the process that claimed it last. A stale owner (frozen, cut off, or slow to notice that its partitions
have gone elsewhere) finds no row to move and rolls back, so nothing is written twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Text, and_, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

from consumers.database.database import Database
from consumers.database.insertion import insert
from consumers.database.statement import SqlStatement, given, given_rows
from consumers.store.migrate import HISTORY
from consumers.store.tables import POSITION
from schemas.errors import PositionLost
from schemas.log import Record

_HEAD_BYTES = 256
"""Of a record's value: the id of an event, a receipt or a rejection stands there."""


class ReachedPosition(NamedTuple):
    """How far a projection has read one partition."""

    next: int
    """The next offset wanted."""
    last: str
    """The `fingerprint` of the record applied last; empty when none was, or before fingerprints were kept."""


class Step(NamedTuple):
    """One partition's position before and after a batch, of one projection."""

    projection: str
    topic: str
    partition: int
    expected: int
    next: int
    last: str = ""
    """The `fingerprint` of the last record of the batch."""


def fingerprint(record: Record) -> str:
    """Tells a record from any other that may stand at its offset in another log, without reading all of it."""
    head = f"{record.key}/{len(record.value)}/".encode() + record.value[:_HEAD_BYTES]
    return hashlib.blake2b(head, digest_size=8).hexdigest()


_KEYS = (POSITION.c.projection, POSITION.c.topic, POSITION.c.partition)


def _advance(sqlite: bool) -> ClauseElement:
    """Locks rows in the order of their keys, so that two processes that want the same rows cannot deadlock."""
    columns: dict[str, TypeEngine[Any]] = {"projection": Text(), "topic": Text(), "partition": Integer()}
    step = given(sqlite, **columns, expected=BigInteger(), next=BigInteger(), last=Text())
    here = and_(*(one == step.c[one.name] for one in _KEYS), POSITION.c.next == step.c.expected)
    mine = select(*_KEYS, step.c.next.label("becomes"), step.c.last.label("record")).select_from(step.join(POSITION, here))
    held = mine.where(POSITION.c.owner == bindparam("mine")).order_by(*_KEYS).with_for_update(of=POSITION).subquery("held")
    same = and_(*(one == held.c[one.name] for one in _KEYS))
    return update(POSITION).where(same).values(next=held.c.becomes, last=held.c.record)


_ADVANCE = SqlStatement(_advance)
_READ = select(POSITION.c.topic, POSITION.c.partition, POSITION.c.next, POSITION.c.last).where(
    POSITION.c.projection == bindparam("its_projection")
)


async def claim(
    database: Database, projection: str, owner: str, topic: str, starts: Mapping[int, int]
) -> Mapping[int, ReachedPosition]:
    """Make ``owner`` the owner of these partitions' positions, and return how far each was read.

    A partition never read before begins at its lowest offset, given in ``starts``. The previous owner is fenced off from then
    on. Raises `SettingsError` when the tables are of another version.
    """
    fresh = insert(POSITION, database.is_sqlite).values(projection=projection, topic=topic, owner=owner)
    taking = fresh.on_conflict_do_update(index_elements=POSITION.primary_key.columns, set_={"owner": owner})
    mine = (POSITION.c.projection == projection, POSITION.c.topic == topic, POSITION.c.owner == owner)
    async with database.writing() as connection:
        await HISTORY.hold(connection)
        for partition, start in sorted(starts.items()):
            await connection.execute(taking.values(partition=partition, next=start))
        rows = await connection.execute(select(POSITION.c.partition, POSITION.c.next, POSITION.c.last).where(*mine))
        return {row.partition: ReachedPosition(row.next, row.last) for row in rows if row.partition in starts}


async def advance(connection: AsyncConnection, owner: str, steps: Sequence[Step]) -> None:
    """Move positions on, in the same transaction that writes the rows.

    Raises `PositionLost` when a position is not where ``owner`` left it: another process owns it now, and the caller must roll
    back.
    """
    values = given_rows([tuple(step) for step in steps], Step._fields, connection.dialect)
    if await _ADVANCE.changed(connection, {**values, "mine": owner}) != len(steps):
        raise PositionLost(where=", ".join(dict.fromkeys(step.projection for step in steps)))


async def reached(database: Database, projection: str) -> Mapping[tuple[str, int], ReachedPosition]:
    """How far ``projection`` has read each (topic, partition) that it has begun."""
    async with database.reading() as connection:
        rows = (await connection.execute(_READ, {"its_projection": projection})).all()
    return {(row.topic, row.partition): ReachedPosition(row.next, row.last) for row in rows}
