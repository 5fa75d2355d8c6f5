"""How far each projection is: positions that move in the same transaction as the rows they vouch for.

A position belongs to the process that claimed it last. A stale owner — frozen, cut off, or simply slow to notice that its
partitions went elsewhere — finds no row to move and rolls back: nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.store.database import Database
from consumers.store.statement import Statement, insert
from consumers.store.tables import POSITION
from schemas.errors import PositionLost


class Step(NamedTuple):
    """One partition's position before and after a batch."""

    topic: str
    partition: int
    expected: int
    next: int


_MINE = (
    POSITION.c.projection == bindparam("its_projection"),
    POSITION.c.topic == bindparam("its_topic"),
    POSITION.c.partition == bindparam("its_partition"),
)
_ADVANCE = Statement(
    update(POSITION)
    .where(*_MINE, POSITION.c.next == bindparam("expected"), POSITION.c.owner == bindparam("mine"))
    .values(next=bindparam("becomes"))
)
_READ = select(POSITION.c.topic, POSITION.c.partition, POSITION.c.next).where(
    POSITION.c.projection == bindparam("its_projection")
)


async def claim(database: Database, projection: str, owner: str, topic: str, starts: Mapping[int, int]) -> Mapping[int, int]:
    """Make ``owner`` the one who moves the positions of these partitions; the next offset wanted of each.

    A partition never read before begins at its lowest offset, given in ``starts``. Whoever had it is fenced from then on.
    """
    fresh = insert(POSITION, database.is_sqlite).values(projection=projection, topic=topic, owner=owner)
    taking = fresh.on_conflict_do_update(index_elements=POSITION.primary_key.columns, set_={"owner": owner})
    mine = (POSITION.c.projection == projection, POSITION.c.topic == topic, POSITION.c.owner == owner)
    async with database.writing() as connection:
        for partition, start in sorted(starts.items()):
            await connection.execute(taking.values(partition=partition, next=start))
        rows = await connection.execute(select(POSITION.c.partition, POSITION.c.next).where(*mine))
        return {row.partition: row.next for row in rows if row.partition in starts}


async def advance(connection: AsyncConnection, projection: str, owner: str, steps: Iterable[Step]) -> None:
    """Move positions on, in the transaction that writes the rows.

    Raises `PositionLost` when one is not where ``owner`` left it: another process has it now, and the caller rolls back.
    """
    for step in steps:
        values = {
            "its_projection": projection,
            "its_topic": step.topic,
            "its_partition": step.partition,
            "expected": step.expected,
            "becomes": step.next,
            "mine": owner,
        }
        if await _ADVANCE.changed(connection, values) != 1:
            raise PositionLost(where=f"{projection}, {step.topic}, partition {step.partition}")


async def positions(database: Database, projection: str) -> Mapping[tuple[str, int], int]:
    """The next offset wanted of each (topic, partition) that ``projection`` has begun."""
    async with database.reading() as connection:
        rows = (await connection.execute(_READ, {"its_projection": projection})).all()
    return {(row.topic, row.partition): row.next for row in rows}
