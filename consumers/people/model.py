"""The people read model as one value. What is heavy is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.people.tables import NAME, TOPICS
from consumers.projection import Projection, ReadModel, Surroundings

if TYPE_CHECKING:
    from consumers.database.database import Database
    from consumers.people.query import PeopleQuery


def _projection(given: Surroundings) -> Projection:
    from consumers.people.project import PeopleProjection

    return PeopleProjection(given.pseudonyms)


def _query(database: Database, given: Surroundings) -> PeopleQuery:
    from consumers.people.query import PeopleQuery

    return PeopleQuery(database, given.pseudonyms, given.sources)


PEOPLE = ReadModel(NAME, TOPICS, _projection, _query)
"""Which source records are one person."""
