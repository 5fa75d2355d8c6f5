"""Writes many rows with one statement, in the way that costs each engine least.

SQLite gets the rows one after the other (``executemany``), within the process. PostgreSQL gets one statement with one
parameter, a JSON array: sending each row by itself would cost the driver as much as making the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, FromClause, Text, bindparam, cast, column, func
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from consumers.database.driver import inline
from consumers.database.statement import Compose, SqlStatement

LOT_BYTES = 64 * 1024 * 1024
"""Most bytes of rows in one statement, unless one row is larger: PostgreSQL does not accept a parameter of a gigabyte."""


class Rows:
    """Rows with the columns ``names``, written by the statement that ``compose`` makes.

    For SQLite the statement takes the values of one row, in this order; for PostgreSQL it takes all rows, as `given_objects`.
    """

    def __init__(self, names: Iterable[str], compose: Compose) -> None:
        self._names = [str(name) for name in names]  # a plain text: that of a reserved word is a class of its own
        self._statement = SqlStatement(compose)

    async def write(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Write ``rows``, in their order; how many rows of the table that changed."""
        if not rows:
            return 0
        if connection.dialect.name == "sqlite":
            return inline(connection).executemany(self._statement.on(connection.dialect).text, rows).rowcount
        changed = 0
        for lot in _lots(orjson.dumps(dict(zip(self._names, row, strict=True))) for row in rows):
            changed += await self._statement.changed(connection, {"rows": f"[{b','.join(lot).decode()}]"})
        return changed


def given_objects(columns: Mapping[str, TypeEngine[Any]]) -> FromClause:
    """The rows that PostgreSQL is given, as a table of columns of these names and types to select from or to join with."""
    named = (column(name, kind) for name, kind in columns.items())
    given = func.json_to_recordset(cast(bindparam("rows", type_=Text()), JSON)).table_valued(*named)
    return given.render_derived(name="given", with_types=True)


def _lots(objects: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    """``objects`` in lots of at most `LOT_BYTES`; a larger object is a lot of its own."""
    lot, size = list[bytes](), 0
    for one in objects:
        if lot and size + len(one) > LOT_BYTES:
            yield lot
            lot, size = [], 0
        lot.append(one)
        size += len(one)
    yield lot
