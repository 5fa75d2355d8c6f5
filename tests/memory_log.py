"""An event log in memory, for tests of what uses a log. ``tests/contract/test_memory_log.py`` holds it to the contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from zlib import crc32

from schemas.errors import LogUnavailable, TooLarge
from schemas.log import RECORD_BYTES, Claim, NewRecord, Position, Record


class MemoryLog:
    """Keeps records in lists. ``room`` is the number of records it still takes: then it is down, in the middle of a call.

    What it takes of that call is the worst that is allowed: nothing if it is atomic, else the last ones without the first.
    """

    def __init__(self, atomic: bool = True, partitions: int = 4) -> None:
        self.identity = ""
        self.atomic = atomic
        self.room: float = float("inf")
        self.appends = 0
        """Calls of `append` that succeeded."""
        self._partitions = partitions
        self._topics: dict[str, list[list[Record]]] = {}
        self._grown = asyncio.Condition()
        self._groups: dict[str, MemoryFollower] = {}
        """Who holds the partitions of each group: one member all of them."""
        self._marks: dict[str, str] = {}
        self._closed = False

    def again(self) -> MemoryLog:
        """Another connection to the same records."""
        other = MemoryLog(self.atomic, self._partitions)
        other._topics, other._grown, other._groups = self._topics, self._grown, self._groups
        other._marks = self._marks
        return other

    def trouble(self) -> LogUnavailable | None:
        return None if self.room else LogUnavailable()

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        self._check()
        if any(len(record.value) > RECORD_BYTES for record in records):
            raise TooLarge
        await asyncio.sleep(0)
        fitting = self._fitting(records)
        self.room -= len(fitting)
        positions = [self._add(record) for record in fitting]
        async with self._grown:
            self._grown.notify_all()
        if len(fitting) < len(records):
            raise LogUnavailable
        self.appends += 1
        return positions

    def _fitting(self, records: Sequence[NewRecord]) -> Sequence[NewRecord]:
        if len(records) <= self.room:
            return records
        return [] if self.atomic else records[len(records) - int(self.room) :]

    def _add(self, record: NewRecord) -> Position:
        partition = crc32(record.key.encode()) % self._partitions
        entries = self._of(record.topic)[partition]
        entries.append(Record(record.topic, partition, len(entries), record.key, record.value, time.time()))
        return Position(record.topic, partition, len(entries) - 1)

    def _of(self, topic: str) -> list[list[Record]]:
        return self._topics.setdefault(topic, [[] for _ in range(self._partitions)])

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        self._check()
        return self._of(topic)[partition][start : start + limit]

    async def ends(self, topic: str) -> Mapping[int, int]:
        self._check()
        return {partition: len(entries) for partition, entries in enumerate(self._of(topic))}

    async def starts(self, topic: str) -> Mapping[int, int]:
        self._check()
        return dict.fromkeys(range(self._partitions), 0)

    async def mark(self, name: str, value: str | None = None) -> str | None:
        self._check()
        return self._marks.get(name) if value is None else self._marks.setdefault(name, value)

    async def close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")

    @asynccontextmanager
    async def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AsyncIterator[MemoryFollower]:
        follower = MemoryFollower(self, topics, group, claim)
        try:
            yield follower
        finally:
            if self._groups.get(group) is follower:
                del self._groups[group]

    def all(self, topic: str) -> list[Record]:
        """Every record of ``topic``, partition by partition."""
        return [record for entries in self._of(topic) for record in entries]


class MemoryFollower:
    """A member of a group, which is given all partitions or none."""

    def __init__(self, log: MemoryLog, topics: Sequence[str], group: str, claim: Claim) -> None:
        self._log = log
        self._topics = topics
        self._group = group
        self._claim = claim
        self._next: dict[tuple[str, int], int] = {}

    def held(self) -> Iterable[tuple[str, int]]:
        return list(self._next)

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        try:
            async with asyncio.timeout(wait), self._log._grown:
                while not (found := await self._take(limit)):
                    await self._log._grown.wait()
                return found
        except TimeoutError:
            return []

    async def _take(self, limit: int) -> list[Record]:
        if self._log._groups.setdefault(self._group, self) is not self:
            return []
        if not self._next:
            await self._join()
        found: list[Record] = []
        for (topic, partition), start in self._next.items():
            records = await self._log.read(topic, partition, start, limit - len(found))
            self._next[topic, partition] = start + len(records)
            found.extend(records)
        return found

    async def _join(self) -> None:
        positions: dict[tuple[str, int], int] = {}
        for topic in self._topics:
            ends = await self._log.ends(topic)
            for partition, start in (await self._claim(topic, frozenset(ends))).items():
                if start > ends[partition]:
                    raise LogUnavailable("the log is shorter than what was read of it")
                positions[topic, partition] = start
        self._next = positions
