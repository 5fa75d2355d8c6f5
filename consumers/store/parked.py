"""Records that a projection could not apply, noted without their content in the transaction that moves past them.

The others go on without them. Once the cause is mended, `consumers.following.retry` or a rebuild tries them again: a projection
does not depend on order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.database.insertion import insert
from consumers.store.tables import PARKED
from schemas.event import instant
from schemas.log import Position, Record


class Parked(NamedTuple):
    """One record that could not be applied."""

    projection: str
    topic: str
    partition: int
    offset: int
    code: str
    """The class of the error."""
    reason: str
    """Where in the code it was raised; nothing of the content."""
    first_at: str
    last_at: str
    tries: int

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


async def park(connection: AsyncConnection, projection: str, record: Record, code: str, reason: str, at: datetime) -> None:
    """Note that ``record`` could not be applied, or once more that it still cannot."""
    now = instant(at)
    place = {"projection": projection, "topic": record.topic, "partition": record.partition, "offset": record.offset}
    noted = insert(PARKED, connection.dialect.name == "sqlite").values(
        **place, code=code, reason=reason, first_at=now, last_at=now, tries=1
    )
    again = {"code": code, "reason": reason, "last_at": now, "tries": PARKED.c.tries + 1}
    await connection.execute(noted.on_conflict_do_update(index_elements=PARKED.primary_key.columns, set_=again))


async def release(connection: AsyncConnection, projection: str, position: Position) -> None:
    """Forget that the record at ``position`` was parked: it is applied now."""
    same = (
        PARKED.c.projection == projection,
        PARKED.c.topic == position.topic,
        PARKED.c.partition == position.partition,
        PARKED.c.offset == position.offset,
    )
    await connection.execute(delete(PARKED).where(*same))


_RANK = (PARKED.c.first_at, PARKED.c.topic, PARKED.c.partition, PARKED.c.offset)


async def parked(database: Database, projection: str, limit: int = 1000, after: Parked | None = None) -> Sequence[Parked]:
    """What is parked, oldest first, starting after ``after``. A record that is parked again keeps its place."""
    wanted = select(PARKED).where(PARKED.c.projection == projection).order_by(*_RANK).limit(limit)
    if after:
        wanted = wanted.where(tuple_(*_RANK) > tuple_(after.first_at, *after.position))
    async with database.reading() as connection:
        return [Parked(*row) for row in await connection.execute(wanted)]


async def counts(database: Database) -> dict[str, int]:
    """How many records each projection has parked; projections that have parked none are left out."""
    async with database.reading() as connection:
        rows = await connection.execute(select(PARKED.c.projection, func.count().label("many")).group_by(PARKED.c.projection))
        return {row.projection: row.many for row in rows}
