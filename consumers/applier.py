"""Applies records to a projection, each once, whatever goes wrong: rows and position commit together.

What an error means and what to do about it stands in `consumers.faults`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from consumers.faults import Remedy, decide, place_of_error
from consumers.projection import Projection
from consumers.store.database import Database
from consumers.store.parked import park
from consumers.store.positions import Step, advance, claim
from schemas.log import Record

LOGGER = logging.getLogger(__name__)


class Applier:
    """Moves one projection along the log. ``owner`` names whose positions these are; ``clock`` gives aware times."""

    def __init__(self, projection: Projection, database: Database, owner: str, clock: Callable[[], datetime]) -> None:
        self.projection = projection
        self._database = database
        self._owner = owner
        self._clock = clock
        self._next: dict[tuple[str, int], int] = {}
        """Where the stored positions stand, as this owner left them."""

    async def claim(self, topic: str, starts: Mapping[int, int]) -> Mapping[int, int]:
        """Take over these partitions; the next offset wanted of each, from ``starts`` on where none was read yet."""
        positions = await claim(self._database, self.projection.name, self._owner, topic, starts)
        self._next.update({(topic, partition): position for partition, position in positions.items()})
        return positions

    async def apply(self, records: Sequence[Record], attempt: int = 1) -> None:
        """Apply ``records`` and move past them, in as many transactions as it takes.

        Raises `PositionLost` when another owner has taken a partition over, `StoreUnavailable` when the store is away for long.
        """
        try:
            await self._commit(records)
        except Exception as error:  # what it means and what to do about it stands in a table
            decision = decide(error, attempt, len(records))
            if decision.remedy is Remedy.GIVE_UP:
                raise
            failure = error
        else:
            return
        if decision.remedy is Remedy.AGAIN:
            await asyncio.sleep(decision.wait.total_seconds())
            await self.apply(records, attempt + 1)
        elif decision.remedy is Remedy.SPLIT:
            half = len(records) // 2
            await self.apply(records[:half])
            await self.apply(records[half:])
        else:
            await self._park(records[0], failure)

    async def _commit(self, records: Sequence[Record]) -> None:
        steps = self._steps(records)
        async with self._database.writing() as connection:
            await self.projection.apply(records, connection)
            await advance(connection, self.projection.name, self._owner, steps)
        self._move(steps)

    async def _park(self, record: Record, error: Exception) -> None:
        name, steps = self.projection.name, self._steps([record])
        code, reason = type(error).__name__, place_of_error(error)
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
