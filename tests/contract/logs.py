"""One and the same log, opened as often as a test likes; one row for each implementation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from adapters.eventlog.connect import connect
from deploy.local.kafka import KafkaCluster
from schemas.log import EventLog

PARTITIONS = 6
"""Enough for records to spread, few enough for a test to look at each."""


class Logs:
    """Opens a log again and again, and closes what the test left open."""

    def __init__(self, url: str, opened: AsyncExitStack) -> None:
        self.url, self.partitions = url, PARTITIONS
        self._opened = opened

    async def open(self) -> EventLog:
        """A connection of its own to the log, as another process would have."""
        log = await connect(self.url, partitions=self.partitions)
        self._opened.push_async_callback(log.close)
        return log


def _embedded(folder: Path) -> str:
    return f"sqlite:///{folder / 'log.db'}"


def _kafka(bootstrap: str) -> str:
    return f"kafka://{bootstrap}/{uuid.uuid4().hex}?replication=1"


def _kafka_three(cluster: KafkaCluster) -> str:
    return f"kafka://{cluster.bootstrap}/{uuid.uuid4().hex}"


IMPLEMENTATIONS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "embedded": ("tmp_path", _embedded),
    "kafka": ("kafka_bootstrap", _kafka),
    "kafka, three brokers": ("three_brokers", _kafka_three),
}
"""Name → the fixture it needs, and from that the address of a new, empty log."""
