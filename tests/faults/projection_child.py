"""A process that runs the projections and says ``applied`` each time rows are written and not yet committed.

Run as ``python -m tests.faults.projection_child LOG STORE OWNER``. Two of them with different owners do not know of each other:
each believes it has every partition.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.eventlog.connect import connect
from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.following.projecting import projecting
from consumers.people.project import PeopleProjection
from consumers.projection import Projection
from consumers.timeline.project import TimelineProjection
from schemas.errors import EngineUnavailable
from schemas.log import Claim, EventLog, Follower, Position, Record
from tests.consumers.build import PSEUDONYMS, SOURCES

PARTITIONS = 6
BATCH = 40
"""Records at a time: small, so that there are many moments to be killed in."""


class Announcing:
    """A projection that says when it has written and not yet committed, and stays there for a moment."""

    def __init__(self, inner: Projection) -> None:
        self._inner = inner
        self.name, self.topics, self.tables = inner.name, inner.topics, inner.tables

    def onto(self, tables: Any) -> Announcing:
        return Announcing(self._inner.onto(tables))

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        await self._inner.apply(records, connection)
        print("applied", flush=True)
        time.sleep(0.003)  # noqa: ASYNC251 - the whole process is meant to stand still


class OwnGroup:
    """The log, followed in a group of this process alone, a little at a time."""

    def __init__(self, log: EventLog, owner: str) -> None:
        self._log, self._owner = log, owner

    def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AbstractAsyncContextManager[Follower]:
        return self._slowly(topics, f"{group}-{self._owner}", claim)

    @contextlib.asynccontextmanager
    async def _slowly(self, topics: Sequence[str], group: str, claim: Claim) -> Any:
        async with self._log.follow(topics, group, claim) as follower:
            yield Slow(follower)

    async def starts(self, topic: str) -> Mapping[int, int]:
        return await self._log.starts(topic)

    async def ends(self, topic: str) -> Mapping[int, int]:
        return await self._log.ends(topic)

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        return await self._log.read(topic, partition, start, limit)

    async def append(self, records: Sequence[Any]) -> Sequence[Position]:
        return await self._log.append(records)

    async def close(self) -> None:
        await self._log.close()


class Slow:
    """A follower that gives out few records at a time."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.held = follower.held

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        return await self._follower.poll(min(limit, BATCH), wait)


async def main(log_url: str, store_url: str, owner: str) -> None:
    log = OwnGroup(await connect(log_url, partitions=PARTITIONS), owner)
    database = Database.connect(
        store_url, ConnectionSettings(idle_timeout=timedelta(seconds=1), statement_timeout=timedelta(seconds=5))
    )
    stop = asyncio.Event()
    projections = (TimelineProjection(SOURCES), PeopleProjection(PSEUDONYMS))
    runner = projecting([Announcing(one) for one in projections], log, database, owner, lambda: datetime.now(UTC))
    while True:
        with contextlib.suppress(EngineUnavailable):
            await runner.run(stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
