"""What the intake and its doors tell an onlooker: counts and durations, never content.

The gateway makes metrics of it; nothing here knows how.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Protocol

_FRAMES = 3
"""Innermost frames named of an error that should not have been: enough to find the line."""


def described(error: BaseException) -> str:
    """Its kind and where it was raised. Its message may quote what was sent, and so is left out (promise P12)."""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-_FRAMES:])
    return f"{type(error).__name__} at " + " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames)


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
