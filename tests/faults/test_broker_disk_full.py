"""Brokers whose disks are full to the last byte: one is done without, of two nothing is acknowledged, and room mends it."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaCluster, KafkaNode
from tests.bench.messages import messages
from tests.faults.account import count
from tests.faults.senders import Sender, by_person, from_people
from tests.faults.small_disks import SmallDisks, small_disks
from tests.journeys.harness import PARTITIONS, SAMPLES, SECRET, Backbone, split
from tests.patience import until

pytestmark = [pytest.mark.engine, pytest.mark.asyncio]

DISK_MIB = 64
"""A broker with what the test sends needs a quarter of it."""


@pytest.fixture
def folder(engine_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="disk-full-", dir=engine_folder))


@pytest.fixture
def disks(folder: Path) -> Iterator[SmallDisks]:
    """Small disks for the first two of three brokers."""
    with small_disks([folder / "kafka" / f"node-{number}" / "data" for number in (1, 2)], DISK_MIB) as made:
        yield made


@pytest.fixture
def cluster(folder: Path, disks: SmallDisks) -> Iterator[KafkaCluster]:
    made = KafkaCluster(folder / "kafka", nodes=3, within=disks.within)
    try:
        made.start()
        yield made
    finally:
        made.drop()


@pytest.fixture
def backbone(cluster: KafkaCluster, postgres_url: str, tmp_path: Path) -> Iterator[Backbone]:
    made = split(tmp_path, f"kafka://{cluster.bootstrap}/{uuid.uuid4().hex}", postgres_url)
    try:
        yield made.start()
    finally:
        made.close()


class Hospital:
    """Interface engines that send all the while."""

    def __init__(self, port: int) -> None:
        people = by_person(messages(1_000_000))
        self._senders = [Sender(port, from_people(people), pause_s=0.05) for _ in range(4)]
        self._stop = asyncio.Event()
        self._running = [asyncio.create_task(sender.run(self._stop)) for sender in self._senders]

    @property
    def acknowledged(self) -> list[bytes]:
        return [message for sender in self._senders for message in sender.acknowledged]

    async def until_more(self) -> None:
        """Until each could have been acknowledged anew."""
        before = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) > before + len(self._senders))

    async def end(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._running)


async def _filled(disks: SmallDisks, node: KafkaNode) -> None:
    """Fill the disk of ``node`` and wait until its broker has met that: it ends by itself."""
    disks.fill(node.folder / "data")
    await until(lambda: not node.running)
    assert "No space left on device" in (node.folder / "out.log").read_text()


async def test_full_disks_of_brokers_lose_nothing_and_acknowledge_nothing_that_is_not_safe(
    backbone: Backbone, cluster: KafkaCluster, disks: SmallDisks
) -> None:
    first, second, _ = cluster.members
    hospital = Hospital(backbone.mllp_port)
    await hospital.until_more()
    await _filled(disks, first)
    await hospital.until_more()  # two copies are enough

    await _filled(disks, second)
    sheet, kind = (SAMPLES / "willow-contacts.csv").read_bytes(), {"Content-Type": "text/csv"}
    post = backbone.http.post
    refused = await asyncio.to_thread(post, "/intake/willow-contacts", content=sheet, headers=kind, timeout=90)
    assert refused.status_code == 503
    assert refused.json()["code"] == "log-unavailable"
    before = len(hospital.acknowledged)

    for node in (first, second):
        disks.clear(node.folder / "data")
        cluster.restart(node)
    for node in (first, second):
        await asyncio.to_thread(cluster.await_port, node)
    await hospital.until_more()
    await hospital.end()
    assert len(hospital.acknowledged) > before

    async def sound() -> bool:
        settings = backbone.environment
        sent = hospital.acknowledged
        account = await count(sent, settings["BACKBONE_LOG"], PARTITIONS, settings["BACKBONE_STORE"], SECRET.encode())
        assert account.doubled == account.inverted == 0, account
        return account.sound

    await until(sound)
