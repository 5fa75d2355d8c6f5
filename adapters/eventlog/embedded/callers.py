"""Hands the outcome of an append to its callers: on their own event loop, once for each group, and within a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence

from adapters.eventlog.embedded.append import LogEntry
from schemas.errors import BackboneError, LogUnavailable
from schemas.log import Position

Outcome = Sequence[Position] | BackboneError

_LOGGER = logging.getLogger(__name__)


class Job:
    """One call's entries, and the future its caller awaits."""

    __slots__ = ("deadline", "desk", "entries", "future", "size")

    def __init__(self, entries: Sequence[LogEntry], desk: Desk, patience: float) -> None:
        self.entries, self.desk = entries, desk
        self.size = sum([len(entry.value) for entry in entries])
        self.future: asyncio.Future[Sequence[Position]] = desk.loop.create_future()
        self.deadline = desk.loop.time() + patience

    def settle(self, outcome: Outcome) -> None:
        if self.future.done():  # cancelled, or expired
            return
        if isinstance(outcome, BackboneError):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Desk:
    """The jobs of one event loop. Only `tell` may be called from another thread.

    One timer serves all its jobs: one each would cost a tenth of an append.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._open: deque[Job] = deque()
        """Oldest first; the first one is not settled yet."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, job: Job) -> None:
        self._open.append(job)
        if self._timer is None:
            self._timer = self.loop.call_at(job.deadline, self._expire)

    def tell(self, outcomes: Iterable[tuple[Job, Outcome]]) -> None:
        """Settle jobs of this event loop, which is woken once for all of them."""
        try:
            self.loop.call_soon_threadsafe(self._settle, outcomes)
        except RuntimeError:  # the loop was closed, so nobody is waiting there
            _LOGGER.debug("the event loop of an append has ended before the append")

    def _settle(self, outcomes: Iterable[tuple[Job, Outcome]]) -> None:
        for job, outcome in outcomes:
            job.settle(outcome)
        self._forget_settled()

    def _forget_settled(self) -> None:
        while self._open and self._open[0].future.done():
            self._open.popleft()

    def _expire(self) -> None:
        """Fail the jobs whose deadline has passed, without waiting for the writer: its disk may hang."""
        now = self.loop.time()
        for job in self._open:
            if job.deadline > now:
                break
            message = "the log did not take the records in time; they may or may not be in it"
            cure = "Send them again. Does the log's disk hang, or does another process keep it to itself?"
            job.settle(LogUnavailable(message, cure=cure))
        self._forget_settled()
        self._timer = self.loop.call_at(self._open[0].deadline, self._expire) if self._open else None
