"""Kafka that is read and takes nothing, because too few copies are in sync: readiness says so, and takes it back."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.kafka import KafkaCluster
from schemas.log import TOPICS
from tests.bench.messages import messages
from tests.command_line import HOSPITAL, Backbone
from tests.gateway.test_serve import SECRET, sends
from tests.patience import eventually

pytestmark = pytest.mark.engine


def want_in_sync(bootstrap: str, prefix: str, copies: int) -> None:
    """What ``kafka-configs.sh --alter --add-config min.insync.replicas`` does."""

    async def alter() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            configs = {"min.insync.replicas": str(copies)}
            names = [f"{prefix}.{topic}" for topic in TOPICS]
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs) for name in names])
        finally:
            await admin.close()

    asyncio.run(alter())


def ready(http: str, part: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{http}/health/ready?part={part}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def brokers(three_brokers: KafkaCluster) -> Iterator[KafkaCluster]:
    """Three, all of which run again at the end."""
    try:
        yield three_brokers
    finally:
        for node in three_brokers.members:
            three_brokers.restart(node)
        for node in three_brokers.members:
            three_brokers.await_port(node)


def test_an_append_that_was_not_confirmed_is_said_until_one_is(tmp_path: Path, brokers: KafkaCluster) -> None:
    prefix, sent = uuid.uuid4().hex, list(messages(2))
    log = f"kafka://{brokers.bootstrap}/{prefix}"
    backbone = Backbone(tmp_path, {"BACKBONE_LOG": log, "BACKBONE_PARTITIONS": "1", "BACKBONE_KEY_SECRET": SECRET})
    backbone.settings(HOSPITAL)
    with backbone.serving() as server:
        assert b"MSA|AA|" in sends(server.mllp, sent[0])
        assert ready(server.http, "taking-in")[0] == 200
        want_in_sync(brokers.bootstrap, prefix, 3)
        brokers.kill(brokers.members[0])
        assert b"MSA|AA|" not in sends(server.mllp, sent[1])
        status, told = ready(server.http, "taking-in")
        assert (status, told["log"]) == (503, {"reachable": True})
        assert "min.insync.replicas" in told["appends"]["cure"]
        assert ready(server.http, "either")[0] == 200
        brokers.restart(brokers.members[0])
        brokers.await_port(brokers.members[0])
        eventually(lambda: b"MSA|AA|" in sends(server.mllp, sent[1]))
        assert ready(server.http, "taking-in")[0] == 200
