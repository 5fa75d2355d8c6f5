"""Group commit: many callers on many event loops share one transaction of the ledger, and so one fsync.

A thread with an event loop of its own writes everything that was handed in while it wrote the last group as the next group: the
busier the ledger, the larger the groups. No caller waits for a group to fill, and no event loop for a disk.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.database.trouble import cure_of, engine_trouble
from consumers.database.use import LEDGER
from schemas.errors import BackboneError, EngineUnavailable, LedgerUnavailable

PATIENCE = timedelta(seconds=10)
"""How long a write may take, as an append to the log: whoever waits for it has not given up by then."""
GROUP_PARTS = 256
"""A group of this size takes no more: a larger one would hardly save fsyncs, and keep its first caller waiting."""
CHECKPOINT_EVERY = 256
"""Transactions between two checkpoints, some 10 MB of the write-ahead file."""
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7162260640)")
"""Any number that nobody else uses; until the end of the transaction."""
_ITS_OWN = ("42", "SQLITE_ERROR")
"""Troubles of a single statement, which leave the transaction as it was before it."""

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

Part = Callable[[AsyncConnection], Awaitable[_T]]
"""What one caller writes, within the transaction of all. It may run twice, on another connection: what it did is undone before.
It awaits nothing but its statements, as the others wait for it."""


class LedgerObserver(Protocol):
    """Told of each transaction of the ledger."""

    def kept(self, parts: int, seconds: float) -> None:
        """So many callers' parts became durable together, in that time."""
        ...


class _Job(NamedTuple):
    part: Part[Any]
    future: Future[Any]


class _PartFailedError(Exception):
    """A part of the group raised: all are undone, and done again one by one."""


class LedgerWriter:
    """Writes to the ledger. Its methods may be called from any thread."""

    def __init__(
        self,
        database: Database,
        prepare: Callable[[Database], Awaitable[None]],
        observer: LedgerObserver,
        patience: timedelta = PATIENCE,
        checkpoint_every: int = CHECKPOINT_EVERY,
    ) -> None:
        """``database`` is used by nobody else, and closed by `close`. ``prepare`` makes or checks its tables: it is called
        before the first write, and again until it succeeds."""
        self._database, self._prepare, self._observer = database, prepare, observer
        self._checkpoint_every = checkpoint_every
        self._patience_s = patience.total_seconds()
        self._loop = asyncio.new_event_loop()
        self._waiting: asyncio.Queue[_Job | None] = asyncio.Queue()
        """``None`` marks its end."""
        self._ended = False
        self._prepared = False
        self._closed = False
        self._submitting = threading.Lock()
        """Guards ``_closed``, so that nothing is handed in after the end."""
        self._trouble: BackboneError | None = None
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        """A daemon thread, so that a hanging disk cannot keep the process from ending."""
        self._thread.start()

    @property
    def trouble(self) -> BackboneError | None:
        """Why the last group was not written; ``None`` when it was, or there was none yet."""
        return self._trouble

    async def write(self, part: Part[_T]) -> _T:
        """Run ``part`` in the next transaction; returns what it returned once that is durable.

        Raises what ``part`` raised, which harms no other caller. Raises `LedgerUnavailable`, after which it may or may not be
        in the ledger; the same holds when the caller is cancelled.
        """
        future: Future[_T] = Future()
        with self._submitting:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, _Job(part, future))
        try:
            async with asyncio.timeout(self._patience_s) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not limit.expired():
                raise
            cure = "Try again. Does the ledger's disk hang, or does another process keep it to itself?"
            message = "the ledger did not take it in time; it may or may not be in it"
            raise LedgerUnavailable(message, cure=cure) from None

    async def open(self) -> None:
        """See that the ledger can be written and its tables are there. Raises `LedgerUnavailable`."""
        await self.write(_nothing)

    async def close(self) -> None:
        """Accept nothing more, and wait until what was handed in is written, at most as long as a caller waits."""
        with self._submitting:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._waiting.put_nowait, None)
        await asyncio.to_thread(self._thread.join, self._patience_s)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        written = 0
        while group := await self._next_group():
            if live := [job for job in group if job.future.set_running_or_notify_cancel()]:  # the others gave up
                await self._settle(live)
                written += 1
                if written % self._checkpoint_every == 0:
                    await self._checkpoint()
        await self._database.close()

    async def _next_group(self) -> list[_Job]:
        """What was handed in, oldest first; empty when nothing more will come."""
        group: list[_Job] = []
        while not self._ended and len(group) < GROUP_PARTS and not (group and self._waiting.empty()):
            job = await self._waiting.get()
            if job is None:
                self._ended = True
            else:
                group.append(job)
        return group

    async def _settle(self, jobs: Sequence[_Job]) -> None:
        began = time.perf_counter()
        try:
            outcomes = await self._write(jobs)
        except Exception as error:  # nothing above in this thread: every caller must learn of any error
            self._trouble = _fault(error)
            outcomes = [_fault(error) for _ in jobs]
        else:
            self._trouble = None
            self._observer.kept(len(jobs), time.perf_counter() - began)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    async def _write(self, jobs: Sequence[_Job]) -> Sequence[Any]:
        """What each part returned or, as a value, raised. Raises when none of it is known to be durable."""
        if not self._prepared:
            await self._prepare(self._database)
            self._prepared = True
        try:
            return await _together(self._database, jobs)
        except _PartFailedError:
            return await _apart(self._database, jobs)

    async def _checkpoint(self) -> None:
        """A failure loses nothing: what was told is in the write-ahead file, and it is tried again soon."""
        try:
            await self._database.checkpoint()
        except EngineUnavailable as error:
            _LOGGER.warning("the ledger's write-ahead file keeps growing: %s", error)


