"""What projections tell an onlooker: which records are done and how long they took, never their content.

The gateway turns this into metrics and traces; nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.log import Record


class Observer(Protocol):
    """Told what has been committed. Called on the projections' event loop after every batch, so it must only count and never
    raise."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """A runner's projections have passed ``records``, applied or parked, in ``seconds``."""
        ...


class Unobserved:
    """Nobody looks."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        return
