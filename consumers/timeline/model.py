"""The timeline read model as one value. What is heavy is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.projection import Projection, ReadModel, Surroundings
from consumers.timeline.tables import NAME, TOPICS

if TYPE_CHECKING:
    from consumers.database.database import Database
    from consumers.timeline.query import TimelineQuery


def _projection(given: Surroundings) -> Projection:
    from consumers.timeline.project import TimelineProjection

    return TimelineProjection(given.sources)


def _query(database: Database, given: Surroundings) -> TimelineQuery:
    from consumers.timeline.query import TimelineQuery

    return TimelineQuery(database)


TIMELINE = ReadModel(NAME, TOPICS, _projection, _query)
"""What happened to a person."""
