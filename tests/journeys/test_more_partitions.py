"""The number of partitions raised as docs/operate.md says, and as it says not to: no event is lost, no order left to chance."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from schemas.log import TOPICS
from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually
from tests.stores import empty_database

pytestmark = pytest.mark.engine

BEFORE, AFTER = 2, 7
ROLES = ("gateway", "intake", "projections")


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


@pytest.fixture
def settings(kafka_bootstrap: str, postgres_url: str) -> dict[str, str]:
    """Of a backbone with `BEFORE` partitions, on a log of its own."""
    return {
        "BACKBONE_KEY_SECRET": uuid.uuid4().hex,
        "BACKBONE_PARTITIONS": str(BEFORE),
        "BACKBONE_LOG": f"kafka://{kafka_bootstrap}/{uuid.uuid4().hex}?replication=1",
        "BACKBONE_STORE": empty_database(postgres_url),
    }


def _prefix(settings: dict[str, str]) -> str:
    return settings["BACKBONE_LOG"].rpartition("/")[2].partition("?")[0]


def _told(backbone: Backbone) -> list[tuple[Any, ...]]:
    return [(entry["occurred_at"], entry["title"], entry["source"]["id"]) for entry in backbone.timeline()]


def _as_if_nothing_had_changed(folder: Path, secret: str) -> tuple[str | None, list[tuple[Any, ...]]]:
    """Person and timeline of the same messages on the embedded default, in the order they were sent."""
    plain = Backbone(folder, {"BACKBONE_KEY_SECRET": secret}).start()
    try:
        plain.mllp(*hospital_messages())
        eventually(lambda: len(plain.timeline()) == 4)
        return plain.person(), _told(plain)
    finally:
        plain.close()


@pytest.mark.parametrize("backlog", [False, True], ids=["with nothing to make up for", "with all of it to make up for"])
def test_a_stay_goes_on_over_a_change_of_partitions(
    backlog: bool, tmp_path: Path, settings: dict[str, str], kafka_bootstrap: str
) -> None:
    first, later = hospital_messages()[:2], hospital_messages()[2:]
    backbone = Backbone(tmp_path, settings, ROLES)
    try:
        if backlog:
            backbone.having("intake").start()
        else:
            backbone.start()
        assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*first))
        if not backlog:
            eventually(lambda: len(backbone.timeline()) == 2)
        assert backbone.end() == 0
        raise_partitions(kafka_bootstrap, _prefix(settings))
        refused = backbone.run("doctor")
        assert refused.returncode == 2
        assert "BACKBONE_PARTITIONS" in refused.stdout
    finally:
        backbone.close()
    again = Backbone(tmp_path, {**settings, "BACKBONE_PARTITIONS": str(AFTER)}, ROLES)
    try:
        again.having("intake").start()
        assert all(b"MSA|AA|" in answer for answer in again.mllp(*later, *first))  # two of them for the second time
        again.start()
        eventually(lambda: len(again.timeline()) == 4)
        eventually(lambda: all(lag["events"] == 0 for lag in again.http.get("/health/ready").json()["behind"].values()))
        plain = tmp_path / "plain"
        plain.mkdir()
        assert (again.person(), _told(again)) == _as_if_nothing_had_changed(plain, settings["BACKBONE_KEY_SECRET"])
    finally:
        again.close()


def test_processes_whose_partitions_are_raised_under_them_stop_and_say_the_cure(
    tmp_path: Path, settings: dict[str, str], kafka_bootstrap: str
) -> None:
    one, two, *_ = hospital_messages()
    backbone = Backbone(tmp_path, settings, ROLES).start()
    try:
        assert b"MSA|AA|" in backbone.mllp(one)[0]
        eventually(lambda: len(backbone.timeline()) == 1)
        raise_partitions(kafka_bootstrap, _prefix(settings))
        eventually(lambda: all(process.asked("/health/ready") is None for process in backbone.processes))
        sent = (two.replace(b"NF00000002", b"NF%08d" % number) for number in range(1000, 100_000))
        eventually(lambda: backbone.mllp(next(sent)) == [])  # closed without an answer, once the intake has noticed as well
        cure = f"Stop every backbone process, set BACKBONE_PARTITIONS={AFTER}"
        eventually(lambda: all(cure in process.log.read_text() for process in backbone.processes if process.name != "gateway"))
        assert backbone.timeline(), "what is there can still be read"
    finally:
        backbone.close()
