"""The log on a real Kafka while others change the cluster under it: said, never skipped and never passed over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from adapters.eventlog.kafka.follower import KafkaFollower, group_options
from adapters.eventlog.kafka.log import KafkaLog
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.reader import consumer_options
from adapters.eventlog.kafka.watchdog import Watchdog
from deploy.local.kafka import KafkaCluster
from schemas.errors import ConsumerStuck, LogMismatch, LogUnavailable, TooLarge
from schemas.log import EVENTS, RECEIPTS, TOPICS, Claim, NewRecord, Record
from tests.adapters.conftest import PARTITIONS
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.asyncio, pytest.mark.engine]


async def from_the_start(_topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def test_a_record_the_topic_no_longer_takes_is_refused_and_the_next_one_goes_through(
    options: KafkaOptions, log: KafkaLog, kafka_cluster: KafkaCluster
) -> None:
    await log.append([NewRecord(EVENTS, "k", b"before")])
    change = ["--bootstrap-server", options.bootstrap, "--alter", "--topic", options.prefix + EVENTS]
    await asyncio.to_thread(kafka_cluster.run, "kafka.admin.ConfigCommand", *change, "--add-config", "max.message.bytes=2000")
    with pytest.raises(TooLarge):
        await log.append([NewRecord(EVENTS, "k", bytes(50_000))])
    [position] = await log.append([NewRecord(EVENTS, "k", b"after")])
    assert position.offset == 1


async def test_a_topic_deleted_under_a_follower_is_said_and_nothing_is_confirmed(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    await log.append([NewRecord(EVENTS, "k", b"v")])
    impatient = await KafkaLog.open(replace(options, stuck_after=timedelta(seconds=2)))
    async with impatient.follow([EVENTS], "reader", from_the_start) as follower:
        while not await follower.poll(10, 0.2):
            pass
        await admin.delete_topics([options.prefix + EVENTS])
        with pytest.raises(LogMismatch, match="no longer exists"):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await follower.poll(10, 0.2)
    with pytest.raises(LogUnavailable):
        await log.append([NewRecord(EVENTS, "k", b"lost?")])
    await impatient.close()


async def test_a_deleted_topic_is_not_made_anew_in_silence(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    """It would be taken for the old one, and what it holds by then skipped once it has grown past the stored positions."""
    await log.append([NewRecord(RECEIPTS, "k", b"v")])
    await admin.delete_topics([options.prefix + EVENTS])
    for create in (True, False):
        with pytest.raises(LogMismatch, match=EVENTS) as refused:
            async with asyncio.timeout(PATIENCE_S):
                while True:  # the broker that is asked may not have heard of it yet
                    await (await KafkaLog.open(options, create=create)).close()
    assert "serve" not in refused.value.cure


async def test_more_partitions_than_a_process_was_started_for_stop_it_and_the_cure_is_said(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    impatient = await KafkaLog.open(replace(options, stuck_after=timedelta(seconds=2)))
    await admin.create_partitions({options.prefix + topic: NewPartitions(PARTITIONS + 5) for topic in TOPICS})

    async def follow() -> None:
        async with impatient.follow([EVENTS], "reader", from_the_start) as follower:
            await follower.poll(10, 0.2)

    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: log.append([NewRecord(EVENTS, "k", b"v")]),
        lambda: log.ends(EVENTS),
        follow,
    ]
    for use in uses:
        with pytest.raises(LogMismatch, match="7 partitions now, this process was started for 2") as refused:
            async with asyncio.timeout(PATIENCE_S):
                while True:  # until the client has asked anew what the cluster looks like
                    await use()
        assert "BACKBONE_PARTITIONS=7" in refused.value.cure
    await impatient.close()


async def test_records_removed_before_they_were_read_are_never_skipped(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    places = await log.append([NewRecord(EVENTS, "k", b"%d" % number) for number in range(20)])
    place = TopicPartition(options.prefix + EVENTS, places[0].partition)
    await admin.delete_records({place: RecordsToDelete(before_offset=7)})
    async with log.follow([EVENTS], "late", from_the_start) as follower:
        with pytest.raises(LogMismatch, match="offset 0"):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await follower.poll(10, 0.2)


async def test_records_removed_ahead_of_a_follower_are_never_skipped(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    impatient = await KafkaLog.open(replace(options, stuck_after=timedelta(seconds=2)))
    [first] = await log.append([NewRecord(EVENTS, "k", b"0")])
    async with impatient.follow([EVENTS], "reader", from_the_start) as follower:
        while not await follower.poll(10, 0.2):
            pass
        places = await log.append([NewRecord(EVENTS, "k", b"%d" % number) for number in range(1, 20)])
        await admin.delete_records({TopicPartition(options.prefix + EVENTS, first.partition): RecordsToDelete(20)})
        given = []
        with contextlib.suppress(LogMismatch):
            async with asyncio.timeout(PATIENCE_S):
                while len(given) < len(places):
                    given += await follower.poll(10, 0.2)
            assert [record.offset for record in given] == list(range(1, 20)), "what it had fetched already"
            return
        assert [record.offset for record in given] == list(range(1, 1 + len(given)))
    await impatient.close()


async def test_a_consumer_that_reads_nothing_although_there_is_something_is_stuck(options: KafkaOptions, log: KafkaLog) -> None:
    consumer = AIOKafkaConsumer(**consumer_options(options), **group_options(options, "stuck"))
    follower = KafkaFollower(consumer, {options.prefix + EVENTS: EVENTS}, PARTITIONS, from_the_start, Watchdog(patience=2.0))
    consumer.subscribe([options.prefix + EVENTS], listener=follower.listener)
    await consumer.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not list(follower.held()):
                await follower.poll(10, 0.2)
        consumer.pause(*consumer.assignment())  # alive, a member of the group, and reading nothing
        await log.append([NewRecord(EVENTS, "k", b"v")])
        with pytest.raises(ConsumerStuck):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    assert list(await follower.poll(10, 0.2)) == []
    finally:
        await consumer.stop()


class Shared:
    """The stored positions of a group, each with its owner: who claimed it last."""

    def __init__(self) -> None:
        self.next, self._owner = dict.fromkeys(range(PARTITIONS), 0), dict[int, str]()

    def claiming(self, name: str) -> Claim:
        async def claim(_topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
            self._owner.update(dict.fromkeys(partitions, name))
            return {partition: self.next[partition] for partition in partitions}

        return claim

    def store(self, name: str, records: Iterable[Record]) -> int:
        """How many of them it was for ``name`` to apply, and had not been applied before."""
        stored = 0
        for record in records:
            if (self._owner[record.partition], self.next[record.partition]) == (name, record.offset):
                self.next[record.partition] += 1
                stored += 1
        return stored


async def test_a_member_that_handles_for_too_long_loses_its_partitions_and_gets_a_share_again(
    options: KafkaOptions, log: KafkaLog
) -> None:
    shared, everything = Shared(), {(EVENTS, partition) for partition in range(PARTITIONS)}
    slow = await KafkaLog.open(replace(options, handled_within=timedelta(seconds=2)))
    async with slow.follow([EVENTS], "reader", shared.claiming("one")) as one:
        async with asyncio.timeout(PATIENCE_S):
            while set(one.held()) != everything:
                await one.poll(10, 0.2)
        await log.append([NewRecord(EVENTS, f"k{number}", b"v") for number in range(20)])
        async with asyncio.timeout(PATIENCE_S):
            while not (busy_with := await one.poll(10, 0.2)):
                pass
        async with log.follow([EVENTS], "reader", shared.claiming("two")) as two:
            stored = 0
            async with asyncio.timeout(PATIENCE_S):
                while stored < 20:
                    stored += shared.store("two", await two.poll(10, 0.2))
            assert shared.store("one", busy_with) == 0, "it comes too late"
            async with asyncio.timeout(PATIENCE_S):
                while not (len(list(one.held())) == len(list(two.held())) == 1):
                    late, more = await asyncio.gather(one.poll(10, 0.1), two.poll(10, 0.1))
                    assert shared.store("one", late) + shared.store("two", more) == 0, "nothing is applied again"
            await log.append([NewRecord(EVENTS, f"k{number}", b"v") for number in range(20)])
            async with asyncio.timeout(PATIENCE_S):
                while stored < 40:
                    late, more = await asyncio.gather(one.poll(10, 0.1), two.poll(10, 0.1))
                    stored += shared.store("one", late) + shared.store("two", more)
    assert shared.next == await log.ends(EVENTS)
    await slow.close()


async def test_a_member_with_a_name_of_its_own_comes_back_to_what_it_had_and_nobody_gets_it_meanwhile(
    options: KafkaOptions, log: KafkaLog
) -> None:
    claims: dict[str, list[frozenset[int]]] = {"one": [], "two": []}

    def claiming(name: str) -> Any:
        async def claim(_topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
            claims[name].append(partitions)
            return dict.fromkeys(partitions, 0)

        return claim

    logs = {name: await KafkaLog.open(replace(options, member=name)) for name in claims}
    async with logs["one"].follow([EVENTS], "reader", claiming("one")) as one:
        async with logs["two"].follow([EVENTS], "reader", claiming("two")) as two:
            async with asyncio.timeout(PATIENCE_S):
                while not (len(list(one.held())) == len(list(two.held())) == 1):
                    await asyncio.gather(one.poll(1, 0.1), two.poll(1, 0.1))
        before, held = len(claims["one"]), list(two.held())
        async with logs["two"].follow([EVENTS], "reader", claiming("two")) as two:
            async with asyncio.timeout(PATIENCE_S):
                while not list(two.held()):
                    await asyncio.gather(one.poll(1, 0.1), two.poll(1, 0.1))
            assert list(two.held()) == held
        assert set(claims["one"][before:]) <= {frozenset(partition for _, partition in one.held())}
        assert not set(one.held()) & set(held)
    for opened in logs.values():
        await opened.close()
