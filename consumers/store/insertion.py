"""Rows put into a table, many at a time, in the way that costs each engine least.

SQLite is handed them one after the other, within the process. To PostgreSQL they go as one statement with one parameter, a JSON
array: each by itself would cost the driver as much as it takes to make the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.store.statement import Statement

LOT_BYTES = 64 * 1024 * 1024
"""Of rows in one statement, unless one alone is larger: PostgreSQL takes no parameter of a gigabyte."""

Conflict = Callable[[Any], ClauseElement]
"""Adds to an INSERT what to do with a row whose key is there."""


def insert(table: Table, sqlite: bool) -> Any:
    """An INSERT that can say what to do on a conflict, in the words of the engine."""
    return sqlite_insert(table) if sqlite else postgresql_insert(table)


def refuse(fresh: Any) -> ClauseElement:
    """A row whose key is there is an error."""
    refused: ClauseElement = fresh
    return refused


def keep(fresh: Any) -> ClauseElement:
    """The row that is there stays as it is."""
    kept: ClauseElement = fresh.on_conflict_do_nothing()
    return kept


def replace(fresh: Any) -> ClauseElement:
    """The row that is there gets the values of the new one."""
    table = fresh.table
    others = {one.name: fresh.excluded[one.name] for one in table.columns if not one.primary_key}
    replaced: ClauseElement = fresh.on_conflict_do_update(index_elements=table.primary_key.columns, set_=others)
    return replaced


class Insertion:
    """Puts rows into ``table``. A ``conflict`` that changes what is there may meet a key once at a time."""

    def __init__(self, table: Table, conflict: Conflict = refuse) -> None:
        self._names = [str(one.name) for one in table.columns]  # a plain text: that of a reserved word is a class of its own
        types = [column(one.name, one.type) for one in table.columns]

        def compose(sqlite: bool) -> ClauseElement:
            fresh = insert(table, sqlite)
            if sqlite:
                return conflict(fresh)
            given = func.json_to_recordset(cast(bindparam("rows", type_=Text()), JSON)).table_valued(*types)
            return conflict(fresh.from_select(self._names, select(given.render_derived(name="given", with_types=True))))

        self._statement = Statement(compose)

    async def put(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put ``rows`` in, in their order; each has the values of the table's columns in theirs."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            await self._statement.each_of(connection, rows)
        else:
            for lot in _lots(orjson.dumps(dict(zip(self._names, row, strict=True))) for row in rows):
                await self._statement.changed(connection, {"rows": f"[{b','.join(lot).decode()}]"})


def _lots(objects: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    """``objects`` in lots that are no larger than they must be."""
    lot, size = list[bytes](), 0
    for one in objects:
        if lot and size + len(one) > LOT_BYTES:
            yield lot
            lot, size = [], 0
        lot.append(one)
        size += len(one)
    yield lot
