"""Follows Kafka as a member of a consumer group, with positions that the caller keeps instead of Kafka.

* The library swallows exceptions of a rebalance listener, so ours only pauses and sets a flag; `KafkaFollower.poll` claims and
  seeks.
* ``auto_offset_reset`` could skip records silently, so the caller's positions are checked against the ends of the log, and a
  gap is an error.
* The library's group protocol moves all partitions at every change of the group; with static membership a quick restart is
  none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from adapters.eventlog.kafka.client import LOOK
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.reader import record
from adapters.eventlog.kafka.shape import require_partitions
from adapters.eventlog.kafka.watchdog import Watchdog
from schemas.errors import LogMismatch, LogUnavailable
from schemas.log import Claim, Record


def group_options(options: KafkaOptions, group: str) -> dict[str, Any]:
    """The options of a group's consumer besides `adapters.eventlog.kafka.reader.consumer_options`."""
    session = int(options.session.total_seconds() * 1000)
    return {
        "group_id": options.prefix + group,
        "group_instance_id": f"{options.member}-{group}" if options.member else None,
        "session_timeout_ms": session,
        "heartbeat_interval_ms": session // 5,
        "max_poll_interval_ms": int(options.handled_within.total_seconds() * 1000),
        "rebalance_timeout_ms": 30_000,  # below request_timeout_ms, else joining times out and starts again, for ever
    }


class KafkaFollower:
    """`schemas.log.Follower` on a consumer group, with positions that the caller keeps.

    ``names``: topic name on the cluster to our topic. ``partitions``: how many each topic has.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, names: Mapping[str, str], partitions: int, claim: Claim, watchdog: Watchdog
    ) -> None:
        self._consumer, self._names, self._claim, self._watchdog = consumer, names, claim, watchdog
        self._partitions = partitions
        self._next: dict[TopicPartition, int] = {}
        self._looked_at = time.monotonic()
        self.listener = _Listener(consumer)

    def held(self) -> Iterable[tuple[str, int]]:
        """As `schemas.log.Follower.held`."""
        return [(self._names[partition.topic], partition.partition) for partition in self._next]

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        """As `schemas.log.Follower.poll`. Raises `ConsumerStuck` as well."""
        try:
            if self.listener.changed:
                await self._take_over()
            batches = await self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=limit)
            if not self.listener.changed and time.monotonic() - self._looked_at > self._watchdog.every:
                await self._look()
        except KafkaError as error:
            raise LogUnavailable(f"Kafka could not be read: {type(error).__name__}", cure=LOOK) from error
        if self.listener.changed:
            return ()  # fetched for an assignment that has ended; the next claim says where to continue
        return [
            record(self._names[partition.topic], one)
            for partition, batch in batches.items()
            for one in self._checked(partition, batch)
        ]

    async def _take_over(self) -> None:
        """Claim the partitions held now. The listener has paused them, so no record of them is returned before."""
        self.listener.changed = False
        self._next = {}
        self._require_partitions()
        held = self._consumer.assignment()
        starts, ends = await self._consumer.beginning_offsets(held), await self._consumer.end_offsets(held)
        for name in {partition.topic for partition in held}:
            partitions = frozenset(partition.partition for partition in held if partition.topic == name)
            claimed = await self._claim(self._names[name], partitions)
            if self.listener.changed:
                return  # another rebalance meanwhile: the next poll claims what is held then
            for number, position in claimed.items():
                partition = TopicPartition(name, number)
                self._require_reachable(partition, position, starts[partition], ends[partition])
                self._consumer.seek(partition, position)
                self._next[partition] = position
        self._consumer.resume(*held)

    def _require_partitions(self) -> None:
        for name, topic in self._names.items():
            found = self._consumer.partitions_for_topic(name)
            require_partitions(topic, len(found) if found else self._partitions, self._partitions)

    def _require_reachable(self, partition: TopicPartition, position: int, start: int, end: int) -> None:
        if not start <= position <= end:
            raise LogMismatch(where=f"{self._names[partition.topic]} partition {partition.partition}, offset {position}")

    async def _look(self) -> None:
        """Check that the topics and the positions still exist, and tell the watchdog the positions and ends."""
        self._looked_at = time.monotonic()
        known = await self._consumer.topics()
        gone = [topic for name, topic in self._names.items() if name not in known]
        if gone:
            raise LogMismatch("the topic no longer exists", where=", ".join(gone))
        followed = dict(self._next)
        starts, ends = await self._consumer.beginning_offsets(followed), await self._consumer.end_offsets(followed)
        for partition, position in followed.items():
            self._require_reachable(partition, position, starts[partition], max(ends[partition], position))
        self._watchdog.look({**followed}, {**ends}, self._looked_at)

    def _checked(self, partition: TopicPartition, batch: Sequence[Any]) -> Iterable[Any]:
        """The records of one batch. The topics are neither compacted nor transactional, so a gap means lost records."""
        for one in batch:
            if one.offset != self._next[partition]:
                raise LogMismatch(
                    f"expected offset {self._next[partition]}, got {one.offset}: events were removed before they were read",
                    where=f"{self._names[partition.topic]} partition {partition.partition}",
                )
            self._next[partition] += 1
            yield one


class _Listener(ConsumerRebalanceListener):
    """Notes a rebalance, and pauses the assigned partitions. Does nothing else, because the library swallows its exceptions."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.changed = False

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.changed = True

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.changed = True
        self._consumer.pause(*assigned)
