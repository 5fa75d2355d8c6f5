"""What the tests of the log's contract append, and how they read and follow it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from schemas.log import EVENTS, EventLog, Follower, NewRecord, Record

DEADLINE_SECONDS = 120
"""For what must come; far above what any implementation needs, for a loaded machine."""


def records(keys: Iterable[str], topic: str = EVENTS) -> list[NewRecord]:
    return [NewRecord(topic, key, f"{number} of {key}".encode()) for number, key in enumerate(keys)]


def content(found: Iterable[Record | NewRecord]) -> list[tuple[str, str, bytes]]:
    return [(record.topic, record.key, bytes(record.value)) for record in found]


def by_key(found: Iterable[Record | NewRecord]) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = defaultdict(list)
    for record in found:
        values[record.key].append(bytes(record.value))
    return values


async def read_partition(log: EventLog, topic: str, partition: int, start: int = 0, limit: int = 1000) -> list[Record]:
    found: list[Record] = []
    while batch := await log.read(topic, partition, start, limit):
        found += batch
        start = batch[-1].offset + 1
    return found


async def read_all(log: EventLog, topic: str = EVENTS) -> list[Record]:
    return [record for partition in await log.ends(topic) for record in await read_partition(log, topic, partition)]


class Claims:
    """The positions a reader has stored, and the claims made on them."""

    def __init__(self, positions: Mapping[tuple[str, int], int] | None = None) -> None:
        self.positions = dict(positions or {})
        self.made: list[tuple[str, frozenset[int]]] = []

    async def __call__(self, topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        self.made.append((topic, partitions))
        return {partition: self.positions.get((topic, partition), 0) for partition in partitions}

    def store(self, given: Iterable[Record]) -> None:
        for record in given:
            self.positions[record.topic, record.partition] = record.offset + 1


async def poll_until(follower: Follower, count: int, limit: int = 500) -> list[Record]:
    """At least ``count`` records."""
    found: list[Record] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            found += await follower.poll(limit, 0.2)
    return found


async def poll_until_held(follower: Follower) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not list(follower.held()):
            await follower.poll(1, 0.1)
