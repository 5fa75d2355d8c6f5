"""Appends to Kafka: all callers share one idempotent producer, which is replaced after any error.

Peculiarities of the client, and what is done about them here:

* After one refused batch an idempotent producer can no longer write to that partition (aio-libs/aiokafka #1017). On any error
  it is discarded, and a new one sends the records of the affected calls again, in the order of the calls.
* With idempotence a send waits for ever while brokers are gone (#1101), so every call has a deadline of ours. A send that was
  given up may still be written; the caller's resend is then a second copy, recognised by its event id.
* It spreads keys over the partitions that the topic has at the moment. A number other than the configured one is refused.
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
"""Most bytes per partition and request. The client's default of 16 KB costs two thirds of the throughput."""
_EVENT_HEADERS = [("content-type", CONTENT_TYPE.encode())]
"""Marks records as "structured mode" for other CloudEvents readers. Source: CloudEvents Kafka binding 1.0.2 §3.3."""


FAILED_FOR_S = 60.0
"""How long a failed append counts as the state of the log. Without a limit, a process that is sent nothing because it reports
trouble would never find out that the log works again. It is as long as two attempts of `KafkaOptions.append_within`: if it were
shorter, a process whose appends still fail would be sent more than it can refuse."""
FOUND_FOR_S = 15.0
"""How long trouble found at the start counts: a replica that only has to catch up is in sync by then."""
_NOT_CONFIRMED = "Kafka did not confirm the records in time; they may or may not be in the log"
_LOOK = "Send them again. Look for partitions under min.insync.replicas: a broker that is away, or whose disk is full."

_BY_KEY = DefaultPartitioner()
"""Chooses the partition like Kafka's own producers: murmur2 of the key."""


class KafkaAppender:
    """Sends records and waits until all in-sync replicas have them."""

    def __init__(self, options: KafkaOptions, trouble: LogUnavailable | None = None) -> None:
        """``trouble`` is a fault that was found when the log was opened."""
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._clock = BrokersClock()
        self._failed = trouble
        """The error of the last append; ``None`` if it was confirmed."""
        self._failed_at = time.monotonic() - FAILED_FOR_S + FOUND_FOR_S
        self._remaking = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()
        """Producers that are being stopped. No call waits for them, or a later call would overtake an earlier one."""

    def trouble(self) -> LogUnavailable | None:
        """As `schemas.log.EventLog.trouble`: the error of the last append, for `FAILED_FOR_S`."""
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
        """Finish what was sent, for at most `STOP_S`."""
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
                    linger_ms=0,  # callers wait for their records: those that arrive during a round trip form the next batch
                    compression_type=None,  # for bodies of a kilobyte it costs more processor time than it saves bandwidth
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
        """Stop ``producer``, and have the next call make a new one. Done once, however many callers got the error."""
        if self._producer is producer:
            self._producer = None
            stopping = asyncio.create_task(stopped(producer), name="kafka-producer-stop")
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
