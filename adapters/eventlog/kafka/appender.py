"""Appends to Kafka: one idempotent producer for all callers, replaced whenever it met an error.

What the client does that its name does not say, and what is done about it here:

* After one refused batch an idempotent producer is dead for that partition (aio-libs/aiokafka #1017): on any error it is
  discarded and the records of the calls that met it are sent again by a new one, in the order the calls were made.
* With idempotence a send waits for ever while brokers are gone (#1101): every call has a deadline of ours. A send that was
  given up may still be written; the caller's resend is then a second copy, known by its event id.
* It spreads keys over as many partitions as the topic has at the moment: more than we were started for are refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from adapters.eventlog.kafka.client import Client, started, stopped
from adapters.eventlog.kafka.clock import BrokersClock
from adapters.eventlog.kafka.options import METADATA_MS, KafkaOptions
from adapters.eventlog.kafka.shape import ENVELOPE_BYTES, require_partitions
from schemas.errors import LogUnavailable, TooLarge
from schemas.event import CONTENT_TYPE
from schemas.log import EVENTS, RECORD_BYTES, NewRecord, Position

_BATCH_BYTES = 256 * 1024
"""Per partition and request. The client's 16 KB costs two thirds of the throughput."""
_EVENT_HEADERS = [("content-type", CONTENT_TYPE.encode())]
"""Says "structured mode" to a foreign reader. Source: CloudEvents Kafka binding 1.0.2 §3.3."""


FAILED_FOR_S = 60.0
"""So long a failed append counts as the state of the log. Without an end a process that is sent nothing because it says that it
takes nothing would never find out that it does again; shorter than two tries of `KafkaOptions.append_within`, one that still
fails would be sent more than it can refuse."""
FOUND_FOR_S = 15.0
"""So long what was found at the start counts: a copy that has only to catch up is in sync by then."""
_NOT_CONFIRMED = "Kafka did not confirm the records in time; they may or may not be in the log"
_LOOK = "Send them again. Look for partitions under min.insync.replicas: a broker that is away, or whose disk is full."

_BY_KEY = DefaultPartitioner()
"""As Kafka's own producers do: murmur2 of the key."""


class Appender:
    """Sends records and waits until all in-sync replicas have them."""

    def __init__(self, options: KafkaOptions, trouble: LogUnavailable | None = None) -> None:
        """``trouble`` was found when the log was opened."""
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._clock = BrokersClock()
        self._failed = trouble
        """What became of the last append: ``None`` when it was confirmed."""
        self._failed_at = time.monotonic() - FAILED_FOR_S + FOUND_FOR_S
        self._remaking = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()
        """Producers on their way out: nobody waits for them, or a later call would overtake an earlier one."""

    def trouble(self) -> LogUnavailable | None:
        """As `schemas.log.EventLog.trouble`: that the last append failed, unless that was too long ago to tell."""
        if self._failed is None or time.monotonic() - self._failed_at > FAILED_FOR_S:
            return None
        return LogUnavailable(self._failed.message, where=self._failed.where, cure=self._failed.cure)

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """As `schemas.log.EventLog.append`."""
        try:
            positions = await self._append(records)
        except LogUnavailable as error:
            self._failed, self._failed_at = error, time.monotonic()
            raise
        self._failed = None
        return positions

    async def _append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        if any(len(record.value) > RECORD_BYTES for record in records):
            raise TooLarge(f"a record is over the log's limit of {RECORD_BYTES} bytes")
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._options.append_within.total_seconds()):
                while True:
                    producer = await self._connected()
                    try:
                        return await self._send(producer, records)
                    except MessageSizeTooLargeError:
                        self._discard(producer)
                        raise TooLarge("a record is over the topic's max.message.bytes") from None
                    except KafkaError:
                        self._discard(producer)
        except TimeoutError:
            if producer is not None:
                self._discard(producer)
            raise LogUnavailable(_NOT_CONFIRMED, cure=_LOOK) from None

    async def close(self) -> None:
        """Finish what was sent, or leave it after a while."""
        if self._producer is not None:
            self._discard(self._producer)
        await asyncio.gather(*self._stopping)

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[NewRecord]) -> list[Position]:
        prefix, begun = self._options.prefix, self._options.clock()
        sent = [
            await producer.send(
                prefix + record.topic,
                record.value,
                key=record.key.encode(),
                headers=_EVENT_HEADERS if record.topic == EVENTS else None,
            )
            for record in records
        ]
        confirmed = await asyncio.gather(*sent)
        for one in confirmed[-1:]:
            self._clock.seen(begun, one.timestamp / 1000, self._options.clock())
        return [Position(record.topic, one.partition, one.offset) for record, one in zip(records, confirmed, strict=True)]

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._remaking:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._options.client(),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,  # callers wait for their own records: those of a round trip make the next batch
                    compression_type=None,  # of bodies of a kilobyte it costs the processor more than it saves the wire
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=RECORD_BYTES + ENVELOPE_BYTES,
                    request_timeout_ms=10_000,
                    retry_backoff_ms=100,
                    metadata_max_age_ms=METADATA_MS,
                    partitioner=self._partition,
                )
                await started(producer, self._options)
                self._producer = producer
            return self._producer

    def _partition(self, key: bytes, partitions: list[int], available: list[int]) -> int:
        require_partitions("BACKBONE_LOG", len(partitions), self._options.partitions)
        partition: int = _BY_KEY(key, partitions, available)
        return partition

    def _discard(self, producer: Client) -> None:
        """Have the next call make a new producer, once for all the callers that met the error."""
        if self._producer is producer:
            self._producer = None
            stopping = asyncio.create_task(stopped(producer), name="kafka-producer-stop")
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
