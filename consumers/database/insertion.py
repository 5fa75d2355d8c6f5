"""Inserts rows into a table, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.bulk import Rows, given_objects

Conflict = Callable[[Any], ClauseElement]
"""Adds to an INSERT what to do with a row whose key exists."""


def insert(table: Table, sqlite: bool) -> Any:
    """An INSERT that can say what to do on a conflict, in the engine's dialect."""
    return sqlite_insert(table) if sqlite else postgresql_insert(table)


def refuse(fresh: Any) -> ClauseElement:
    """A row whose key exists is an error."""
    refused: ClauseElement = fresh
    return refused


def keep(fresh: Any) -> ClauseElement:
    """The existing row stays as it is."""
    kept: ClauseElement = fresh.on_conflict_do_nothing()
    return kept


def replace(fresh: Any) -> ClauseElement:
    """The existing row gets the values of the new one."""
    table = fresh.table
    others = {one.name: fresh.excluded[one.name] for one in table.columns if not one.primary_key}
    replaced: ClauseElement = fresh.on_conflict_do_update(index_elements=table.primary_key.columns, set_=others)
    return replaced


class Insertion:
    """Puts rows into ``table``. With a ``conflict`` that changes existing rows, a key may occur only once in a call."""

    def __init__(self, table: Table, conflict: Conflict = refuse) -> None:
        columns = {one.name: one.type for one in table.columns}

        def compose(sqlite: bool) -> ClauseElement:
            fresh = insert(table, sqlite)
            return conflict(fresh if sqlite else fresh.from_select(list(columns), select(given_objects(columns))))

        self._rows = Rows(columns, compose)

    async def put(self, connection: AsyncConnection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put in ``rows``, in order; each has its values in the order of the table's columns."""
        await self._rows.write(connection, rows)
