"""The receipts projection: what became of each arrival, ready to serve, and what each source has sent so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.insertion import Insertion, keep
from consumers.database.statement import Among, SqlStatement, listed
from consumers.receipts.tables import NAME, RECEIPTS_TABLES, TOPICS, ReceiptsTables
from schemas.arrival.receipt import Receipt, decode
from schemas.log import Record

_SUMS = ("receipts", "received", "accepted", "rejected")


class ReceiptsProjection:
    """Writes receipts and the activity of sources (`consumers.projection.Projection`).

    A receipt that is in the log twice counts once: the first is kept. Only sums are kept, so partitions may interleave in any
    way.
    """

    name = NAME
    topics = TOPICS

    def __init__(self, tables: ReceiptsTables = RECEIPTS_TABLES) -> None:
        self.tables = tables
        receipt, part, activity = tables
        self._known = SqlStatement(select(receipt.c.id).where(Among(receipt.c.id, "ids")))
        self._insert = Insertion(receipt)
        self._insert_part = Insertion(part, keep)

        def count(fresh: Any) -> ClauseElement:
            later = case((fresh.excluded.last_at > activity.c.last_at, fresh.excluded.last_at), else_=activity.c.last_at)
            sums = {name: activity.c[name] + fresh.excluded[name] for name in _SUMS}
            counted: ClauseElement = fresh.on_conflict_do_update(index_elements=["source"], set_={"last_at": later, **sums})
            return counted

        self._count = Insertion(activity, count)

    def onto(self, tables: ReceiptsTables) -> ReceiptsProjection:
        """See `consumers.projection.Projection.onto`."""
        return ReceiptsProjection(tables)

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """See `consumers.projection.Projection.apply`."""
        read = [(record, decode(record.value)) for record in records]
        parts = [(one.id, one.part, *map(_json, (one.events, one.refusals, one.flags))) for _, one in read if one.part]
        await self._insert_part.put(connection, parts)
        fresh = await self._fresh([(record, one) for record, one in read if not one.part], connection)
        rows = [(one.id, one.source, one.received_at, record.value.decode()) for record, one in fresh]
        await self._insert.put(connection, rows)
        await self._count.put(connection, _activity(one for _, one in fresh))

    async def _fresh(self, read: Sequence[tuple[Record, Receipt]], connection: AsyncConnection) -> list[tuple[Record, Receipt]]:
        """The receipts that are not here yet, and of two with the same id the first."""
        first = {one.id: (record, one) for record, one in reversed(read)}
        known = await self._known.tuples(connection, {"ids": listed(first, connection.dialect)})
        for (receipt_id,) in known:
            del first[receipt_id]
        return list(reversed(first.values()))


def _activity(receipts: Iterable[Receipt]) -> list[tuple[Any, ...]]:
    """One row per source, ordered by id, so that two processes lock several rows in the same order."""
    found: dict[str, list[Any]] = {}
    for one in receipts:
        row = found.setdefault(one.source, ["", 0, 0, 0, 0])
        row[0] = max(row[0], one.received_at)
        for column, more in enumerate((1, one.received, one.accepted, one.rejected), 1):
            row[column] += more
    return [(source, *row) for source, row in sorted(found.items())]


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
