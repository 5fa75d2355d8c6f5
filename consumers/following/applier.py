"""Applies each record to each projection once, whatever goes wrong: rows and positions commit together.

All projections of a process share one transaction, because a small transaction costs as much as ten to twenty events. When one
of them fails, each is applied by itself, and then its records are halved down to the one at fault, so that no projection
suffers from another's trouble. `consumers.following.faults` says what each error means and what to do about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.following.faults import Remedy, decide
from consumers.following.recognise import require_applied
from consumers.projection import Projection
from consumers.store.parked import park
from consumers.store.positions import ReachedPosition, Step, advance, claim, fingerprint
from schemas.errors import place_raised
from schemas.log import Record

LOGGER = logging.getLogger(__name__)


class _Lot(NamedTuple):
    """One projection's share of a batch."""

    projection: Projection
    records: Sequence[Record]


class Applier:
    """Moves projections along the log. ``owner`` names the owner of the positions; ``clock`` gives aware times."""

    def __init__(
        self, projections: Sequence[Projection], database: Database, owner: str, clock: Callable[[], datetime]
    ) -> None:
        self.projections = tuple(projections)
        self._database = database
        self._owner = owner
        self._clock = clock
        self._next: dict[tuple[str, str, int], int] = {}
        """The stored position of each (projection, topic, partition), as this owner left it."""
        self._unrecognised: dict[tuple[str, str, int], ReachedPosition] = {}
        """Where claimed partitions were left off, until the record before is seen to be the one that was applied."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What the projections read."""
        return tuple(dict.fromkeys(topic for projection in self.projections for topic in projection.topics))

    async def claim(self, topic: str, starts: Mapping[int, int]) -> Mapping[str, Mapping[int, int]]:
        """Take over these partitions; returns the next offset wanted from each, by projection: from ``starts`` where none was
        read."""
        found: dict[str, Mapping[int, int]] = {}
        for projection in self.projections:
            if topic in projection.topics:
                reached = await claim(self._database, projection.name, self._owner, topic, starts)
                found[projection.name] = {partition: one.next for partition, one in reached.items()}
                self._take(projection.name, topic, reached)
        return found

    def _take(self, projection: str, topic: str, reached: Mapping[int, ReachedPosition]) -> None:
        for partition, at in reached.items():
            self._next[projection, topic, partition] = at.next
            self._unrecognised.pop((projection, topic, partition), None)
            if at.last:
                self._unrecognised[projection, topic, partition] = at

    async def apply(self, records: Sequence[Record]) -> Sequence[Record]:
        """Apply ``records`` and move past them, in as many transactions as it takes; returns those not applied before.

        A record that a projection has already passed is not applied to it again. Raises `PositionLost` when another owner has
        taken a partition over, `StoreUnavailable` when the store stays away for long, `LogMismatch` when one of ``records``
        stands where another one was applied: then nothing of them is.
        """
        if self._unrecognised:
            records = self._recognised(records)
        lots = [_Lot(projection, self._ahead(projection, records)) for projection in self.projections]
        await self._apply([lot for lot in lots if lot.records])
        return records

    def _recognised(self, records: Sequence[Record]) -> Sequence[Record]:
        """Compare the record before each claimed position with the one that was applied; returns the records that some
        projection has not passed yet."""
        wanted: list[Record] = []
        for record in records:
            passed = [self._passed(name, record) for name in self._readers(record.topic)]
            if not all(passed):
                wanted.append(record)
        return wanted

    def _readers(self, topic: str) -> list[str]:
        return [projection.name for projection in self.projections if topic in projection.topics]

    def _passed(self, projection: str, record: Record) -> bool:
        partition = (projection, record.topic, record.partition)
        reached = self._unrecognised.get(partition)
        if reached is not None and record.offset >= reached.next - 1:
            if record.offset < reached.next:
                require_applied(record, reached, projection)
            del self._unrecognised[partition]
        return record.offset < self._next[partition]

    def _ahead(self, projection: Projection, records: Sequence[Record]) -> Sequence[Record]:
        name, topics, wanted = projection.name, projection.topics, self._next
        return [one for one in records if one.topic in topics and one.offset >= wanted[name, one.topic, one.partition]]

    async def _apply(self, lots: Sequence[_Lot], attempt: int = 1) -> None:
        try:
            await self._commit(lots)
        except Exception as error:  # `consumers.following.faults` says what it means and what to do
            decision = decide(error, attempt, sum(len(lot.records) for lot in lots))
            if decision.remedy is Remedy.GIVE_UP:
                raise
            failure = error
        else:
            return
        if decision.remedy is Remedy.AGAIN:
            await asyncio.sleep(decision.wait.total_seconds())
            await self._apply(lots, attempt + 1)
        elif decision.remedy is Remedy.SPLIT:
            for part in _halves(lots):
                await self._apply(part)
        else:
            await self._park(*lots[0], failure)

    async def _commit(self, lots: Sequence[_Lot]) -> None:
        steps = [step for lot in lots for step in self._steps(lot)]
        if not steps:
            return
        async with self._database.writing() as connection:
            await self._write(lots, steps, connection)
        self._move(steps)

    async def apply_within(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """Apply the last ``records`` of this owner's in a transaction of the caller's.

        Whatever goes wrong is raised as it is and nothing is parked: the caller rolls back, and may then `apply` them.
        """
        lots = [_Lot(projection, self._ahead(projection, records)) for projection in self.projections]
        steps = [step for lot in lots for step in self._steps(lot)]
        if steps:
            await self._write(lots, steps, connection)

    async def _write(self, lots: Sequence[_Lot], steps: Sequence[Step], connection: AsyncConnection) -> None:
        for projection, records in lots:
            await projection.apply(records, connection)
        await advance(connection, self._owner, steps)

    async def _park(self, projection: Projection, records: Sequence[Record], error: Exception) -> None:
        name, record, steps = projection.name, records[0], self._steps(_Lot(projection, records))
        code, reason = type(error).__name__, place_raised(error)
        LOGGER.error("%s cannot apply %s/%d/%d: %s at %s", name, record.topic, record.partition, record.offset, code, reason)
        async with self._database.writing() as connection:
            await park(connection, name, record, code, reason, self._clock())
            await advance(connection, self._owner, steps)
        self._move(steps)

    def _steps(self, lot: _Lot) -> list[Step]:
        """How each partition's position moves."""
        name = lot.projection.name
        last = {(record.topic, record.partition): record for record in lot.records}
        return [
            Step(name, *partition, expected=self._next[name, *partition], next=record.offset + 1, last=fingerprint(record))
            for partition, record in last.items()
        ]

    def _move(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._next[step.projection, step.topic, step.partition] = step.next


def _halves(lots: Sequence[_Lot]) -> list[Sequence[_Lot]]:
    """Split ``lots``: several into one each, a single one into halves of its records."""
    if len(lots) > 1:
        return [[lot] for lot in lots]
    projection, records = lots[0]
    half = len(records) // 2
    return [[_Lot(projection, records[:half])], [_Lot(projection, records[half:])]]
