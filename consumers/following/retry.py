"""Tries again what a projection has parked, once the cause is mended.

A projection does not depend on order, and a repeated record changes nothing, so a retry may run beside the live projection.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from consumers.database.database import Database
from consumers.following.faults import Remedy, decide
from consumers.projection import Projection
from consumers.store.parked import Parked, park, parked, release
from schemas.errors import place_raised
from schemas.log import EventLog, Record


class Retried(NamedTuple):
    """The outcome of a retry."""

    applied: int
    left: int
    """Records that still cannot be applied."""
    gone: int
    """Records no longer in the log, because retention removed them; they stay listed."""


async def retry(projection: Projection, log: EventLog, database: Database, clock: Callable[[], datetime]) -> Retried:
    """Apply each record that ``projection`` has parked, each in a transaction of its own. Whatever still fails stays parked.

    Raises `schemas.errors.EngineUnavailable`; records applied before that stay applied.
    """
    applied = left = gone = 0
    last: Parked | None = None
    while items := await parked(database, projection.name, after=last):
        last = items[-1]
        for item in items:
            record = await _record(log, item)
            if record is None:
                gone += 1
            elif await _apply(projection, database, record, item, clock):
                applied += 1
            else:
                left += 1
    return Retried(applied, left, gone)


async def _record(log: EventLog, item: Parked) -> Record | None:
    found = await log.read(*item.position, limit=1)
    return found[0] if found and found[0].offset == item.offset else None


async def _apply(
    projection: Projection, database: Database, record: Record, item: Parked, clock: Callable[[], datetime]
) -> bool:
    try:
        async with database.writing() as connection:
            await projection.apply([record], connection)
            await release(connection, projection.name, item.position)
    except Exception as error:  # `consumers.following.faults` says what it means
        if decide(error, attempt=1, records=1).remedy is not Remedy.PARK:
            raise
        async with database.writing() as connection:
            await park(connection, projection.name, record, type(error).__name__, place_raised(error), clock())
        return False
    return True
