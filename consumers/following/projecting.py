"""All projections of a process, as one runner: they read the log once and commit together (docs/decisions/0009)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from consumers.database.database import Database
from consumers.following.applier import Applier
from consumers.following.runner import Runner
from consumers.observe import ProjectionObserver
from consumers.projection import Projection
from schemas.log import EventLog

GROUP = "projections"
"""The group whose members, one a process, share the partitions."""


def projecting(
    projections: Sequence[Projection],
    log: EventLog,
    database: Database,
    owner: str,
    clock: Callable[[], datetime],
    observer: ProjectionObserver | None = None,
) -> Runner:
    """The runner that keeps ``projections`` up to date with the log.

    ``owner`` names this process among those that run the same projections; ``clock`` gives aware times.
    """
    return Runner(Applier(projections, database, owner, clock), log, GROUP, observer)
