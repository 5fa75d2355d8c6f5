"""One asynchronous interface to the store and to the ledger, whichever engine is behind it.

Reads are single statements in autocommit; writes are one transaction. `consumers.database.use` says how the two differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from consumers.database.deadline import transaction
from consumers.database.engines import ConnectionSettings, Engines, engines
from consumers.database.trouble import answering
from consumers.database.use import STORE, DatabaseUse

CLOSE_S = 2.0
"""How long closing connections may take: a stop has ten seconds for everything."""


class Pool(NamedTuple):
    """Connections of one kind."""

    used: int
    limit: int
    """The most there may be."""


class Database:
    """The store or the ledger. Belongs to the event loop that first uses it: another thread makes its own.

    Its methods raise `DatabaseUse.unavailable`: `StoreUnavailable`, `LedgerUnavailable`.
    """

    def __init__(self, made: Engines, settings: ConnectionSettings, use: DatabaseUse = STORE) -> None:
        self._reader, self._writer = made
        self.use = use
        self._patience_s = (settings.statement_timeout + settings.connect_timeout).total_seconds()
        """Longest wait for a statement. The server itself gives up sooner, unless it is frozen or cut off."""
        self._pool_wait_s = settings.pool_timeout.total_seconds()
        self.dialect: Dialect = made.writer.dialect
        self.is_sqlite = self.dialect.name == "sqlite"
        # SQLite has one writer. Within a loop a second one must wait here: waiting inside SQLite would stop the loop, and with
        # it the first.
        self._turn = asyncio.Lock() if self.is_sqlite else None
        self._file = OpenFile(made.writer.url.database, for_good=use.durable) if self.is_sqlite else None
        self._kept: AsyncConnection | None = None
        self._driver: Any = None
        """The driver's own connection beneath the kept one: asking SQLAlchemy for it each time would cost 20 µs."""

    @staticmethod
    def connect(url: str, settings: ConnectionSettings | None = None, use: DatabaseUse = STORE) -> Database:
        """The database at ``url``: ``sqlite:///path`` or ``postgresql://…``.

        Opens nothing yet. Raises `SettingsError` when the URL names none of these engines.
        """
        settings = settings or ConnectionSettings()
        return Database(engines(url, settings, use), settings, use)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reads, each statement on its own."""
        await self._let_go_of_another_file()
        with answering(self.use):
            async with asyncio.timeout(self._patience_s), self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed when the block ends, rolled back when it raises.

        When the commit raises, the transaction may or may not have been committed. Every wait for a statement ends.
        """
        async with self._turn or nullcontext():
            await self._let_go_of_another_file()
            with answering(self.use):
                async with self._begun() as connection:
                    yield connection
            if self.use.durable:  # what went to a file that is no longer there is lost with the process
                await self._let_go_of_another_file()

    async def checkpoint(self) -> None:
        """Bring SQLite's write-ahead file into the database's. PostgreSQL does so by itself.

        No process writes meanwhile: up to SQLite 3.51.2 a checkpoint beside another connection's commit could, rarely, lose it
        ("WAL-reset bug"). FULL takes the write lock first. Source: https://www.sqlite.org/c3ref/wal_checkpoint_v2.html.
        """
        async with self._turn or nullcontext():
            with answering(self.use):
                if self.is_sqlite:
                    async with self._writer.connect() as connection:
                        driver: Any = (await connection.get_raw_connection()).driver_connection
                        driver.execute("PRAGMA wal_checkpoint(FULL)").fetchall()

    def _begun(self) -> AbstractAsyncContextManager[AsyncConnection]:
        if self.is_sqlite:  # it waits for nobody, and has a limit of its own for other processes
            return self._writer.begin()
        return transaction(self._writer, self._patience_s, self._patience_s + self._pool_wait_s)

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """The rows of one read by a statement already compiled for the driver (see `consumers.database.statement`).

        The fast path, for serving pages: nothing is compiled and, on SQLite, no connection is taken from a pool. A connection
        that has broken since the last read is replaced without the caller noticing.
        """
        if self._file is not None:
            await self._let_go_of_another_file()
            with answering(self.use):
                return await self._fetch_inline(statement, parameters)
        with answering(self.use):
            async with asyncio.timeout(self._patience_s):
                return await self._fetch_anew(statement, parameters)

    async def only_reads(self) -> bool:
        """Whether PostgreSQL takes no writes of ours, as a standby does not."""
        return not self.is_sqlite and list(await self.fetch("SELECT current_setting('transaction_read_only')", ())) == [("on",)]

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self._file is not None and not self._file.path.exists()

    async def let_go(self) -> bool:
        """Close the open file if its name now leads to another file or to none, and say whether it did.

        What is asked next opens what is there then: who only looks now and then asks for this first.
        """
        if self._file is None or self._file.is_there():
            return False
        await self.close()
        return True

    async def _let_go_of_another_file(self) -> None:
        """Close the open file if its name now leads to another file or to none: reads from it are stale, and writes are lost.

        Raises then: of the store once, as the next try opens the new file, which the projections fill again.
        """
        if self._file is not None and await self.let_go():
            message = f"the {self.use.name}'s file was moved or removed while it was in use"
            raise self.use.unavailable(message, cure=self.use.removed, where=str(self._file.path))

    async def _fetch_inline(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        # Statements run to their end where they are called, so all reads of a loop can share one connection.
        if self._driver is None:
            self._kept = await self._reader.connect()
            self._driver = (await self._kept.get_raw_connection()).driver_connection
        rows: Sequence[Any] = self._driver.execute(statement, parameters).fetchall()
        return rows

    async def _fetch_anew(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Try as many connections as the pool may hold, in case all are broken, and then one more."""
        for _ in range(self._reader.pool.size()):  # type: ignore[attr-defined] # of every pool made in `engines`
            try:
                return await self._fetch_pooled(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
        return await self._fetch_pooled(statement, parameters)

    async def _fetch_pooled(self, statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        rows: Sequence[Any] = await greenlet_spawn(self._fetch_lent, statement, tuple(parameters))
        return rows

    def _fetch_lent(self, statement: str, parameters: tuple[Any, ...]) -> Sequence[Any]:
        """Within a greenlet: use a connection of the pool with nothing between the driver and its rows."""
        lent: PoolProxiedConnection | None = None
        try:
            lent = self._reader.sync_engine.raw_connection()
            cursor = lent.cursor()
            cursor.execute(statement, parameters)
            rows: Sequence[Any] = cursor.fetchall()
            cursor.close()
        except self._reader.dialect.loaded_dbapi.Error as error:
            broken = lent is not None and self._reader.dialect.is_disconnect(error, lent, None)
            _throw_away(lent, error)
            raise DBAPIError("", None, error, hide_parameters=True, connection_invalidated=broken) from error
        except BaseException as error:  # interrupted: the server's next answer would be the one to this statement
            _throw_away(lent, error)
            raise
        else:
            lent.close()
        return rows

    def pools(self) -> Mapping[str, Pool]:
        """How many connections are in use, for reading and for writing."""
        kinds = {"reading": self._reader, "writing": self._writer}
        return {use: Pool(engine.pool.checkedout(), engine.pool.size()) for use, engine in kinds.items()}  # type: ignore[attr-defined] # of every pool made in `engines`

    async def close(self) -> None:
        """Close every connection. Transactions in progress are rolled back. A frozen server is not waited for."""
        if self._kept is not None:
            await self._kept.close()
            self._kept = self._driver = None
        for engine in (self._reader, self._writer):
            with suppress(TimeoutError):  # what is left open ends with the process
                async with asyncio.timeout(CLOSE_S):
                    await engine.dispose()


class OpenFile:
    """The file in use, as the system knows it: its name may lead to another file at any moment.

    ``for_good``: no other file will ever do. Otherwise the next one is taken for it once its absence was noticed.
    """

    def __init__(self, path: str | None, *, for_good: bool) -> None:
        self.path, self._for_good = Path(path or ""), for_good
        self._known: tuple[int, int] | None = None

    def is_there(self) -> bool:
        """Whether the name still leads to the same file as at the first call that found one."""
        try:
            found = self.path.stat()
            now = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            now = None
        same = self._known is None or now == self._known
        self._known = now if same else self._known if self._for_good else None
        return same


def _throw_away(lent: PoolProxiedConnection | None, error: BaseException) -> None:
    if lent is not None:
        lent.invalidate(error)


async def durably(connection: AsyncConnection) -> None:
    """Report the transaction of ``connection`` as committed only once it is on disk.

    For changes that no position covers, so that nothing would make up for them: creating tables, finishing a rebuild.
    """
    if connection.dialect.name != "sqlite":
        await connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
