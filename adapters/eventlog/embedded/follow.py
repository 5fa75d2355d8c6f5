"""Follows the embedded log: one member of a group holds all partitions, and the others wait until it leaves.

Sharing the partitions would gain nothing, since the log is on one machine. The members, in any process, take turns by a lock
file beside the log, one for each group; the kernel releases it when its holder dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from adapters.eventlog.embedded.lock import FileLock
from adapters.eventlog.embedded.reader import EmbeddedReader, RecordRange, corrupt
from schemas.errors import LogUnavailable
from schemas.log import Claim, Record

_WAITING_PAUSE_SECONDS = 0.05
"""Pause between attempts to join while another member has the group."""

_T = TypeVar("_T")


class EmbeddedFollower:
    """`schemas.log.Follower`. For one task at a time; `wake` and `stop` may be called from any thread."""

    def __init__(
        self, open_reader: Callable[[], EmbeddedReader], topics: Sequence[str], partitions: int, lock: FileLock, claim: Claim
    ) -> None:
        self._open_reader, self._lock, self._claim = open_reader, lock, claim
        self._topics, self._partitions = tuple(dict.fromkeys(topics)), frozenset(range(partitions))
        self._thread = ThreadPoolExecutor(1, "log-follower")
        """Reads in a thread of its own, so that a slow disk does not block an event loop."""
        self._reader: EmbeddedReader | None = None
        self._next: dict[tuple[str, int], int] = {}
        """Next offset of each partition held; empty until the partitions are claimed."""
        self._behind = 0
        """Number of the entry up to which everything has been returned."""
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        """Event loop of the poll in progress."""
        self._stopped = False

    def held(self) -> Iterable[tuple[str, int]]:
        return tuple(self._next)

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        """As the port says; nothing while another member has the group."""
        self._loop = asyncio.get_running_loop()  # before looking, so that a later append wakes this poll
        deadline = self._loop.time() + wait
        try:
            while True:
                self._news.clear()
                if self._stopped:
                    raise LogUnavailable("the log is closed")
                if (self._next or await self._join()) and (records := await self._advance(limit)):
                    return records
                left = deadline - self._loop.time()
                if left <= 0:
                    return ()
                await self._pause(left)
        finally:
            self._loop = None

    def wake(self) -> None:
        """Have a waiting poll look again at once, because something was appended."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile, so nobody is waiting
                loop.call_soon_threadsafe(self._news.set)

    def stop(self) -> None:
        """Have polls raise from now on, because the log is being closed."""
        self._stopped = True
        self.wake()

    async def close(self) -> None:
        """Leave the group."""
        try:
            await self._in_thread(self._leave)
        finally:
            self._thread.shutdown(wait=False)

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._lock.close()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _join(self) -> bool:
        """Take the group if it is free, and claim its partitions. Returns whether they are held."""
        try:
            if not self._lock.try_acquire():
                return False
        except OSError as error:
            message = f"the group's lock file cannot be used: {error.strerror}"
            raise LogUnavailable(message, where=str(self._lock.path)) from error
        if self._reader is None:
            self._reader = await self._in_thread(self._open_reader)
        wanted: dict[tuple[str, int], int] = {}
        for topic in self._topics:
            claimed = await self._claim(topic, self._partitions)
            wanted |= {(topic, partition): claimed.get(partition, 0) for partition in self._partitions}
        self._behind = await self._in_thread(partial(self._reader.before, wanted))
        self._next = wanted
        return True

    async def _advance(self, limit: int) -> Sequence[Record]:
        """The next records, if there are any. A cancelled call leaves the position as it was."""
        while batch := await self._in_thread(partial(self._look, limit)):
            records, whole = self._wanted(batch)
            if whole:
                self._behind = batch.until
            if records or batch.drained:
                return records
        return ()

    def _look(self, limit: int) -> RecordRange | None:
        """The entries after the last one that was returned, or ``None``. Runs in the thread."""
        reader = self._reader
        if reader is None or reader.last() == self._behind:
            return None
        return reader.behind(self._behind, self._topics, limit)

    def _wanted(self, batch: RecordRange) -> tuple[Sequence[Record], bool]:
        """The records of the batch from the claimed positions on, up to the first gap, and whether there was no gap.

        Raises `CorruptLog` when it begins with a gap: offsets of this log have none, so an entry was lost.
        """
        records: list[Record] = []
        for record in batch.records:
            partition = (record.topic, record.partition)
            expected = self._next[partition]
            if record.offset > expected:
                if not records:
                    raise corrupt(*partition, expected, "the entry is missing")
                return records, False
            if record.offset == expected:
                self._next[partition] = expected + 1
                records.append(record)
        return records, True

    async def _pause(self, left: float) -> None:
        """Wait until something was appended, or until the next attempt to join."""
        with suppress(TimeoutError):
            async with asyncio.timeout(left if self._next else min(left, _WAITING_PAUSE_SECONDS)):
                await self._news.wait()
