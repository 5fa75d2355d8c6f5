"""The receipts read model as one value. What is heavy is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.projection import Projection, ReadModel, Surroundings
from consumers.receipts.tables import NAME, TOPICS

if TYPE_CHECKING:
    from consumers.database.database import Database
    from consumers.receipts.query import ReceiptsQuery


def _projection(given: Surroundings) -> Projection:
    from consumers.receipts.project import ReceiptsProjection

    return ReceiptsProjection()


def _query(database: Database, given: Surroundings) -> ReceiptsQuery:
    from consumers.receipts.query import ReceiptsQuery

    return ReceiptsQuery(database)


RECEIPTS = ReadModel(NAME, TOPICS, _projection, _query)
"""What became of what arrived."""
