"""Creates the log's topics if they are missing, checks them, and checks which cluster they are on.

A consumer of a missing topic hangs in ``start``, so this is done first. The admin client does not raise errors of single
topics, so its answers are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, for_code

from adapters.eventlog.kafka.client import LOOK, START_S, started, stopped, why
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.shape import TopicShape, check, remarks, settings, short
from schemas.errors import REBUILD, LogMismatch, LogUnavailable, NotFound, SettingsError
from schemas.log import TOPICS

LOGGER = logging.getLogger(__name__)

_SETTLED_S = 15.0
"""Longest wait for the leaders of a topic's partitions: after losing a broker, a cluster needs up to ten seconds."""
_ACCEPTED = frozenset({"NoError", "TopicAlreadyExistsError"})
"""Answers that mean that a topic exists after creating it: two processes may start at once."""


class FoundCluster(NamedTuple):
    """A cluster whose topics exist and are configured correctly."""

    cluster: str
    """Id of the cluster."""
    trouble: LogUnavailable | None
    """Why some partitions, at least, accept no records for now."""


async def prepare(options: KafkaOptions, *, create: bool) -> FoundCluster:
    """Ensure that the topics exist and can keep the promises.

    Raises `LogUnavailable` when the cluster does not answer, `LogMismatch` when it is not ``options.cluster`` or has lost a
    topic of a log that is in use, `SettingsError` when a topic is configured wrongly, `NotFound` when one is missing and
    ``create`` is false.
    """
    wanted = TopicShape(options.partitions, options.replication)
    names = [options.prefix + topic for topic in TOPICS]
    async with _admin(options) as admin:
        cluster = str((await admin.describe_cluster())["cluster_id"])
        if options.cluster not in ("", cluster):
            cure = "Correct the brokers in BACKBONE_LOG or, if the cluster was really replaced, the id after cluster=."
            raise LogMismatch(f"this is cluster {cluster}, not {options.cluster}", where="BACKBONE_LOG", cure=cure)
        present = set(await admin.list_topics())
        missing = [name for name in names if name not in present]
        if missing:
            await _require_unused(admin, options, present & set(names), missing)
            if not create:
                raise NotFound("the log does not exist yet", where=", ".join(missing), cure="Start with `backbone serve`.")
            await _make(admin, missing, wanted)
        troubles = [await _check(admin, name, wanted) for name in names]
        return FoundCluster(cluster, next(filter(None, troubles), None))


async def require_topic(options: KafkaOptions, topic: str, *, create: bool) -> bool:
    """Whether ``topic`` exists and is configured correctly. With ``create`` it is created if missing. Raises like `prepare`."""
    name, wanted = options.prefix + topic, TopicShape(options.partitions, options.replication)
    async with _admin(options) as admin:
        if name not in await admin.list_topics():
            if not create:
                return False
            await _make(admin, [name], wanted)
        await _check(admin, name, wanted)
        return True


@contextlib.asynccontextmanager
async def _admin(options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**options.client())
    try:
        try:
            async with asyncio.timeout(START_S):
                await admin.start()
        except (KafkaError, TimeoutError, OSError) as error:
            raise await why(options, error) from error
        try:
            yield admin
        except (KafkaError, TimeoutError) as error:
            message = f"Kafka did not answer about its topics: {type(error).__name__}"
            raise LogUnavailable(message, where="BACKBONE_LOG", cure=LOOK) from error
    finally:
        await admin.close()


async def _require_unused(admin: AIOKafkaAdminClient, options: KafkaOptions, present: set[str], missing: Sequence[str]) -> None:
    """Check that the log's other topics are empty; if not, the missing ones were deleted.

    If those were silently created anew, they would be taken for the old ones, and events would be skipped once the new topics
    have grown past the stored positions.
    """
    places = [TopicPartition(name, one["partition"]) for name in sorted(present) for one in await _partitions(admin, name)]
    if places and any((await _ends(options, places)).values()):
        cure = (
            "Restore it from a mirror of the cluster. If it is lost for good, create it with kafka-topics.sh --create, "
            f"then run {REBUILD}."
        )
        message = "the topic was deleted: other topics of this log hold records"
        raise LogMismatch(message, where=", ".join(missing), cure=cure)


async def _ends(options: KafkaOptions, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    consumer = AIOKafkaConsumer(**options.client(), enable_auto_commit=False)
    await started(consumer, options)
    try:
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await stopped(consumer)


async def _make(admin: AIOKafkaAdminClient, names: Sequence[str], wanted: TopicShape) -> None:
    new = [NewTopic(name, wanted.partitions, wanted.replication, topic_configs=dict(settings(wanted))) for name in names]
    answer = await admin.create_topics(new)
    for name, code, *detail in answer.topic_errors:
        error = for_code(code)
        if error.__name__ not in _ACCEPTED:
            said = " ".join(str(part) for part in detail if part)
            cure = (
                f"Kafka says: {said} With fewer brokers than copies, start the others, or, where losing a disk may lose "
                "events, say ?replication=1 in BACKBONE_LOG."
            )
            raise SettingsError(f"the topic cannot be made: {error.__name__}", where=name, cure=cure)


async def _check(admin: AIOKafkaAdminClient, name: str, wanted: TopicShape) -> LogUnavailable | None:
    partitions = await _partitions(admin, name)
    replication = min(len(one["replicas"]) for one in partitions)
    config = await _config(admin, name)
    check(name, TopicShape(len(partitions), replication), config, wanted)
    for remark in remarks(config):
        LOGGER.warning("%s: %s", name, remark)
    return short(name, [len(one["isr"]) for one in partitions], config)


async def _config(admin: AIOKafkaAdminClient, name: str) -> Mapping[str, str]:
    """The topic's settings. Waits until the broker knows the topic; until then it answers with an error and no settings."""
    async with asyncio.timeout(_SETTLED_S):
        while True:
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            [(code, _message, _kind, _name, entries)] = answer.resources
            if code == NoError.errno:
                return {entry[0]: entry[1] for entry in entries}
            await asyncio.sleep(0.05)


async def _partitions(admin: AIOKafkaAdminClient, name: str) -> list[dict[str, Any]]:
    """The topic's partitions. Waits until each has a leader: a new topic is not known to every broker at once."""
    async with asyncio.timeout(_SETTLED_S):
        while True:
            [description] = await admin.describe_topics([name])
            partitions: list[dict[str, Any]] = description["partitions"]
            if partitions and all(one["leader"] >= 0 for one in partitions):
                return partitions
            await asyncio.sleep(0.05)
