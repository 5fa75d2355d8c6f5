"""Compares this machine's clock with those of the engines: what each process notes as the time that something was learned, and
how old an event is, goes by its own clock.

The log shows only a clock that is behind: its newest record may be old. PostgreSQL is asked for its time.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from schemas.errors import EngineUnavailable
from schemas.log import EVENTS

if TYPE_CHECKING:
    from consumers.database.database import Database
    from schemas.log import EventLog

LOGGER = logging.getLogger("backbone.gateway")

APART = timedelta(seconds=5)
"""How far two clocks may be apart: more than an answer takes, far less than matters to whoever reads a timeline."""
CURE = "Set the clock of whichever is wrong, and keep both set (NTP)."


async def beside_the_log(log: EventLog, now: datetime) -> str | None:
    """What is wrong with the clock that shows ``now``, if the log's newest record says so. Raises `LogUnavailable`."""
    ends = await log.ends(EVENTS)
    last = [await log.read(EVENTS, partition, end - 1, 1) for partition, end in ends.items() if end]
    times = [records[-1].appended_at for records in last if records]
    ahead = datetime.fromtimestamp(max(times), UTC) - now if times else timedelta()
    return f"the log's newest record is {ahead.total_seconds():.0f} s ahead of this clock" if ahead > APART else None


async def beside_the_store(database: Database, now: datetime) -> str | None:
    """The same, if PostgreSQL's clock says so. Raises `StoreUnavailable`."""
    if database.is_sqlite:
        return None
    [(there,)] = await database.fetch("SELECT clock_timestamp()", ())
    ahead: timedelta = there - now
    side = "ahead of" if ahead > timedelta() else "behind"
    return f"PostgreSQL's clock is {abs(ahead).total_seconds():.0f} s {side} this one" if abs(ahead) > APART else None


async def warn(log: EventLog, database: Database | None, now: datetime) -> None:
    """Say at a start what is wrong with the clock. An engine that does not answer is the trouble of what needs it."""
    with suppress(EngineUnavailable):
        said = [await beside_the_log(log, now), None if database is None else await beside_the_store(database, now)]
        for says in filter(None, said):
            LOGGER.warning("%s: times noted here will be wrong. %s", says, CURE)
