"""Reads partitions of Kafka from any offset, and finds where they begin and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from adapters.eventlog.kafka.client import LOOK, started, stopped
from adapters.eventlog.kafka.options import METADATA_MS, KafkaOptions
from adapters.eventlog.kafka.shape import require_partitions
from schemas.errors import LogUnavailable
from schemas.log import Record


def consumer_options(options: KafkaOptions) -> dict[str, Any]:
    """The options of all our consumers. None that decides what is read is left to the library's defaults."""
    return {
        **options.client(),
        "enable_auto_commit": False,  # projections commit positions with their rows
        "auto_offset_reset": "earliest",  # never used: every partition is sought, and a gap is an error
        "isolation_level": "read_uncommitted",  # nobody writes transactions here
        "max_partition_fetch_bytes": 1024 * 1024,  # a larger record comes alone (KIP-74)
        "fetch_max_bytes": 50 * 1024 * 1024,
        "fetch_max_wait_ms": 100,
        "request_timeout_ms": 40_000,
        "metadata_max_age_ms": METADATA_MS,
        "check_crcs": True,
    }


def record(topic: str, one: Any) -> Record:
    """Our record for the client's. No deserialiser is used, because one that raises makes the client loop for ever (#744)."""
    return Record(topic, one.partition, one.offset, (one.key or b"").decode(), one.value or b"", one.timestamp / 1000)


FEW = 10
"""For up to this many records the broker is asked for one byte, and then sends a single batch (KIP-74). How far the projections
are behind is read from every partition every second: with a megabyte each, that would be most of what the brokers send."""


class KafkaReader:
    """Two consumers without a group: one for large reads, and one for up to `FEW` records.

    Ends and starts can be read at any time; reads of records take turns, because a consumer has a single assignment.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._many = _Turns(options, {})
        self._few = _Turns(options, {"max_partition_fetch_bytes": 1})

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        """As `schemas.log.EventLog.read`."""
        assigned = TopicPartition(self._options.prefix + topic, partition)
        turns = self._few if limit <= FEW else self._many
        async with self._trouble(turns, f"{topic} partition {partition}"):
            consumer = await turns.consumer()
            end = (await consumer.end_offsets([assigned]))[assigned]
            if start >= end:
                return []
            async with turns.turn:
                consumer.assign([assigned])
                consumer.seek(assigned, start)
                return [record(topic, one) for one in await _fetched(consumer, assigned, min(limit, end - start), end)]

    async def ends(self, topic: str) -> Mapping[int, int]:
        """As `schemas.log.EventLog.ends`."""
        async with self._trouble(self._few, topic):
            consumer = await self._few.consumer()
            ends = _by_partition(await consumer.end_offsets(self._partitions(topic)))
            require_partitions(topic, len(consumer.partitions_for_topic(self._options.prefix + topic) or ends), len(ends))
            return ends

    async def starts(self, topic: str) -> Mapping[int, int]:
        """As `schemas.log.EventLog.starts`."""
        async with self._trouble(self._few, topic):
            return _by_partition(await (await self._few.consumer()).beginning_offsets(self._partitions(topic)))

    async def close(self) -> None:
        """Stop the consumers."""
        await asyncio.gather(self._many.drop(), self._few.drop())

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._options.prefix + topic, partition) for partition in range(self._options.partitions)]

    @contextlib.asynccontextmanager
    async def _trouble(self, turns: _Turns, where: str) -> AsyncIterator[None]:
        """Raise the client's errors as ours, and drop the consumer."""
        try:
            async with asyncio.timeout(self._options.append_within.total_seconds()):
                yield
        except (KafkaError, TimeoutError) as error:
            await turns.drop()
            raise LogUnavailable(f"Kafka could not be read: {type(error).__name__}", where=where, cure=LOOK) from error


class _Turns:
    """A consumer that is started when first needed. Hold ``turn`` while using its assignment."""

    def __init__(self, options: KafkaOptions, more: Mapping[str, int]) -> None:
        self._options, self._more = options, more
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        self.turn = asyncio.Lock()

    async def consumer(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(**{**consumer_options(self._options), **self._more})
                await started(consumer, self._options)
                self._consumer = consumer
            return self._consumer

    async def drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stopped(consumer)


async def _fetched(consumer: AIOKafkaConsumer, partition: TopicPartition, wanted: int, end: int) -> list[Any]:
    """At most ``wanted`` records; fewer if offsets have gaps before ``end``."""
    found: list[Any] = []
    while len(found) < wanted and not (found and found[-1].offset >= end - 1):
        found += (await consumer.getmany(partition, timeout_ms=1000, max_records=wanted - len(found))).get(partition, ())
    return found


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {partition.partition: offset for partition, offset in offsets.items()}
