"""The one loop of every projection: read → apply → commit with the position.

The rows and the position they stand for commit together, and only for the owner of the position. So whatever is killed, frozen
or doubled, each record is applied once (promise P2).
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from consumers.faults import Remedy, decide
from consumers.projection import Projection
from consumers.store.database import Database
from consumers.store.parked import park, parked, release
from consumers.store.positions import Step, advance, claim
from schemas.errors import PositionLost
from schemas.log import EventLog, Follower, Record

LOGGER = logging.getLogger(__name__)

BATCH = 1000
"""Records a transaction takes at most: with more, a backlog is no faster and a rollback throws more away."""
WAIT_S = 0.5
"""Longest wait for a record before a stop is looked for; a record that comes is given at once."""


class Runner:
    """Keeps one projection up to date with the log.

    ``owner`` names this process among those that run the same projection; ``clock`` gives aware times; ``applied`` is told,
    after each commit, how many records it took in.
    """

    def __init__(
        self,
        projection: Projection,
        log: EventLog,
        database: Database,
        owner: str,
        clock: Callable[[], datetime],
        applied: Callable[[str, int], None] = lambda projection, records: None,
    ) -> None:
        self._projection = projection
        self._log = log
        self._database = database
        self._owner = owner
        self._clock = clock
        self._applied = applied
        self._next: dict[tuple[str, int], int] = {}
        """Where the stored positions stand, as this owner left them."""

    async def run(self, stop: asyncio.Event) -> None:
        """Apply what the log holds, and what comes, until ``stop`` is set.

        A partition that another process takes over is left to it. Raises `schemas.errors.EngineUnavailable` when the log or
        the store does not answer for long; run it again then.
        """
        while not stop.is_set():
            try:
                async with self._log.follow(self._projection.topics, self._projection.name, self._claim) as follower:
                    await self._follow(follower, stop)
            except PositionLost as lost:
                LOGGER.info("%s", lost)

    async def _follow(self, follower: Follower, stop: asyncio.Event) -> None:
        while not stop.is_set():
            records = await follower.poll(BATCH, WAIT_S)
            if records:
                await self._apply(records)

    async def _claim(self, topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        starts = await self._log.starts(topic)
        wanted = {partition: starts[partition] for partition in partitions}
        positions = await claim(self._database, self._projection.name, self._owner, topic, wanted)
        self._next.update({(topic, partition): position for partition, position in positions.items()})
        return positions

    async def _apply(self, records: Sequence[Record], attempt: int = 1) -> None:
        """Apply ``records`` and move past them, in as many transactions as it takes."""
        try:
            await self._commit(records)
        except Exception as error:  # what it means and what to do about it stands in a table
            decision = decide(error, attempt, len(records))
            if decision.remedy is Remedy.GIVE_UP:
                raise
            failure = error
        else:
            self._applied(self._projection.name, len(records))
            return
        if decision.remedy is Remedy.AGAIN:
            await asyncio.sleep(decision.wait.total_seconds())
            await self._apply(records, attempt + 1)
        elif decision.remedy is Remedy.SPLIT:
            half = len(records) // 2
            await self._apply(records[:half])
            await self._apply(records[half:])
        else:
            await self._park(records[0], failure)

    async def _commit(self, records: Sequence[Record]) -> None:
        steps = self._steps(records)
        async with self._database.writing() as connection:
            await self._projection.apply(records, connection)
            await advance(connection, self._projection.name, self._owner, steps)
        self._move(steps)

    async def _park(self, record: Record, error: Exception) -> None:
        name, steps = self._projection.name, self._steps([record])
        code, reason = type(error).__name__, _place(error)
        LOGGER.error("%s cannot apply %s/%d/%d: %s at %s", name, record.topic, record.partition, record.offset, code, reason)
        async with self._database.writing() as connection:
            await park(connection, name, record, code, reason, self._clock())
            await advance(connection, name, self._owner, steps)
        self._move(steps)

    def _steps(self, records: Sequence[Record]) -> list[Step]:
        """From where to where each partition moves; in the order of their numbers, so that two processes cannot deadlock."""
        last = {(record.topic, record.partition): record.offset + 1 for record in records}
        return [Step(*place, expected=self._next[place], next=last[place]) for place in sorted(last)]

    def _move(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._next[step.topic, step.partition] = step.next


async def retry_parked(projection: Projection, log: EventLog, database: Database, clock: Callable[[], datetime]) -> int:
    """Try again what ``projection`` has parked; how many records it could apply now. Order does not matter to a projection."""
    applied = 0
    for item in await parked(database, projection.name):
        found = await log.read(*item.position, limit=1)
        if not found or found[0].offset != item.offset:
            continue  # retention removed it: it stays listed
        try:
            async with database.writing() as connection:
                await projection.apply(found, connection)
                await release(connection, projection.name, item.position)
            applied += 1
        except Exception as error:
            if decide(error, attempt=1, records=1).remedy is not Remedy.PARK:
                raise
            async with database.writing() as connection:
                await park(connection, projection.name, found[0], type(error).__name__, _place(error), clock())
    return applied


def _place(error: Exception) -> str:
    """Where it was raised, by file, line and function. Its message may quote the content, and so is left out."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
