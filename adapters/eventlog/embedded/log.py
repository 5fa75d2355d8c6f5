"""The event log in one SQLite file on this machine, in write-ahead mode. There is no server to install or operate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from adapters.eventlog.embedded.append import entries_of
from adapters.eventlog.embedded.follow import EmbeddedFollower
from adapters.eventlog.embedded.lock import FileLock
from adapters.eventlog.embedded.mark import mark
from adapters.eventlog.embedded.reader import EmbeddedReader
from adapters.eventlog.embedded.watch import Watch
from adapters.eventlog.embedded.writer import GroupWriter
from schemas.errors import LogUnavailable
from schemas.log import PARTITIONS, Claim, Follower, NewRecord, Position, Record

PATIENCE = timedelta(seconds=10)
"""How long an append may take. Senders wait longer for their acknowledgement (MLLP: commonly 30 s), so a failure is answered
before they give up."""

_T = TypeVar("_T")


class EmbeddedLog:
    """`schemas.log.EventLog` in a SQLite file.

    Beyond what the port requires:

    * **Atomic.** One `append` is in the log as a whole or not at all, whatever topics its records go to.
    * **One order.** Followers get the records of all partitions and topics in the order in which they were appended.
    * **Several processes** of one machine may append, read and follow at the same time. A group's partitions are held by
      one member; `Follower.poll` of the others returns nothing until that member leaves or dies.
    * **Any thread.** The methods may be called from event loops of several threads; a record appended on one wakes the
      followers of all.

    Beside ``log.db`` are SQLite's ``-wal`` and ``-shm`` files (part of the log while a process has it open) and lock files. The
    disk must be local, because SQLite's write-ahead mode needs memory that its processes share.
    """

    atomic = True

    def __init__(self, path: Path, partitions: int = PARTITIONS, patience: timedelta = PATIENCE) -> None:
        """Open the log at ``path``, and create it if it is missing; its folder must exist.

        Raises `SettingsError` when the path cannot be a log or the log has another number of partitions, `LogUnavailable`
        when its disk fails or another process keeps it locked.
        """
        self._path, self._partitions, self._patience = path, partitions, patience.total_seconds()
        self._followers: set[EmbeddedFollower] = set()
        self._writer = GroupWriter(path, partitions, self._patience, self._wake)
        self._watch = Watch(self._open_reader, self._wake)
        self._reading = ThreadPoolExecutor(1, "log-reader")
        self._closed = False
        try:
            self._reader: EmbeddedReader | None = self._open_reader()
            """Opened at once: while it is open, SQLite keeps the write-ahead file, so that a full disk cannot stop readers."""
            self.identity = f"sqlite:{self._reader.identity():016x}"
        except LogUnavailable:
            self._writer.finish()
            raise

    def trouble(self) -> LogUnavailable | None:
        """As the port says. Checks that the path still names the file in use, and that its disk has room."""
        return self._writer.trouble()

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        if self._closed:
            raise LogUnavailable("the log is closed")
        return await self._writer.submit(entries_of(records, self._partitions)) if records else ()

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        """As the port says. Raises `CorruptLog` if the first record is broken; those before a broken one are returned first."""
        return await self._read(lambda reader: reader.partition(topic, partition, start, limit))

    async def ends(self, topic: str) -> Mapping[int, int]:
        return await self._read(lambda reader: reader.ends(topic))

    async def starts(self, topic: str) -> Mapping[int, int]:
        return await self._read(lambda reader: reader.starts(topic))

    async def mark(self, name: str, value: str | None = None) -> str | None:
        return await self._read(lambda _: mark(self._path, name, value, self._patience / 2))

    @asynccontextmanager
    async def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AsyncIterator[Follower]:
        """As the port says; the first `Follower.poll` that finds the group free joins it."""
        lock = FileLock(self._path.with_name(f"{self._path.name}-group-{quote(group, safe='')}.lock"))
        follower = EmbeddedFollower(self._open_reader, topics, self._partitions, lock, claim)
        self._followers.add(follower)
        self._watch.start()
        try:
            if self._closed:
                raise LogUnavailable("the log is closed")
            yield follower
        finally:
            self._followers.discard(follower)
            await follower.close()

    async def close(self) -> None:
        """As the port says. Further calls do nothing.

        Raises `LogUnavailable` when the disk hangs for longer than an append may take.
        """
        if self._closed:
            return
        self._closed = True
        for follower in tuple(self._followers):
            follower.stop()
        try:
            written = await asyncio.get_running_loop().run_in_executor(self._reading, self._finish)
        finally:
            self._reading.shutdown(wait=False)
        if not written:
            raise LogUnavailable("the log's last records could not be written in time", where=str(self._path))

    def _finish(self) -> bool:
        self._watch.stop()
        if self._reader is not None:
            self._reader.close()
        # Last, and alone: of two connections that close at one moment neither folds the write-ahead file into the log.
        self._writer.finish()
        return self._writer.join()

    def _wake(self) -> None:
        for follower in tuple(self._followers):
            follower.wake()

    def _open_reader(self) -> EmbeddedReader:
        return EmbeddedReader(self._path, self._partitions, self._patience / 2)

    async def _read(self, look: Callable[[EmbeddedReader], _T]) -> _T:
        """Read in the log's reading thread, so that a slow disk does not block an event loop."""
        if self._closed:
            raise LogUnavailable("the log is closed")
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._look, look)

    def _look(self, look: Callable[[EmbeddedReader], _T]) -> _T:
        reader = self._reader = self._reader or self._open_reader()
        try:
            return look(reader)
        except LogUnavailable:
            self._reader = None  # after an error, a new connection reads the file afresh
            reader.close()
            raise
