"""Lists what was not understood, and says where its content is in the log."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, bindparam, literal_column, select, tuple_

from consumers.database.database import Database
from consumers.database.statement import SqlStatement
from consumers.quarantine.project import OPEN, TAKEN_IN
from consumers.quarantine.tables import QUARANTINE_TABLES
from schemas.arrival.quarantine import QuarantineSummary, Tried

STATUSES = (OPEN, TAKEN_IN)
_ITEM, _PART, _TRIAL = QUARANTINE_TABLES
_TRIED = msgspec.json.Decoder(Tried)


class ContentPart(NamedTuple):
    """The place of one part of the content in the topic `schemas.log.QUARANTINE`."""

    part: int
    partition: int
    offset: int
    size_bytes: int


class QuarantinedItem(NamedTuple):
    """One item, with everything except its content."""

    summary: QuarantineSummary
    parts: list[ContentPart]
    """In the order of the content."""
    trials: list[Tried]
    """Oldest first."""


class QuarantineQuery:
    """Answers from the quarantine projection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def items(
        self, status: str = OPEN, source: str | None = None, after: tuple[str, str] | None = None, limit: int = 50
    ) -> list[QuarantineSummary]:
        """Items of one status, oldest first, starting after the one whose (``received_at``, ``id``) is ``after``.

        Raises `StoreUnavailable`.
        """
        asked = {"its_status": status, "its_source": source, "many": limit}
        asked |= dict(zip(("after_at", "after_id"), after or ("", ""), strict=True))
        statement = _OF_SOURCE if source else _ALL
        async with self._database.reading() as connection:
            return [QuarantineSummary(**row._mapping) for row in await statement.rows(connection, asked)]

    async def item(self, item_id: str) -> QuarantinedItem | None:
        """One item; ``None`` if there is none. Raises `StoreUnavailable`."""
        asked = {"its_id": item_id}
        async with self._database.reading() as connection:
            found = await _ONE.rows(connection, asked)
            if not found:
                return None
            parts = [ContentPart(*row) for row in await _PARTS.rows(connection, asked)]
            trials = [_TRIED.decode(row.account) for row in await _TRIALS.rows(connection, asked)]
        return QuarantinedItem(QuarantineSummary(**found[0]._mapping), parts, trials)


def _page(*conditions: Any) -> SqlStatement:
    rank = tuple_(_ITEM.c.received_at, _ITEM.c.id)
    page: Select[Any] = select(_ITEM).where(_ITEM.c.status == bindparam("its_status"), *conditions)
    page = page.where(rank > tuple_(bindparam("after_at"), bindparam("after_id")))
    return SqlStatement(page.order_by(_ITEM.c.received_at, _ITEM.c.id).limit(bindparam("many")).offset(literal_column("0")))


_ALL = _page()
_OF_SOURCE = _page(_ITEM.c.source == bindparam("its_source"))
_ONE = SqlStatement(select(_ITEM).where(_ITEM.c.id == bindparam("its_id")))
_PARTS = SqlStatement(
    select(_PART.c.part, _PART.c.partition, _PART.c.offset, _PART.c.size_bytes)
    .where(_PART.c.id == bindparam("its_id"))
    .order_by(_PART.c.part)
)
_TRIALS = SqlStatement(select(_TRIAL.c.account).where(_TRIAL.c.id == bindparam("its_id")).order_by(_TRIAL.c.place))
