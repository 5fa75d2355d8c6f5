"""How a topic must be configured for the log's promises to hold, and the cure if it is not. Pure: uses no client.

Source: Apache Kafka 4.1 topic configuration, https://kafka.apache.org/documentation/#topicconfigs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from schemas.errors import LogMismatch, LogUnavailable, SettingsError
from schemas.log import RECORD_BYTES

ENVELOPE_BYTES = 64 * 1024
"""Room for a record's key, headers and batch header besides its value."""


class TopicShape(NamedTuple):
    """How many partitions and copies a topic has."""

    partitions: int
    replication: int

    @property
    def in_sync(self) -> int:
        """Copies that must have a record before it is acknowledged: all but one, so that one broker may be down."""
        return max(1, self.replication - 1)


def settings(shape: TopicShape) -> Mapping[str, str]:
    """The settings a topic is created with. Each one is needed for a promise."""
    return MappingProxyType(
        {
            "cleanup.policy": "delete",  # compaction would drop versions of one record's events
            "retention.ms": "-1",  # kept for ever, because everything is rebuilt from the log
            "retention.bytes": "-1",
            "min.insync.replicas": str(shape.in_sync),  # P1: acknowledged means on all in-sync replicas
            "unclean.leader.election.enable": "false",  # P1: a replica that lags must not become the leader
            # The only limit to raise: replicas and consumers accept one oversized batch whatever their fetch sizes (KIP-74).
            "max.message.bytes": str(RECORD_BYTES + ENVELOPE_BYTES),
            "message.timestamp.type": "LogAppendTime",  # so that lag in seconds goes by the broker's clock, not the sender's
        }
    )


_FOR_EVER = "-1"
_RETENTIONS = ("retention.ms", "retention.bytes")


def remarks(config: Mapping[str, str]) -> list[str]:
    """Warnings about settings that an operator may choose: limits after which events are removed."""
    return [
        f"{name} is {config[name]}: events that it removes can be neither read again nor rebuilt from"
        for name in _RETENTIONS
        if config.get(name, _FOR_EVER) != _FOR_EVER
    ]


_AT_LEAST = frozenset({"min.insync.replicas", "max.message.bytes"})
"""Settings that may also be larger than ours."""
_FREE = frozenset(_RETENTIONS)
"""Settings that an operator may choose; `remarks` warns about them."""


def check(topic: str, found: TopicShape, config: Mapping[str, str], wanted: TopicShape) -> None:
    """Refuse a topic that cannot keep the promises.

    Raises a `SettingsError` that names the setting and the command that corrects it.
    """
    if found.partitions != wanted.partitions:
        raise SettingsError(
            f"the topic has {found.partitions} partitions, the settings say {wanted.partitions}",
            where=topic,
            cure="Set BACKBONE_PARTITIONS to what the topic has.",
        )
    if found.replication < wanted.replication:
        raise SettingsError(
            f"the topic has {found.replication} replica(s) a partition, the settings ask for {wanted.replication}",
            where=topic,
            cure="Reassign it with kafka-reassign-partitions.sh, or, where losing a disk may lose events, say "
            "?replication=1 in BACKBONE_LOG.",
        )
    for name, value in settings(wanted).items():
        if not _satisfies(name, config.get(name, ""), value):
            raise SettingsError(
                f"{name} is {config.get(name, 'not set')}, it must be {value}",
                where=topic,
                cure=f"kafka-configs.sh --alter --topic {topic} --add-config {name}={value}",
            )


def short(topic: str, in_sync: Sequence[int], config: Mapping[str, str]) -> LogUnavailable | None:
    """The error if some partitions accept no records for now; ``in_sync`` is how many copies of each are in sync."""
    least = int(config.get("min.insync.replicas") or 1)
    few = sum(copies < least for copies in in_sync)
    if not few:
        return None
    message = (
        f"{few} of {len(in_sync)} partitions have fewer copies in sync than min.insync.replicas ({least}): they take nothing"
    )
    cure = "Start the brokers that are away, or make room on their disks; what was not acknowledged is sent again."
    return LogUnavailable(message, where=topic, cure=cure)


def require_partitions(topic: str, found: int, wanted: int) -> None:
    """Refuse a topic whose number of partitions was changed while the process runs.

    New records of a key would go to another partition than older ones, while other processes still use the old number, so their
    order would be lost. Raises `LogMismatch`.
    """
    if found != wanted:
        raise LogMismatch(
            f"the topic has {found} partitions now, this process was started for {wanted}",
            where=topic,
            cure=f"Stop every backbone process, set BACKBONE_PARTITIONS={found} for all of them, then start them again.",
        )


def _satisfies(name: str, found: str, wanted: str) -> bool:
    if name in _FREE:
        return True
    return int(found or 0) >= int(wanted) if name in _AT_LEAST else found == wanted
