"""What the intake and its doors tell an onlooker: counts and durations, never content.

The gateway makes metrics of it; nothing here knows how.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import Protocol

from schemas.errors import place_raised


class Correlation:
    """Names what is at work, in every message that is written meanwhile.

    Made up when the first one is written, so that what nothing is said of costs next to nothing.
    """

    __slots__ = ("_id",)

    def __init__(self, known: str = "") -> None:
        self._id = known

    def __str__(self) -> str:
        if not self._id:
            self._id = secrets.token_hex(16)
        return self._id

    def suggest(self, known: str) -> None:
        """Be called so, unless it has a name already."""
        self._id = self._id or known


CORRELATION: ContextVar[Correlation | None] = ContextVar("correlation", default=None)
"""Of the request or message that is being answered."""


def described(error: BaseException) -> str:
    """Its kind and where it was raised."""
    return f"{type(error).__name__} at {place_raised(error)}"


class Observer(Protocol):
    """Told of what happens at the doors. Called on the event loop for every message: it only counts, and never raises."""

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        """An arrival is durable: so many of its items are events, so many are kept in quarantine."""
        ...

    def repeated(self, source: str, door: str) -> None:
        """An arrival was known already: it was answered as before and nothing was appended."""
        ...

    def appended(self, records: int, seconds: float) -> None:
        """One append to the log took so long."""
        ...

    def faulted(self, door: str, code: str) -> None:
        """Something went wrong that is no arrival's content: ``translator-failed``, ``half-frame``, ``log-unavailable``, …"""
        ...

    def connected(self, door: str, connections: int) -> None:
        """So many connections are open now."""
        ...


class Unobserved:
    """Nobody looks."""

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        return

    def repeated(self, source: str, door: str) -> None:
        return

    def appended(self, records: int, seconds: float) -> None:
        return

    def faulted(self, door: str, code: str) -> None:
        return

    def connected(self, door: str, connections: int) -> None:
        return
