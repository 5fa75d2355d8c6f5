"""The quarantine projection: which items are kept, where in the log their content is, and the outcome of each retry.

The content itself stays in the log. An item's records share one key, so they come in the order in which they were appended.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, case, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.insertion import Insertion, keep
from consumers.database.statement import Among, SqlStatement, listed
from consumers.place import place_of
from consumers.quarantine.tables import NAME, QUARANTINE_TABLES, TOPICS, QuarantineTables
from schemas.arrival.quarantine import KeptPart, Tried, decode
from schemas.log import Record

OPEN, TAKEN_IN = "open", "taken-in"
"""Status of an item: still to be mended, or taken in after being sent through again."""


class QuarantineProjection:
    """Writes the quarantine (`consumers.projection.Projection`)."""

    name = NAME
    topics = TOPICS

    def __init__(self, tables: QuarantineTables = QUARANTINE_TABLES) -> None:
        self.tables = tables
        item, part, trial = tables
        self._insert_item = Insertion(item, keep)
        self._insert_part = Insertion(part, keep)
        self._insert_trial = Insertion(trial, keep)
        its_trials = trial.c.id == item.c.id
        succeeded = select(func.max(trial.c.accepted)).where(its_trials).scalar_subquery()
        self._count_trials = SqlStatement(
            update(item)
            .where(Among(item.c.id, "ids"))
            .values(
                tries=select(func.count()).select_from(trial).where(its_trials).scalar_subquery(),
                last_try=select(func.max(trial.c.at)).where(its_trials).scalar_subquery(),
                status=case((succeeded == literal_column("1"), _literal(TAKEN_IN)), else_=_literal(OPEN)),
            )
        )

    def onto(self, tables: QuarantineTables) -> QuarantineProjection:
        """See `consumers.projection.Projection.onto`."""
        return QuarantineProjection(tables)

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """See `consumers.projection.Projection.apply`."""
        read = [(record, decode(record.value)) for record in records]
        kept = [(record, one) for record, one in read if isinstance(one, KeptPart)]
        tried = [(record, one) for record, one in read if isinstance(one, Tried)]
        parts = [(one.id, one.part, record.partition, record.offset, len(one.content)) for record, one in kept]
        await self._insert_part.put(connection, parts)
        await self._insert_item.put(connection, [_item(one) for _, one in kept if one.part == 0])
        trials = [(one.id, place_of(record), one.at, int(one.accepted), _account(one)) for record, one in tried]
        await self._insert_trial.put(connection, trials)
        touched = sorted({one.id for _, one in read})
        await self._count_trials.changed(connection, {"ids": listed(touched, connection.dialect)})


def _item(kept: KeptPart) -> tuple[str | int | None, ...]:
    """A row of ``quarantine_item``. Part 0 comes last, and so vouches for the others."""
    return (
        kept.id,
        kept.source,
        kept.door,
        kept.media_type,
        kept.code,
        kept.reason,
        kept.position,
        kept.receipt,
        kept.received_at,
        kept.name,
        kept.parts,
        OPEN,
        0,
        None,
    )


def _literal(status: str) -> ColumnElement[str]:
    return literal_column(f"'{status}'")


def _account(tried: Tried) -> str:
    return msgspec.json.encode(tried).decode()
