"""The log on a real Kafka where it differs from the contract: refusals at the start, and what the cluster may do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from adapters.eventlog.connect import connect
from adapters.eventlog.kafka.follower import KafkaFollower, group_options
from adapters.eventlog.kafka.log import KafkaLog
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.reader import consumer_options
from adapters.eventlog.kafka.watchdog import Watchdog
from deploy.local.kafka import KafkaCluster
from schemas.errors import ConsumerStuck, LogMismatch, LogUnavailable, NotFound, SettingsError, TooLarge
from schemas.event import encode
from schemas.log import EVENTS, NewRecord
from tests.consumers.build import HOSPITAL, record_key, said

pytestmark = [pytest.mark.asyncio, pytest.mark.engine]

PARTITIONS = 2


@pytest.fixture
def options(kafka_cluster: KafkaCluster) -> KafkaOptions:
    """Of a log that nobody has made yet."""
    return KafkaOptions(kafka_cluster.bootstrap, f"{uuid.uuid4().hex}.", PARTITIONS, 1, append_within=timedelta(seconds=8))


@pytest_asyncio.fixture
async def log(options: KafkaOptions) -> AsyncIterator[KafkaLog]:
    """An empty log."""
    made = await KafkaLog.open(options)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def admin(options: KafkaOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    """Who may change the cluster."""
    client = AIOKafkaAdminClient(bootstrap_servers=options.bootstrap)
    await client.start()
    yield client
    await client.close()


async def from_the_start(_topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


# --- reaching the cluster ----------------------------------------------------------------------------------------------------


async def test_it_works_over_tls_as_a_user(kafka_cluster: KafkaCluster, engine_folder: Path) -> None:
    authority = engine_folder / "kafka-tls" / "authority.pem"
    where = f"backbone:right-pass-word@{kafka_cluster.secure_bootstrap}/{uuid.uuid4().hex}?replication=1&tls={authority}"
    log = await connect(f"kafka://{where}", partitions=PARTITIONS)
    [position] = await log.append([NewRecord(EVENTS, "k", b"v")])
    assert [record.value for record in await log.read(*position, 1)] == [b"v"]
    async with log.follow([EVENTS], "reader", from_the_start) as follower:
        async with asyncio.timeout(30):
            while not (found := await follower.poll(10, 0.2)):
                pass
    assert [record.value for record in found] == [b"v"]
    await log.close()


WRONG = {
    "the password": ("backbone:wrong-pass-word@{secure}/p?tls={authority}", "user or the password"),
    "the user": ("nobody:right-pass-word@{secure}/p?tls={authority}", "user or the password"),
    "the authority": ("backbone:right-pass-word@{secure}/p?tls={other}", "certificate"),
    "no TLS": ("backbone:right-pass-word@{secure}/p", "closes the connection"),
    "TLS where there is none": ("backbone:right-pass-word@{plain}/p?tls={authority}", "closes the connection"),
    "the port": ("127.0.0.1:1/p", "no broker listens there"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_each_wrong_setting_has_a_clear_error(
    what: str, kafka_cluster: KafkaCluster, engine_folder: Path, tmp_path: Path
) -> None:
    from tests.certificates import Authority

    address, says = WRONG[what]
    url = "kafka://" + address.format(
        secure=kafka_cluster.secure_bootstrap,
        plain=kafka_cluster.bootstrap,
        authority=engine_folder / "kafka-tls" / "authority.pem",
        other=Authority(tmp_path, "other").certificate,
    )
    with pytest.raises(LogUnavailable, match=says) as refused:
        await connect(url)
    assert "pass-word" not in str(refused.value)
    assert refused.value.where.startswith("BACKBONE_LOG, 127.0.0.1:")


async def test_another_cluster_than_the_one_that_is_meant_is_refused(options: KafkaOptions, log: KafkaLog) -> None:
    cluster = log.identity.removeprefix("kafka:").partition("/")[0]
    await (await KafkaLog.open(replace(options, cluster=cluster))).close()
    with pytest.raises(LogMismatch, match=f"this is cluster {cluster}, not another"):
        await KafkaLog.open(replace(options, cluster="another"))


async def test_topics_are_made_only_where_they_may_be(options: KafkaOptions) -> None:
    with pytest.raises(NotFound):
        await KafkaLog.open(options, create=False)
    await (await KafkaLog.open(options)).close()
    await (await KafkaLog.open(options, create=False)).close()


async def test_too_few_brokers_for_the_copies_is_a_clear_error(options: KafkaOptions) -> None:
    with pytest.raises(SettingsError, match="InvalidReplicationFactor") as refused:
        await KafkaLog.open(replace(options, replication=3))
    assert "?replication=1" in refused.value.cure


async def test_a_topic_that_breaks_a_promise_is_refused_and_the_named_command_mends_it(
    options: KafkaOptions, admin: AIOKafkaAdminClient, kafka_cluster: KafkaCluster
) -> None:
    await admin.create_topics([NewTopic(options.prefix + EVENTS, PARTITIONS, 1)])
    refusals = []
    for _ in range(9):
        try:
            await (await KafkaLog.open(options)).close()
            break
        except SettingsError as refused:
            refusals.append(refused)
            _, *command = refused.cure.split()
            named = ["--bootstrap-server", options.bootstrap, *command]
            await asyncio.to_thread(kafka_cluster.run, "kafka.admin.ConfigCommand", *named)
    assert [refused.where for refused in refusals] == [options.prefix + EVENTS] * 2
    assert ["max.message.bytes" in str(refused) for refused in refusals] == [True, False]
    assert ["message.timestamp.type" in str(refused) for refused in refusals] == [False, True]


# --- while it runs -----------------------------------------------------------------------------------------------------------


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
        with pytest.raises(LogMismatch, match="not there any more"):
            async with asyncio.timeout(60):
                while True:
                    await follower.poll(10, 0.2)
    with pytest.raises(LogUnavailable):
        await log.append([NewRecord(EVENTS, "k", b"lost?")])
    await impatient.close()


async def test_records_removed_before_they_were_read_are_never_skipped(
    options: KafkaOptions, log: KafkaLog, admin: AIOKafkaAdminClient
) -> None:
    places = await log.append([NewRecord(EVENTS, "k", b"%d" % number) for number in range(20)])
    place = TopicPartition(options.prefix + EVENTS, places[0].partition)
    await admin.delete_records({place: RecordsToDelete(before_offset=7)})
    async with log.follow([EVENTS], "late", from_the_start) as follower:
        with pytest.raises(LogMismatch, match="offset 0"):
            async with asyncio.timeout(30):
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
            async with asyncio.timeout(30):
                while len(given) < len(places):
                    given += await follower.poll(10, 0.2)
            assert [record.offset for record in given] == list(range(1, 20)), "what it had fetched already"
            return
        assert [record.offset for record in given] == list(range(1, 1 + len(given)))
    await impatient.close()


async def test_a_consumer_that_reads_nothing_although_there_is_something_is_stuck(options: KafkaOptions, log: KafkaLog) -> None:
    consumer = AIOKafkaConsumer(**consumer_options(options), **group_options(options, "stuck"))
    follower = KafkaFollower(consumer, {options.prefix + EVENTS: EVENTS}, from_the_start, Watchdog(patience=2.0))
    consumer.subscribe([options.prefix + EVENTS], listener=follower.listener)
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            while not list(follower.held()):
                await follower.poll(10, 0.2)
        consumer.pause(*consumer.assignment())  # alive, a member of the group, and reading nothing
        await log.append([NewRecord(EVENTS, "k", b"v")])
        with pytest.raises(ConsumerStuck):
            async with asyncio.timeout(30):
                while True:
                    assert list(await follower.poll(10, 0.2)) == []
    finally:
        await consumer.stop()


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
            async with asyncio.timeout(60):
                while not (len(list(one.held())) == len(list(two.held())) == 1):
                    await asyncio.gather(one.poll(1, 0.1), two.poll(1, 0.1))
        before, held = len(claims["one"]), list(two.held())
        async with logs["two"].follow([EVENTS], "reader", claiming("two")) as two:
            async with asyncio.timeout(60):
                while not list(two.held()):
                    await asyncio.gather(one.poll(1, 0.1), two.poll(1, 0.1))
            assert list(two.held()) == held
        assert set(claims["one"][before:]) <= {frozenset(partition for _, partition in one.held())}
        assert not set(one.held()) & set(held)
    for opened in logs.values():
        await opened.close()


# --- foreign readers ---------------------------------------------------------------------------------------------------------


async def test_a_foreign_consumer_reads_the_events_as_cloudevents(
    options: KafkaOptions, log: KafkaLog, kafka_cluster: KafkaCluster
) -> None:
    event = said("encounter-admitted-1", "visit-1")
    key, value = str(record_key(HOSPITAL, "A1")), encode(event)
    await log.append([NewRecord(EVENTS, key, value)])
    printed = await asyncio.to_thread(
        kafka_cluster.run,
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", options.bootstrap, "--topic", options.prefix + EVENTS, "--from-beginning"),
        *("--max-messages", "1", "--timeout-ms", "20000"),
        *("--property", "print.headers=true", "--property", "print.key=true"),
    )
    headers, its_key, content = printed.rstrip("\n").split("\t")
    message = KafkaMessage({"content-type": headers.removeprefix("content-type:").encode()}, its_key, content.encode())
    read = from_structured_event(message, JSONFormat())
    written = json.loads(value)
    assert (read.get_id(), read.get_source(), read.get_type()) == (written["id"], written["source"], written["type"])
    assert read.get_data() == written["data"]
    assert its_key == key
    assert "application/cloudevents+json" in headers
