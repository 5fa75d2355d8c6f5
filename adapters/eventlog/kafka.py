"""The event log on Apache Kafka. The only module that imports aiokafka.

What the client does that its name does not say, and what is done about it here:

* After one refused batch an idempotent producer is dead for that partition (aio-libs/aiokafka #1017): on any error the
  producer is discarded and the call's records are sent again by a new one.
* With idempotence a send waits for ever while brokers are gone (#1101): every call has a deadline of ours. A send that was
  given up may still be written; the caller's resend is then a second copy, known by its event id.
* A consumer of a missing topic hangs in ``start``: topics are made or checked first.
* Exceptions in a rebalance listener are swallowed: ours only pauses and notes; `KafkaFollower.poll` claims and seeks.
* ``auto_offset_reset`` could skip in silence: positions are ours, are checked against the log's ends, and a gap is an error.

Source: Apache Kafka protocol; CloudEvents Kafka binding 1.0.2 §3.3 (structured mode).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, for_code

from adapters.eventlog.kafka_topics import ENVELOPE_BYTES, TopicShape, check, settings
from schemas.errors import LogUnavailable, SettingsError, TooLarge
from schemas.event import CONTENT_TYPE
from schemas.log import EVENTS, PARTITIONS, RECORD_BYTES, TOPICS, Claim, Follower, NewRecord, Position, Record

_BATCH_BYTES = 256 * 1024
"""Per partition and request. The client's 16 KB costs two thirds of the throughput."""
_START_S = 15.0
"""Longest wait for a client's first answer."""
_SETTLED_S = 15.0
"""Longest wait for the leaders of a topic's partitions: a cluster that has lost a broker needs up to ten seconds."""
_EVENT_HEADERS = [("content-type", CONTENT_TYPE.encode())]
"""Says "structured mode" to a foreign reader."""


@dataclass(frozen=True)
class KafkaOptions:
    """How to reach the cluster and what to ask of it."""

    bootstrap: str
    """``host:port,…``"""
    prefix: str = ""
    """Before every topic's name, for several backbones on one cluster."""
    partitions: int = PARTITIONS
    replication: int = 3
    """Copies of each partition; 1 only where losing a disk may lose events."""
    append_within: timedelta = timedelta(seconds=30)
    """Longer than the 9–13 s a partition stalls when its leader is killed (Kafka 4.1, default session timeout)."""
    session: timedelta = timedelta(seconds=10)
    """A member that is silent for so long loses its partitions."""
    member: str = ""
    """Names this process for ever (static membership): a restart within ``session`` moves no partition. Empty: dynamic."""
    username: str = ""
    password: str = ""
    """With ``username``: SASL/SCRAM-SHA-512."""
    tls: ssl.SSLContext | None = None

    def client(self) -> dict[str, Any]:
        """The arguments that every client of the library takes."""
        secure = {(False, False): "PLAINTEXT", (True, False): "SSL", (False, True): "SASL_PLAINTEXT", (True, True): "SASL_SSL"}
        scram = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": self.username, "sasl_plain_password": self.password}
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": secure[self.tls is not None, bool(self.username)],
            "ssl_context": self.tls,
            **(scram if self.username else {}),
        }


