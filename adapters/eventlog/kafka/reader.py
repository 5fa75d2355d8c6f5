"""Reads partitions of Kafka from any offset, and says where they begin and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from adapters.eventlog.kafka.client import started, stopped
from adapters.eventlog.kafka.options import KafkaOptions
from schemas.errors import LogUnavailable
from schemas.log import Record


def consumer_options(options: KafkaOptions) -> dict[str, Any]:
    """What every consumer of ours is told: nothing is left to the library's defaults that decides what is read."""
    return {
        **options.client(),
        "enable_auto_commit": False,  # positions commit with the rows they belong to
        "auto_offset_reset": "earliest",  # never decides anything: every partition is sought, and a gap is an error
        "isolation_level": "read_uncommitted",  # nobody writes transactions here
        "max_partition_fetch_bytes": 1024 * 1024,  # a larger record comes alone (KIP-74)
        "fetch_max_bytes": 50 * 1024 * 1024,
        "fetch_max_wait_ms": 100,
        "request_timeout_ms": 40_000,
        "metadata_max_age_ms": 60_000,
        "check_crcs": True,
    }


def record(topic: str, one: Any) -> Record:
    """A record of the client as one of ours. Its bytes were left alone: a deserialiser that raises loops for ever (#744)."""
    return Record(topic, one.partition, one.offset, (one.key or b"").decode(), one.value or b"", one.timestamp / 1000)


class Reader:
    """One consumer without a group; calls take turns."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        """As `schemas.log.EventLog.read`."""
        place = TopicPartition(self._options.prefix + topic, partition)
        async with self._asking(f"{topic} partition {partition}") as consumer:
            end = (await consumer.end_offsets([place]))[place]
            if start >= end:
                return []
            start = max(start, (await consumer.beginning_offsets([place]))[place])
            consumer.assign([place])
            consumer.seek(place, start)
            found: list[Record] = []
            while len(found) < limit:
                batch = await consumer.getmany(place, timeout_ms=1000, max_records=limit - len(found))
                found.extend(record(topic, one) for one in batch.get(place, ()))
                if found and found[-1].offset >= end - 1:
                    break
            return found

    async def ends(self, topic: str) -> Mapping[int, int]:
        """As `schemas.log.EventLog.ends`."""
        async with self._asking(topic) as consumer:
            return _by_partition(await consumer.end_offsets(self._places(topic)))

    async def starts(self, topic: str) -> Mapping[int, int]:
        """As `schemas.log.EventLog.starts`."""
        async with self._asking(topic) as consumer:
            return _by_partition(await consumer.beginning_offsets(self._places(topic)))

    async def close(self) -> None:
        """Let go of the consumer."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stopped(consumer)

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._options.prefix + topic, partition) for partition in range(self._options.partitions)]

    @contextlib.asynccontextmanager
    async def _asking(self, where: str) -> AsyncIterator[AIOKafkaConsumer]:
        """The consumer, for one caller at a time. The client's errors become ours, and one that met an error is dropped."""
        try:
            async with asyncio.timeout(self._options.append_within.total_seconds()), self._turn:
                if self._consumer is None:
                    consumer = AIOKafkaConsumer(**consumer_options(self._options))
                    await started(consumer, self._options)
                    self._consumer = consumer
                yield self._consumer
        except (KafkaError, TimeoutError) as error:
            await self.close()
            raise LogUnavailable(f"Kafka could not be read: {type(error).__name__}", where=where) from error


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}
