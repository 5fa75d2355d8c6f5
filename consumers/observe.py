"""What the projections tell an onlooker: which records are done and how long it took, never their content.

The gateway makes metrics and traces of it; nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.log import Record


class Observer(Protocol):
    """Told of what is committed. Called on the projections' event loop after every batch: it only counts, and never raises."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """The projections of a runner have ``records`` behind them, applied or parked; it took so long."""
        ...


class Unobserved:
    """Nobody looks."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        return