class KafkaLog:
    """`schemas.log.EventLog` on a Kafka cluster. Build it with `KafkaLog.open`.

    Durable means on all in-sync replicas, in their memory: Kafka does not wait for the disk, so a power cut of *all*
    replicas at once is not covered (``flush.messages`` on the topic is the choice for those who need it).
    """

    atomic = False

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._remaking = asyncio.Lock()
        self._reader: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, options: KafkaOptions) -> KafkaLog:
        """A log whose topics exist and keep the promises.

        Raises `LogUnavailable` when the cluster does not answer, `SettingsError` when a topic is not as it must be.
        """
        await _prepare_topics(options)
        return cls(options)

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        self._require_open()
        if any(len(record.value) > RECORD_BYTES for record in records):
            raise TooLarge(f"a record is over the log's limit of {RECORD_BYTES} bytes")
        try:
            async with asyncio.timeout(self._options.append_within.total_seconds()):
                while True:
                    producer = await self._connected_producer()
                    try:
                        return await self._send(producer, records)
                    except MessageSizeTooLargeError:
                        await self._discard(producer)
                        raise TooLarge("a record is over the topic's max.message.bytes") from None
                    except KafkaError:
                        await self._discard(producer)
        except TimeoutError:
            raise LogUnavailable("Kafka did not confirm the records in time; they may or may not be in the log") from None

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[NewRecord]) -> list[Position]:
        sent = [
            await producer.send(
                self._options.prefix + record.topic,
                record.value,
                key=record.key.encode(),
                headers=_EVENT_HEADERS if record.topic == EVENTS else None,
            )
            for record in records
        ]
        confirmed = await asyncio.gather(*sent)
        return [Position(record.topic, one.partition, one.offset) for record, one in zip(records, confirmed, strict=True)]

    async def _connected_producer(self) -> AIOKafkaProducer:
        async with self._remaking:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._options.client(),
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=RECORD_BYTES + ENVELOPE_BYTES,
                    request_timeout_ms=10_000,
                    retry_backoff_ms=100,
                )
                await _started(producer)
                self._producer = producer
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        """Replace a producer that met an error, once for all the callers that met it."""
        if self._producer is producer:
            self._producer = None
            await _stopped(producer)

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        place = TopicPartition(self._options.prefix + topic, partition)
        async with self._reading, self._trouble():
            reader = await self._connected_reader()
            reader.assign([place])
            end = (await reader.end_offsets([place]))[place]
            reader.seek(place, start)
            found: list[Record] = []
            while len(found) < min(limit, end - start):
                batch = await reader.getmany(place, timeout_ms=1000, max_records=limit - len(found))
                found.extend(_record(topic, one) for one in batch.get(place, ()))
                if found and found[-1].offset >= end - 1:
                    break
            return found

    async def ends(self, topic: str) -> Mapping[int, int]:
        async with self._reading, self._trouble():
            reader = await self._connected_reader()
            return _by_partition(await reader.end_offsets(self._places(topic)))

    async def starts(self, topic: str) -> Mapping[int, int]:
        async with self._reading, self._trouble():
            reader = await self._connected_reader()
            return _by_partition(await reader.beginning_offsets(self._places(topic)))

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._options.prefix + topic, partition) for partition in range(self._options.partitions)]

    async def _connected_reader(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = AIOKafkaConsumer(**_consumer_options(self._options))
            await _started(reader)
            self._reader = reader
        return self._reader

    @contextlib.asynccontextmanager
    async def _trouble(self) -> AsyncIterator[None]:
        """Turns the client's errors into ours and drops the client that met one."""
        self._require_open()
        try:
            async with asyncio.timeout(self._options.append_within.total_seconds()):
                yield
        except (KafkaError, TimeoutError) as error:
            reader, self._reader = self._reader, None
            if reader is not None:
                await _stopped(reader)
            raise LogUnavailable(f"Kafka could not be read: {type(error).__name__}") from error

    @contextlib.asynccontextmanager
    async def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AsyncIterator[Follower]:
        names = {self._options.prefix + topic: topic for topic in topics}
        consumer = AIOKafkaConsumer(**_consumer_options(self._options), **_group_options(self._options, group))
        follower = KafkaFollower(consumer, names, claim)
        consumer.subscribe(list(names), listener=follower.listener)
        await _started(consumer)
        try:
            yield follower
        finally:
            await _stopped(consumer)

    def _require_open(self) -> None:
        if self._closed:
            raise LogUnavailable("the log is closed")

    async def close(self) -> None:
        self._closed = True
        clients = [client for client in (self._producer, self._reader) if client is not None]
        self._producer = self._reader = None
        await asyncio.gather(*(_stopped(client) for client in clients))


class KafkaFollower:
    """`schemas.log.Follower` on a consumer group with positions of our own."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Mapping[str, str], claim: Claim) -> None:
        self._consumer, self._names, self._claim = consumer, names, claim
        self._next: dict[TopicPartition, int] = {}
        self.listener = _Listener(consumer)

    def held(self) -> Iterable[tuple[str, int]]:
        return [(self._names[place.topic], place.partition) for place in self._next]

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        try:
            if self.listener.changed:
                await self._take_over()
            batches = await self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=limit)
        except KafkaError as error:
            raise LogUnavailable(f"Kafka could not be read: {type(error).__name__}") from error
        if self.listener.changed:
            return ()  # fetched for an assignment that has ended; the claim that follows says where to go on
        return [
            _record(self._names[place.topic], one) for place, batch in batches.items() for one in self._checked(place, batch)
        ]

    async def _take_over(self) -> None:
        """Claim what is held now, before a record of it is given out: the listener has paused it."""
        self.listener.changed = False
        self._next = {}
        held = self._consumer.assignment()
        starts, ends = await self._consumer.beginning_offsets(held), await self._consumer.end_offsets(held)
        for name in {place.topic for place in held}:
            partitions = frozenset(place.partition for place in held if place.topic == name)
            for partition, position in (await self._claim(self._names[name], partitions)).items():
                place = TopicPartition(name, partition)
                self._check_reachable(place, position, starts[place], ends[place])
                self._consumer.seek(place, position)
                self._next[place] = position
        self._consumer.resume(*held)

    def _check_reachable(self, place: TopicPartition, position: int, start: int, end: int) -> None:
        where = f"{self._names[place.topic]} partition {place.partition}"
        if position < start:
            raise LogUnavailable(
                f"events {position} to {start - 1} were removed before they were read",
                where=where,
                cure="Lengthen the topic's retention; `backbone rebuild` takes in what is left.",
            )
        if position > end:
            raise LogUnavailable(
                f"the log ends at {end} but was read up to {position}: the topic was deleted, or this is another cluster",
                where=where,
                cure="Check BACKBONE_LOG; after a lost topic, restore it before anything reads on.",
            )

    def _checked(self, place: TopicPartition, batch: Sequence[Any]) -> Iterable[Any]:
        """The records of one batch; the topics are neither compacted nor transactional, so a gap is a loss."""
        for one in batch:
            if one.offset != self._next[place]:
                raise LogUnavailable(
                    f"expected offset {self._next[place]}, got {one.offset}: events were removed before they were read",
                    where=f"{self._names[place.topic]} partition {place.partition}",
                )
            self._next[place] += 1
            yield one


class _Listener(ConsumerRebalanceListener):
    """Notes a rebalance and pauses what came with it. Anything raised here would be swallowed, so nothing else is done here."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.changed = False

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.changed = True

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.changed = True
        self._consumer.pause(*assigned)


def _record(topic: str, one: Any) -> Record:
    return Record(topic, one.partition, one.offset, (one.key or b"").decode(), one.value or b"", one.timestamp / 1000)


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}


