"""Many rows written by one statement, in the way that costs each engine least.

SQLite is handed them one after the other, within the process. To PostgreSQL they go as one statement with one parameter, a JSON
array: each by itself would cost the driver as much as it takes to make the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import JSON, FromClause, Text, bindparam, cast, column, func
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from consumers.store.driver import inline
from consumers.store.statement import Compose, Statement

LOT_BYTES = 64 * 1024 * 1024
"""Of rows in one statement, unless one alone is larger: PostgreSQL takes no parameter of a gigabyte."""


class Rows:
    """Rows of ``names``, written by the statement that ``compose`` makes.

    For SQLite that takes the values of one row, in this order; for PostgreSQL all rows, as `given_objects`.
    """

    def __init__(self, names: Iterable[str], compose: Compose) -> None:
        self._names = [str(name) for name in names]  # a plain text: that of a reserved word is a class of its own
        self._statement = Statement(compose)

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
    """``objects`` in lots that are no larger than they must be."""
    lot, size = list[bytes](), 0
    for one in objects:
        if lot and size + len(one) > LOT_BYTES:
            yield lot
            lot, size = [], 0
        lot.append(one)
        size += len(one)
    yield lot
