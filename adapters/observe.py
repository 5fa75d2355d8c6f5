"""What the intake and its doors report to an observer: counts and durations, never content.

The gateway turns them into metrics.
"""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol


class Correlation:
    """The id of a request or message, which is added to every log message written while it is handled.

    It is generated when the first log message is written, so that it costs next to nothing if there is none.
    """

    __slots__ = ("_id",)

    def __init__(self, known: str = "") -> None:
        self._id = known

    def __str__(self) -> str:
        if not self._id:
            self._id = secrets.token_hex(16)
        return self._id

    def suggest(self, known: str) -> None:
        """Use ``known`` as the id, unless there is one already."""
        self._id = self._id or known


CORRELATION: ContextVar[Correlation | None] = ContextVar("correlation", default=None)
"""That of the request or message that is being answered."""


class ArrivalKind(StrEnum):
    """What the intake does with something that arrives."""

    RECEIVE = "receive"
    """Take it in, or keep it whole and untranslated."""
    REDRIVE = "redrive"
    """Take it in once more, from quarantine."""
    KEEP = "keep"
    """Keep its items, which the door refuses."""
    DECLINE = "decline"
    """Note that it came, and that the door could not hold it."""


class IntakeObserver(Protocol):
    """Notified of what happens at the doors. Called on the event loop for every message: must only count, and never raise."""

    def arriving(self, kind: ArrivalKind, source: str, door: str, traceparent: str) -> AbstractContextManager[str]:
        """Entered when an arrival begins, and left when its receipt is durable or the error is raised that ended it.

        ``traceparent`` names the sender's span, if any. The value of the context names the span that the arrival's events are
        to carry: the same one, where the observer makes none of its own.
        """
        ...

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        """An arrival is durable, with the number of its items that became events, and of those in quarantine."""
        ...

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        """An arrival was a repetition: it was answered as before, with these numbers of items, and nothing was appended."""
        ...

    def appended(self, records: int, seconds: float) -> None:
        """One append to the log, and how long it took."""
        ...

    def faulted(self, door: str, code: str) -> None:
        """Something other than an arrival's content is wrong: ``translator-failed``, ``half-frame``, ``log-unavailable``, …"""
        ...

    def connected(self, door: str, connections: int) -> None:
        """The number of connections that are open now."""
        ...


class UnobservedIntake:
    """An observer that ignores everything."""

    def arriving(self, kind: ArrivalKind, source: str, door: str, traceparent: str) -> AbstractContextManager[str]:
        return nullcontext(traceparent)

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        return

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        return

    def appended(self, records: int, seconds: float) -> None:
        return

    def faulted(self, door: str, code: str) -> None:
        return

    def connected(self, door: str, connections: int) -> None:
        return
