"""What the intake and its doors tell an onlooker: counts and durations, never content.

The gateway makes metrics of it; nothing here knows how.
"""

from __future__ import annotations

from typing import Protocol

from schemas.errors import place_raised


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