async def _nothing(_: AsyncConnection) -> None:
    """A part that writes nothing."""


@asynccontextmanager
async def _transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction of a group; of all processes one at a time has one, as SQLite has it anyway.

    Two groups that change the same rows in another order would otherwise lock each other out for a second.
    """
    async with database.writing() as connection:
        if not database.is_sqlite:
            await connection.execute(_ONE_AT_A_TIME)
        yield connection


async def _together(database: Database, jobs: Sequence[_Job]) -> list[Any]:
    """Every part in one transaction, as long as none fails."""
    async with _transaction(database) as connection:
        try:
            return [await job.part(connection) for job in jobs]
        except Exception as error:
            raise _PartFailedError from error


async def _apart(database: Database, jobs: Sequence[_Job]) -> list[Any]:
    """Every part within a savepoint of one transaction, so that only those that fail are undone."""
    async with _transaction(database) as connection:
        return [await _alone(connection, job.part) for job in jobs]


async def _alone(connection: AsyncConnection, part: Part[Any]) -> Any:
    """What ``part`` returned or, as a value, raised. Raises when its trouble may have ended the transaction."""
    try:
        async with connection.begin_nested():
            return await part(connection)
    except Exception as error:
        trouble = engine_trouble(error)
        if trouble is None:
            return error
        if not trouble.startswith(_ITS_OWN):
            raise
        return LedgerUnavailable(f"the ledger does not take this ({trouble})", cure=cure_of(trouble, LEDGER))


def _fault(error: Exception) -> LedgerUnavailable:
    """The error a caller gets for ``error``: a new one for each, because each adds its own traceback."""
    if isinstance(error, LedgerUnavailable):
        fault = type(error)(error.message, cure=error.cure, where=error.where)
    elif isinstance(error, BackboneError):
        fault = LedgerUnavailable(error.message, cure=error.cure, where=error.where)
    else:
        fault = LedgerUnavailable(f"the ledger's writer failed: {type(error).__name__}")
    fault.__cause__ = error
    return fault
