"""A log that others damage under a running backbone: each process says so, nothing is acknowledged falsely, nothing skipped."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.log import EVENTS
from tests.journeys.harness import Backbone, hospital_messages, split
from tests.patience import eventually

pytestmark = pytest.mark.engine

PARTITIONS = 2


class Damage:
    """What an operator's slip does to the topic of the events."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap, self._topic = bootstrap, f"{prefix}.{EVENTS}"

    def delete(self) -> None:
        """``kafka-topics.sh --delete``."""
        self._do(lambda admin: admin.delete_topics([self._topic]))

    def remove_all(self) -> None:
        """``kafka-delete-records.sh``, or a retention that has passed everything so far."""

        async def remove(admin: AIOKafkaAdminClient) -> None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
            await consumer.start()
            ends = await consumer.end_offsets([TopicPartition(self._topic, number) for number in range(PARTITIONS)])
            await consumer.stop()
            await admin.delete_records({place: RecordsToDelete(end) for place, end in ends.items() if end})

        self._do(remove)

    def _do(self, harm: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> None:
        async def done() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            await harm(admin)
            await admin.close()

        asyncio.run(done())


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def damage(kafka_bootstrap: str, prefix: str) -> Damage:
    return Damage(kafka_bootstrap, prefix)


@pytest.fixture
def backbone(prefix: str, kafka_bootstrap: str, postgres_url: str, tmp_path: Path) -> Iterator[Backbone]:
    """Running, with one message on the timeline."""
    made = split(tmp_path, f"kafka://{kafka_bootstrap}/{prefix}?replication=1", postgres_url, partitions=PARTITIONS)
    try:
        made.start()
        assert b"MSA|AA|" in made.mllp(hospital_messages()[0])[0]
        eventually(lambda: len(made.timeline()) == 1)
        yield made
    finally:
        made.close()


def _says(backbone: Backbone, role: str, text: str) -> None:
    eventually(lambda: text in backbone.having(role).log.read_text())


def test_a_topic_deleted_under_it_is_said_by_every_process_and_not_made_anew(backbone: Backbone, damage: Damage) -> None:
    damage.delete()
    eventually(lambda: backbone.mllp(hospital_messages()[1]) == [])  # closed without an answer
    eventually(lambda: all(process.asked("/health/ready") is None for process in backbone.processes))
    _says(backbone, "projections", "the topic no longer exists")
    told = backbone.run("doctor")
    assert told.returncode != 0
    assert f"{EVENTS}: the topic was deleted" in told.stdout
    assert len(backbone.timeline()) == 1, "what is there can still be read"
    backbone.end()
    refused = backbone.run("serve", "--only", "intake")
    assert refused.returncode == 3
    assert "the topic was deleted" in refused.stderr
    backbone.having("projections").restart()
    _says(backbone, "projections", "the topic was deleted")
    assert "not found in cluster metadata" not in backbone.output, "what the library says ten times a second"


def test_events_removed_before_they_were_projected_are_never_skipped_and_a_rebuild_goes_on(
    backbone: Backbone, damage: Damage
) -> None:
    assert backbone.having("projections").stop() == 0
    assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*hospital_messages()[1:3]))
    damage.remove_all()
    assert b"MSA|AA|" in backbone.mllp(hospital_messages()[3])[0]
    backbone.having("projections").start()
    _says(backbone, "projections", "`backbone rebuild --all`")
    told = backbone.run("doctor").stdout
    assert "backbone rebuild" in told, told
    assert len(backbone.timeline()) == 1, "nothing behind the gap was projected"
    done = backbone.run("rebuild", "people", "timeline")
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(backbone.timeline()) == 1 and "Discharged" in backbone.timeline()[0]["title"])
    assert b"MSA|AA|" in backbone.mllp(hospital_messages()[0].replace(b"NF-V-88120", b"NF-V-88121"))[0]
    eventually(lambda: len(backbone.timeline()) == 2)  # it goes on by itself
