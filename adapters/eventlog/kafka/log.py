"""The event log on a Kafka cluster: implements the port with the appender, reader and follower of this package.

Source: Apache Kafka protocol; CloudEvents Kafka binding 1.0.2 §3.3 (structured mode).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer

from adapters.eventlog.kafka.appender import KafkaAppender
from adapters.eventlog.kafka.client import started, stopped
from adapters.eventlog.kafka.follower import KafkaFollower, group_options
from adapters.eventlog.kafka.marks import mark
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.reader import KafkaReader, consumer_options
from adapters.eventlog.kafka.topics import FoundCluster, prepare
from adapters.eventlog.kafka.watchdog import Watchdog
from schemas.errors import LogUnavailable
from schemas.log import Claim, Follower, NewRecord, Position, Record


class KafkaLog:
    """`schemas.log.EventLog` on a Kafka cluster. Build it with `KafkaLog.open`.

    Durable means in the memory of all in-sync replicas: Kafka does not wait for the disk, so it does not survive a power cut of
    *all* replicas at once (set ``flush.messages`` on the topic if that is needed).
    """

    atomic = False

    def __init__(self, options: KafkaOptions, found: FoundCluster) -> None:
        self._options = options
        self.identity = f"kafka:{found.cluster}/{options.prefix.removesuffix('.')}"
        self._appender, self._reader = KafkaAppender(options, found.trouble), KafkaReader(options)
        self._closed = False

    @classmethod
    async def open(cls, options: KafkaOptions, *, create: bool = True) -> KafkaLog:
        """Open the log, after its topics were created if missing and checked.

        Raises what `adapters.eventlog.kafka.topics.prepare` raises.
        """
        return cls(options, await prepare(options, create=create))

    def trouble(self) -> LogUnavailable | None:
        """As the port says: the error of the last append, for `adapters.eventlog.kafka.appender.FAILED_FOR_S`."""
        return self._appender.trouble()

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        self._require_open()
        return await self._appender.append(records)

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        self._require_open()
        return await self._reader.read(topic, partition, start, limit)

    async def ends(self, topic: str) -> Mapping[int, int]:
        self._require_open()
        return await self._reader.ends(topic)

    async def starts(self, topic: str) -> Mapping[int, int]:
        self._require_open()
        return await self._reader.starts(topic)

    async def mark(self, name: str, value: str | None = None) -> str | None:
        self._require_open()
        return await mark(self._options, name, value)

    @contextlib.asynccontextmanager
    async def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AsyncIterator[Follower]:
        self._require_open()
        names = {self._options.prefix + topic: topic for topic in topics}
        consumer = AIOKafkaConsumer(**consumer_options(self._options), **group_options(self._options, group))
        watchdog = Watchdog(self._options.stuck_after.total_seconds())
        follower = KafkaFollower(consumer, names, self._options.partitions, claim, watchdog)
        consumer.subscribe(list(names), listener=follower.listener)
        await started(consumer, self._options)
        try:
            yield follower
        finally:
            await stopped(consumer)

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(self._appender.close(), self._reader.close())

    def _require_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")
