"""Makes each engine's connections: drivers, timeouts, caches, and how far a commit must get before it is reported."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, event
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from consumers.database import inline_sqlite
from consumers.database.use import DatabaseUse
from schemas.errors import SettingsError

BUSY_TIMEOUT = timedelta(seconds=5)
"""How long SQLite waits for another process's transaction."""
_AGAIN_S = 0.01
"""Time between attempts to switch a new file to write-ahead logging, which takes a few milliseconds."""
CACHE_KIB = 65_536
"""Limit of SQLite's own cache: 64 MiB hold the upper levels of every index for about ten million entries."""
KEEPALIVE_S = 30
"""A server silent for this long is asked whether it is there, and given up after as long again. Otherwise one that was cut off
without a word is waited for until the system gives up, a quarter of an hour later. `consumers.database.deadline` ends the waits
for anything in between that still acknowledges."""
APPLICATION = "care-backbone"
"""What PostgreSQL's ``pg_stat_activity`` calls our sessions."""
CHECKPOINT_PAGES = 4_000
"""The write-ahead log is folded into the file every 16 MiB, a quarter as often as by default, because a backlog writes much."""


REBUILT = ("journal_mode=WAL", "synchronous=NORMAL", f"wal_autocheckpoint={CHECKPOINT_PAGES}")
"""Of a file that the log makes up for."""
DURABLE = (
    # Until it is in WAL mode: if a power cut undid the removal of the journal, the change of mode would be rolled back at the
    # next start, and with it the content of the write-ahead file.
    "synchronous=EXTRA",
    "journal_mode=WAL",
    "synchronous=FULL",  # a commit returns after its fsync
    "fullfsync=ON",  # macOS: fsync alone stops at the drive's cache
    "checkpoint_fullfsync=ON",
    "wal_autocheckpoint=0",  # `consumers.database.database.Database.checkpoint` holds off writers meanwhile
)
"""Of a file that nothing makes up for, as of the embedded log (`adapters.eventlog.embedded.file`)."""


class ConnectionSettings(NamedTuple):
    """The settings of connections to a database."""

    pool: int = 5
    """Most connections of each kind (reading, writing) that one process holds."""
    statement_timeout: timedelta = timedelta(seconds=30)
    """Time after which PostgreSQL gives up on a statement; no query of ours takes a thousandth of it."""
    idle_timeout: timedelta = timedelta(seconds=30)
    """Time after which PostgreSQL ends a transaction whose process is silent: a frozen process must not keep its locks."""
    connect_timeout: timedelta = timedelta(seconds=5)
    pool_timeout: timedelta = timedelta(seconds=10)
    """How long to wait for a connection when all are busy."""
    pooler: bool = False
    """Whether PostgreSQL is behind a pooler that shares connections between transactions (PgBouncer with ``pool_mode =
    transaction``). Nothing may then outlive a transaction, neither a prepared statement nor a session's parameter."""


class Engines(NamedTuple):
    """The two engines of one database."""

    reader: AsyncEngine
    """In autocommit: each statement sees what is committed when it begins, and none costs a transaction."""
    writer: AsyncEngine


