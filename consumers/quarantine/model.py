"""The quarantine read model as one value. What is heavy is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.projection import Projection, ReadModel, Surroundings
from consumers.quarantine.tables import NAME, TOPICS

if TYPE_CHECKING:
    from consumers.database.database import Database
    from consumers.quarantine.query import QuarantineQuery


def _projection(given: Surroundings) -> Projection:
    from consumers.quarantine.project import QuarantineProjection

    return QuarantineProjection()


def _query(database: Database, given: Surroundings) -> QuarantineQuery:
    from consumers.quarantine.query import QuarantineQuery

    return QuarantineQuery(database)


QUARANTINE = ReadModel(NAME, TOPICS, _projection, _query)
"""What was not understood."""
