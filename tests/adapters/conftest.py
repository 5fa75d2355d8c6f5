"""A log on a real Kafka, and who may change the cluster under it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient

from adapters.eventlog.kafka.log import KafkaLog
from adapters.eventlog.kafka.options import KafkaOptions
from deploy.local.kafka import KafkaCluster

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