DRIVERS: Mapping[str, str] = {
    "sqlite": inline_sqlite.DRIVER,
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""Scheme of the URL in the settings → SQLAlchemy's driver."""


def engines(url: str, settings: ConnectionSettings, use: DatabaseUse) -> Engines:
    """The engines of the database at ``url``. Opens nothing yet.

    Raises `SettingsError` when the URL names no engine of `DRIVERS`, or no file.
    """
    target = _target(url, use)
    return _MAKERS[target.drivername](target, settings, use.durable)


def _target(url: str, use: DatabaseUse) -> URL:
    cure = f"Use sqlite:///path/{use.name}.db or postgresql://user@host/name."
    try:
        given = make_url(url)
        target = given.set(drivername=DRIVERS[given.drivername])
    except (ArgumentError, KeyError):
        raise SettingsError(f"the {use.name}'s URL names no known engine", cure=cure, where=use.name) from None
    if target.drivername == inline_sqlite.DRIVER and target.database in (None, "", ":memory:"):
        raise SettingsError(f"the {use.name}'s URL names no file", cure=cure, where=use.name)
    return target


def _sqlite(target: URL, settings: ConnectionSettings, durable: bool) -> Engines:
    inline_sqlite.register()
    cache = f"cache_size=-{CACHE_KIB}"

    def engine(factory: type[inline_sqlite.ReadingConnection], *pragmas: str) -> AsyncEngine:
        arguments = {"factory": factory, "timeout": BUSY_TIMEOUT.total_seconds(), "cached_statements": 512}
        made = create_async_engine(
            target, pool_size=settings.pool, max_overflow=0, hide_parameters=True, connect_args=arguments
        )

        def prepare(connection: Any, record: object) -> None:
            for pragma in pragmas:
                _set(connection, pragma)

        event.listen(made.sync_engine, "connect", prepare)
        return made

    return Engines(
        engine(inline_sqlite.ReadingConnection, "query_only=ON", cache),
        engine(inline_sqlite.WritingConnection, *(DURABLE if durable else REBUILT), "foreign_keys=ON", cache),
    )


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    """Run a pragma, trying again while the file is busy. Several processes may meet at a new file, and SQLite itself does not
    wait for the switch to write-ahead logging.

    Source: https://www.sqlite.org/wal.html §2.1 and `sqlite3_busy_handler`: the handler may not be called.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT.total_seconds()
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _session(settings: ConnectionSettings, durable: bool) -> dict[str, str]:
    """PostgreSQL's parameters of a session."""
    limits = {"statement_timeout": settings.statement_timeout, "idle_in_transaction_session_timeout": settings.idle_timeout}
    session = {name: str(int(limit / timedelta(milliseconds=1))) for name, limit in limits.items()}
    session["synchronous_commit"] = "on" if durable else "off"
    # Every statement has an index. PostgreSQL keeps the plans of prepared statements: a plan made while a table was empty or
    # not yet analysed (ANALYZE) would scan the whole table for minutes, however much it has grown since.
    session["enable_seqscan"] = "off"
    session["jit"] = "off"  # until 17 a plan that cannot do without would be compiled, for a hundred times as long as it runs
    return session


def _postgresql(target: URL, settings: ConnectionSettings, durable: bool) -> Engines:
    arguments: dict[str, Any] = {
        "application_name": APPLICATION,
        "connect_timeout": max(1, round(settings.connect_timeout.total_seconds())),
        "keepalives_idle": KEEPALIVE_S,
        "keepalives_interval": KEEPALIVE_S // 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 2 * KEEPALIVE_S * 1000,
    }
    if settings.pooler:
        arguments["prepare_threshold"] = None
    else:
        arguments["options"] = " ".join(f"-c {name}={value}" for name, value in _session(settings, durable).items())
    options: dict[str, Any] = {
        "connect_args": arguments,
        "paramstyle": "format",  # by position, as all
        "pool_size": settings.pool,
        "max_overflow": 0,
        "pool_timeout": settings.pool_timeout.total_seconds(),
        "hide_parameters": True,
    }
    made = Engines(
        create_async_engine(target, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **options),
        create_async_engine(target, **options),
    )
    event.listen(made.writer.sync_engine, "after_cursor_execute", _watch_again)
    if settings.pooler:
        event.listen(made.writer.sync_engine, "begin", _begin(settings, durable))
    return made


def _watch_again(connection: Connection, cursor: Any, statement: str, values: Any, context: Any, executemany: bool) -> None:
    """Have the server watch again for a transaction whose process is silent.

    psycopg ends many statements with ``Sync`` and then ``Flush``, and PostgreSQL stops the clock of
    ``idle_in_transaction_session_timeout`` at any message after the ``Sync``: a process frozen at that point would keep its
    locks for ever. An empty statement restarts the clock. Source: PostgreSQL, ``PostgresMain`` in ``tcop/postgres.c``.
    """
    if executemany:
        extra = connection.connection.cursor()
        extra.execute("")
        extra.close()


def _begin(settings: ConnectionSettings, durable: bool) -> Callable[[Connection], None]:
    """Give a transaction the parameters that a session of its own would have."""
    each = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _session(settings, durable).items())

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT {each}").close()

    return begin


_MAKERS: Mapping[str, Callable[[URL, ConnectionSettings, bool], Engines]] = {
    inline_sqlite.DRIVER: _sqlite,
    "postgresql+psycopg": _postgresql,
}
