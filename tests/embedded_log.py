"""What the tests of the embedded log append, how they read it whole, and how they spoil its file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.log import NewRecord, Record

DEADLINE_SECONDS = 60
SHORT = timedelta(seconds=0.2)


def numbered(count: int, topic: str = "t", key: str | None = None) -> list[NewRecord]:
    return [NewRecord(topic, key or f"key-{number}", str(number).encode()) for number in range(count)]


async def from_the_start(topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def read_whole(log: EmbeddedLog, topic: str = "t", partitions: int = 4) -> list[Record]:
    found: list[Record] = []
    for partition in range(partitions):
        start = 0
        while batch := await log.read(topic, partition, start, 1000):
            found += batch
            start = batch[-1].offset + 1
    return found


async def follow_whole(log: EmbeddedLog, count: int, *topics: str, limit: int = 500) -> list[Record]:
    found: list[Record] = []
    async with log.follow(topics or ("t",), "reader", from_the_start) as follower, asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            found += await follower.poll(limit, 1)
    return found


def change(path: Path, statement: str) -> None:
    """What another program, or a failing disk, does to the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))
