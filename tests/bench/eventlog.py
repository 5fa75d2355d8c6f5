"""How fast the embedded log takes and gives records, beside a bare floor in the same run: ``python -m tests.bench.eventlog``.

The floor is SQLite with one table, ``executemany``, group commit and nothing else: no partitions, offsets, checksums, index or
second process. Both append one event of 2 KiB and one receipt of 500 bytes a call, each caller awaiting each call.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any, Protocol

from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.log import EVENTS, RECEIPTS, NewRecord

EVENT, RECEIPT = os.urandom(2048), os.urandom(500)
KEYS = [os.urandom(16).hex() for _ in range(5000)]
ROUNDS = 7
"""Floor and log in turn, so that what else the machine does meets both; the median of the rounds counts."""


class _Log(Protocol):
    async def append(self, records: Sequence[NewRecord]) -> object: ...

    async def close(self) -> None: ...


class BareFloor:
    """What group commit costs without a log."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, topic TEXT, key TEXT, value BLOB)")
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[Sequence[NewRecord], asyncio.Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def append(self, records: Sequence[NewRecord]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((records, done))
        await done

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            jobs = [first]
            try:
                while (job := self._queue.get_nowait()) is not None:
                    jobs.append(job)
            except Empty:
                pass
            self._connection.execute("BEGIN IMMEDIATE")
            rows = [record for records, _ in jobs for record in records]
            self._connection.executemany("INSERT INTO log (topic, key, value) VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, [done for _, done in jobs])


def _settle(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def appends_a_second(make: Callable[[Path], _Log], callers: int, total: int) -> tuple[float, float]:
    """The rate, and the processor's microseconds for each."""
    with tempfile.TemporaryDirectory() as folder:
        log = make(Path(folder) / "log.db")
        numbers = iter(range(total))

        async def append_in_turn() -> None:
            for number in numbers:
                key = KEYS[number % len(KEYS)]
                await log.append([NewRecord(EVENTS, key, EVENT), NewRecord(RECEIPTS, key, RECEIPT)])

        began, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(append_in_turn() for _ in range(callers)))
        took, work = time.perf_counter() - began, time.process_time() - worked
        await log.close()
        return total / took, work / total * 1e6


async def measure_appends(callers: int, total: int) -> None:
    found = [
        (*await appends_a_second(BareFloor, callers, total), *await appends_a_second(EmbeddedLog, callers, total))
        for _ in range(ROUNDS)
    ]
    floor, floor_work, log, log_work = (median(column) for column in zip(*found, strict=True))
    ratio = median(one[2] / one[0] for one in found)
    print(
        f"{callers:4} callers: log {log:7,.0f}/s ({log_work:.0f} µs), floor {floor:7,.0f}/s ({floor_work:.0f} µs),"
        f" ratio of the rounds {ratio:.2f}"
    )


def resident_mebibytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure_follow(total: int) -> None:
    async def from_the_start(topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        return {}

    with tempfile.TemporaryDirectory() as folder:
        log: Any = EmbeddedLog(Path(folder) / "log.db")
        for start in range(0, total // 2, 500):
            keys = [KEYS[number % len(KEYS)] for number in range(start, start + 500)]
            await log.append(
                [NewRecord(EVENTS, key, EVENT) for key in keys] + [NewRecord(RECEIPTS, key, RECEIPT) for key in keys]
            )
        before = resident_mebibytes()
        async with log.follow([EVENTS, RECEIPTS], "bench", from_the_start) as follower:
            began, given = time.perf_counter(), 0
            while given < total:
                given += len(await follower.poll(500, 1))
            took = time.perf_counter() - began
        print(f"follow: {given / took:,.0f} records/s; {resident_mebibytes() - before:+.0f} MiB over {total:,} records")
        await log.close()


async def main() -> None:
    for callers, total in ((8, 6000), (64, 20_000), (256, 20_000)):
        await measure_appends(callers, total)
    await measure_follow(200_000)


if __name__ == "__main__":
    asyncio.run(main())
