"""SQLite on the event loop itself: SQLAlchemy's async engine without a thread behind it.

Handing a statement to another thread and back, as aiosqlite does, takes 0.4 ms; most statements of the store take a tenth of
that. So they run where they are called, and whoever runs long ones (the projections of ``backbone serve``, a rebuild) does so
in a thread with an event loop of its own.

Two things follow, and callers may rely on them: a statement is never cancelled half-way, and no other coroutine of the loop
runs between two statements unless the caller awaits something else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.url import URL
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util.concurrency import await_

DRIVER = "sqlite+inline"
"""Scheme under which `register` registers the dialect."""


class InlineCursor(sqlite3.Cursor):
    """A cursor as the async engine expects it. Rows stay with SQLite until they are fetched, which involves no waiting."""

    async def _async_soft_close(self) -> None:
        """Called when a statement has run; there is nothing to release."""


class ReadingConnection(sqlite3.Connection):
    """Every statement sees what is committed when it begins: no transaction, so no lock and no snapshot held for long."""

    begins: str | None = None

    def cursor(self, factory: Any = InlineCursor) -> Any:
        return super().cursor(factory)


class WritingConnection(ReadingConnection):
    """A transaction takes the write lock when it begins.

    One that reads first and writes later fails with SQLITE_BUSY at once, whatever the busy timeout, if another one has written
    in between. Source: https://www.sqlite.org/lang_transaction.html §2.2.
    """

    begins = "BEGIN IMMEDIATE"


async def _done() -> None:
    """Completes at once. The async engine treats a driver that never awaits as a mistake, so each statement awaits this."""


class InlineSQLite(SQLiteDialect_pysqlite):
    """The pysqlite dialect, called asynchronous."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        return AsyncAdaptedQueuePool

    def on_connect(self) -> Callable[[Any], None]:
        def take_charge(connection: Any) -> None:
            connection.isolation_level = None  # the driver begins nothing by itself: do_begin does

        return take_charge

    def do_begin(self, dbapi_connection: Any) -> None:
        if dbapi_connection.begins:
            dbapi_connection.execute(dbapi_connection.begins)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        cursor.execute(statement, parameters)
        await_(_done())

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        cursor.execute(statement)
        await_(_done())

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        cursor.executemany(statement, parameters)
        await_(_done())


def register() -> None:
    """Make ``sqlite+inline://`` known to SQLAlchemy. Harmless when repeated."""
    registry.register("sqlite.inline", __name__, InlineSQLite.__name__)
