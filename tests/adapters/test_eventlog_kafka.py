"""The log on a real Kafka where it differs from the contract: reaching the cluster, and who else reads it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from adapters.eventlog.connect import connect
from adapters.eventlog.kafka.log import KafkaLog
from adapters.eventlog.kafka.options import KafkaOptions
from deploy.local.kafka import KafkaCluster
from schemas.errors import LogMismatch, LogUnavailable, NotFound, SettingsError
from schemas.event import encode
from schemas.log import EVENTS, NewRecord
from tests.adapters.conftest import PARTITIONS
from tests.consumers.build import HOSPITAL, record_key, said
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.asyncio, pytest.mark.engine]


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
        async with asyncio.timeout(PATIENCE_S):
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
    "no user": ("{secure}/p?tls={authority}", "closes the connection"),
    "the port": ("127.0.0.1:1/p", "no broker listens there"),
    "the host": ("no-such-host.invalid:9092/p", "no host of that name"),
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
    assert refused.value.where.startswith(("BACKBONE_LOG, 127.0.0.1:", "BACKBONE_LOG, no-such-host.invalid:"))


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


async def test_too_few_copies_in_sync_are_told_before_anything_is_sent(
    options: KafkaOptions, log: KafkaLog, kafka_cluster: KafkaCluster
) -> None:
    assert log.trouble() is None
    topic = options.prefix + EVENTS
    more = ["--bootstrap-server", options.bootstrap, "--alter", "--topic", topic, "--add-config", "min.insync.replicas=2"]
    await asyncio.to_thread(kafka_cluster.run, "kafka.admin.ConfigCommand", *more)
    again = await KafkaLog.open(options)
    told = again.trouble()
    assert told is not None
    assert told.message.startswith(f"{PARTITIONS} of {PARTITIONS} partitions")
    assert (told.where, "Start the brokers" in told.cure) == (topic, True)
    await again.close()


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
