"""The number of partitions raised as docs/operate.md says: nothing is lost, and a record goes on in another partition."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from schemas.log import TOPICS
from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually
from tests.stores import empty_database

BEFORE, AFTER = 2, 7


def raise_partitions(bootstrap: str, prefix: str) -> None:
    """What ``kafka-topics.sh --alter --partitions`` does."""

    async def alter() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_partitions({f"{prefix}.{topic}": NewPartitions(AFTER) for topic in TOPICS})
        finally:
            await admin.close()

    asyncio.run(alter())


@pytest.mark.engine
def test_a_stay_goes_on_over_a_change_of_partitions(tmp_path: Path, kafka_bootstrap: str, postgres_url: str) -> None:
    prefix = uuid.uuid4().hex
    settings = {
        "BACKBONE_KEY_SECRET": uuid.uuid4().hex,
        "BACKBONE_PARTITIONS": str(BEFORE),
        "BACKBONE_LOG": f"kafka://{kafka_bootstrap}/{prefix}?replication=1",
        "BACKBONE_STORE": empty_database(postgres_url),
    }
    first, later = hospital_messages()[:2], hospital_messages()[2:]
    backbone = Backbone(tmp_path, settings).start()
    try:
        assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*first))
        eventually(lambda: len(backbone.timeline()) == 2)
        person = backbone.person()
        assert backbone.end() == 0
        raise_partitions(kafka_bootstrap, prefix)
        refused = backbone.run("doctor")
        assert refused.returncode == 2
        assert "BACKBONE_PARTITIONS" in refused.stdout
    finally:
        backbone.close()
    again = Backbone(tmp_path, {**settings, "BACKBONE_PARTITIONS": str(AFTER)}).start()
    try:
        assert all(b"MSA|AA|" in answer for answer in again.mllp(*later, *first))  # two of them for the second time
        eventually(lambda: len(again.timeline()) == 4)
        eventually(lambda: all(lag["events"] == 0 for lag in again.http.get("/health/ready").json()["behind"].values()))
        assert len(again.timeline()) == 4
        assert again.person() == person
    finally:
        again.close()
