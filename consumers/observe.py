"""The port through which projections report to an observer: which records are done and how long they took, never their content.

The gateway turns these reports into metrics and traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.log import Record


class ProjectionObserver(Protocol):
    """Receives what has been committed. It is called on the projections' event loop after every batch, so it must return at
    once and never raise."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """A runner's projections have passed ``records``, applied or parked, in ``seconds``."""
        ...


class UnobservedProjections:
    """The observer that ignores every report."""

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        return
