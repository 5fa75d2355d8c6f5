"""Updates rows of a table, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.bulk import Rows, given_objects


class Revision:
    """Updates the columns ``changed`` of rows of ``table``, which are found by the values of their columns ``found``."""

    def __init__(self, table: Table, changed: Sequence[str], found: Sequence[str]) -> None:
        new, old = {f"new_{name}": name for name in changed}, {f"old_{name}": name for name in found}
        columns = {label: table.c[name].type for label, name in (new | old).items()}

        def compose(sqlite: bool) -> ClauseElement:
            given: Any = {label: bindparam(label) for label in columns} if sqlite else given_objects(columns).c
            same = (table.c[name] == given[label] for label, name in old.items())
            # ordered: SQLite is given the values by position
            return update(table).where(*same).ordered_values(*((table.c[name], given[label]) for label, name in new.items()))

        self._rows = Rows(columns, compose)

    async def make(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Update ``rows`` (each its new values, then those it is found by); returns how many were found."""
        return await self._rows.write(connection, rows)