def _consumer_options(options: KafkaOptions) -> dict[str, Any]:
    return {
        **options.client(),
        "enable_auto_commit": False,  # positions commit with the rows they belong to
        "auto_offset_reset": "earliest",  # never decides anything: every partition is sought, and a gap is an error
        "max_partition_fetch_bytes": 1024 * 1024,  # a larger record comes alone (KIP-74)
        "fetch_max_wait_ms": 100,
        "request_timeout_ms": 40_000,
        "check_crcs": True,
    }


def _group_options(options: KafkaOptions, group: str) -> dict[str, Any]:
    session = int(options.session.total_seconds() * 1000)
    return {
        "group_id": options.prefix + group,
        "group_instance_id": f"{options.member}-{group}" if options.member else None,
        "session_timeout_ms": session,
        "heartbeat_interval_ms": session // 5,
        "max_poll_interval_ms": 300_000,
        "rebalance_timeout_ms": 30_000,  # below request_timeout_ms: else a join times out and begins again, for ever
    }


async def _started(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Start a client; one that does not come to it, for whatever reason, is let go of."""
    started = False
    try:
        async with asyncio.timeout(_START_S):
            await client.start()
        started = True
    except (KafkaError, TimeoutError) as error:
        raise _no_answer(error) from error
    finally:
        if not started:
            await _stopped(client)


def _no_answer(error: Exception) -> LogUnavailable:
    cure = "Check BACKBONE_LOG, the brokers, user and certificate."
    return LogUnavailable(f"Kafka does not answer: {type(error).__name__}", cure=cure)


async def _stopped(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop a client; one whose brokers are gone would wait for ever, so it is left after a while."""
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(5):
            await client.stop()


async def _prepare_topics(options: KafkaOptions) -> None:
    """Make the topics that are missing and check those that are there."""
    wanted = TopicShape(options.partitions, options.replication)
    admin = AIOKafkaAdminClient(**options.client())
    try:
        async with asyncio.timeout(_START_S):
            await admin.start()
    except (KafkaError, TimeoutError) as error:
        await admin.close()
        raise _no_answer(error) from error
    try:
        await _make_missing(admin, [options.prefix + topic for topic in TOPICS], wanted)
        for topic in TOPICS:
            await _check_topic(admin, options.prefix + topic, wanted)
    except (KafkaError, TimeoutError) as error:
        raise LogUnavailable(f"Kafka did not answer about its topics: {type(error).__name__}") from error
    finally:
        await admin.close()


async def _make_missing(admin: AIOKafkaAdminClient, topics: Sequence[str], wanted: TopicShape) -> None:
    present = set(await admin.list_topics())
    new = [
        NewTopic(topic, wanted.partitions, wanted.replication, topic_configs=dict(settings(wanted)))
        for topic in topics
        if topic not in present
    ]
    if not new:
        return
    answer = await admin.create_topics(new)
    for topic, code, *detail in answer.topic_errors:  # never raised: read (aiokafka)
        error = for_code(code)
        if error.__name__ not in ("NoError", "TopicAlreadyExistsError"):
            raise SettingsError(
                f"the topic cannot be made: {error.__name__}",
                where=topic,
                cure=f"Kafka says: {' '.join(str(part) for part in detail if part)}",
            )


async def _check_topic(admin: AIOKafkaAdminClient, topic: str, wanted: TopicShape) -> None:
    partitions = await _partitions(admin, topic)
    replication = min(len(one["replicas"]) for one in partitions)
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    config = {entry[0]: entry[1] for resource in answer.resources for entry in resource[4]}
    check(topic, TopicShape(len(partitions), replication), config, wanted)


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> list[dict[str, Any]]:
    """The topic's partitions, once each has a leader: a topic just made is not known to every broker at once."""
    async with asyncio.timeout(_SETTLED_S):
        while True:
            [description] = await admin.describe_topics([topic])
            partitions: list[dict[str, Any]] = description["partitions"]
            if partitions and all(one["leader"] >= 0 for one in partitions):
                return partitions
            await asyncio.sleep(0.05)
