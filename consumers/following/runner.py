"""The one loop that runs all projections: read → apply → commit together with the positions.

Rows commit together with the position they belong to, and only for that position's owner. So whichever process is killed,
frozen or started twice, each record is applied once (promise P2).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from consumers.database.database import Database
from consumers.following.applier import Applier
from consumers.observe import ProjectionObserver, UnobservedProjections
from consumers.place import named
from consumers.projection import Projection
from schemas.errors import LogMismatch, PositionLost
from schemas.log import EventLog, Follower

LOGGER = logging.getLogger(__name__)

BATCH = 1000
"""Most records in a transaction: with more, a backlog is no faster and a rollback throws more away."""
WAIT_S = 0.5
"""Longest wait for a record before checking for a stop, in seconds; a record that comes is returned at once."""
PACE_S = 0.02
"""Shortest time from one transaction to the next while keeping up with the log. A transaction costs as much as ten to twenty
events, so whatever comes meanwhile shares one, and no event is delayed by more than this."""
STAND_BACK_S = 0.1
"""Longest wait after a first loss of partitions, doubled with each loss in a row. Otherwise two processes that both believe
they own them would take them from each other before either has applied anything."""
STAND_BACK_MOST_S = 5.0
"""Longest wait after many losses: far more than a transaction takes."""
GROUP = "projections"
"""The group whose members, one a process, share the partitions."""


class Runner:
    """Keeps projections up to date with the log, reading it once for all of them.

    ``owner`` names this process among those that run the same projections; ``clock`` gives aware times.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        log: EventLog,
        database: Database,
        owner: str,
        clock: Callable[[], datetime],
        observer: ProjectionObserver | None = None,
    ) -> None:
        self._log = log
        self._observer = observer or UnobservedProjections()
        self._applier = Applier(projections, database, owner, clock)
        self._losses = 0
        """Losses of partitions since something was applied."""

    async def run(self, stop: asyncio.Event) -> None:
        """Apply what the log holds, and what comes, until ``stop`` is set.

        A partition that another process takes over is left to it. Raises `schemas.errors.EngineUnavailable` when the log or
        the store does not answer for long; run it again then. `schemas.errors.LogMismatch`, one of those, says that the log
        has lost what is wanted next, or never had what was applied: nothing is skipped in silence.
        """
        while not stop.is_set():
            try:
                async with self._log.follow(self._applier.topics, GROUP, self._claim) as follower:
                    await self._follow(follower, stop)
            except PositionLost as lost:
                LOGGER.info("%s", lost)
                await self._stand_back(stop)

    async def _stand_back(self, stop: asyncio.Event) -> None:
        """Leave the partitions to whoever has them now for a while, which chance must make unlike the other's."""
        longest = min(STAND_BACK_MOST_S, STAND_BACK_S * 2**self._losses)
        self._losses += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), random.uniform(0, longest))  # noqa: S311 # nosec B311 - nothing is kept secret by it

    async def _follow(self, follower: Follower, stop: asyncio.Event) -> None:
        while not stop.is_set():
            records = await follower.poll(BATCH, WAIT_S)
            if records:
                began = time.monotonic()
                applied = await self._applier.apply(records)
                self._losses = 0
                if applied:
                    self._observer.applied(applied, time.monotonic() - began)
                if len(records) < BATCH:
                    await asyncio.sleep(began + PACE_S - time.monotonic())

    async def _claim(self, topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        starts = await self._log.starts(topic)
        claimed = await self._applier.claim(topic, {partition: starts[partition] for partition in partitions})
        ends = await self._log.ends(topic)  # after the claim: until then another owner may go on
        for name, wanted in claimed.items():
            for partition, position in wanted.items():
                if not starts[partition] <= position <= ends[partition]:
                    raise LogMismatch(where=named(name, topic, partition, position))
        # From the record applied last, so that the applier can see that it is still the same one.
        return {
            partition: max(starts[partition], min(wanted[partition] for wanted in claimed.values()) - 1)
            for partition in partitions
        }
