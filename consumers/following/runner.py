"""The one loop that follows the log, or whatever is followed like it, and hands what comes to a handler.

A handler commits what it does together with its position, and only as that position's owner. So whichever process is killed,
frozen or started twice, each record is handled once (promise P2).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress

from consumers.following.handler import Followed, Handler
from consumers.observe import ProjectionObserver, UnobservedProjections
from consumers.place import named
from schemas.errors import LogMismatch, PositionLost
from schemas.log import Follower

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


class Runner:
    """Hands ``handler`` what ``log`` holds, as a member of ``group``: its members, one a process, share the partitions.

    Handlers in groups of their own do not hold one another up.
    """

    def __init__(self, handler: Handler, log: Followed, group: str, observer: ProjectionObserver | None = None) -> None:
        self._handler = handler
        self._log = log
        self._group = group
        self._observer = observer or UnobservedProjections()
        self._losses = 0
        """Losses of partitions since something was applied."""

    async def run(self, stop: asyncio.Event) -> None:
        """Hand over what the log holds, and what comes, until ``stop`` is set.

        A partition that another process takes over is left to it. Raises `schemas.errors.EngineUnavailable` when the log or
        what the handler writes to does not answer for long; run it again then. `schemas.errors.LogMismatch`, one of those,
        says that the log has lost what is wanted next, or never had what was applied: nothing is skipped in silence.
        """
        while not stop.is_set():
            try:
                async with self._log.follow(self._handler.topics, self._group, self._claim) as follower:
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
                applied = await self._handler.apply(records)
                self._losses = 0
                if applied:
                    self._observer.applied(applied, time.monotonic() - began)
                if len(records) < BATCH:
                    await asyncio.sleep(began + PACE_S - time.monotonic())

    async def _claim(self, topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        starts = await self._log.starts(topic)
        claimed = await self._handler.claim(topic, {partition: starts[partition] for partition in partitions})
        ends = await self._log.ends(topic)  # after the claim: until then another owner may go on
        for name, wanted in claimed.items():
            for partition, position in wanted.items():
                if not starts[partition] <= position <= ends[partition]:
                    raise LogMismatch(where=named(name, topic, partition, position))
        # From the record applied last, so that the handler can see that it is still the same one.
        return {
            partition: max(starts[partition], min(wanted[partition] for wanted in claimed.values()) - 1)
            for partition in partitions
        }
