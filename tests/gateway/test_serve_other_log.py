"""A process that only takes in, started on another log by mistake: refused before anything is acknowledged."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from adapters.eventlog.connect import connect
from tests.bench.messages import messages
from tests.command_line import Backbone, Outcome
from tests.gateway.test_serve import HOSPITAL, SECRET, sends
from tests.patience import eventually

pytestmark = pytest.mark.engine

PARTITIONS = 2


class Taking:
    """An intake in one data folder, on one log or another of the same cluster."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self._folder, self._bootstrap = folder, bootstrap
        self.prefix = uuid.uuid4().hex

    def on(self, prefix: str, **more: str) -> Backbone:
        environment = {
            **more,
            "BACKBONE_LOG": self.url(prefix),
            "BACKBONE_STORE": "postgresql://nobody@127.0.0.1:1/none",
            "BACKBONE_KEY_SECRET": SECRET,
            "BACKBONE_PARTITIONS": str(PARTITIONS),
        }
        made = Backbone(self._folder, environment)
        made.settings(HOSPITAL)
        return made

    def url(self, prefix: str) -> str:
        return f"kafka://{self._bootstrap}/{prefix}?replication=1"

    def refused(self, prefix: str) -> Outcome:
        return self.on(prefix)("serve", "--only", "intake", "--mllp", "127.0.0.1:0")

    def topics(self, prefix: str) -> set[str]:
        """Those of the log, as the cluster has them."""

        async def listed(admin: AIOKafkaAdminClient) -> set[str]:
            return {topic for topic in await admin.list_topics() if topic.startswith(prefix)}

        found: set[str] = self.ask(listed)
        return found

    def ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
            await admin.start()
            try:
                return await question(admin)
            finally:
                await admin.close()

        return asyncio.run(asked())


@pytest.fixture
def taking(tmp_path: Path, kafka_bootstrap: str) -> Taking:
    """An intake that has taken in one message."""
    made = Taking(tmp_path, kafka_bootstrap)
    with made.on(made.prefix).serving("--only", "intake") as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
    return made


def test_an_empty_cluster_is_refused_and_nothing_is_made_there(taking: Taking) -> None:
    empty = uuid.uuid4().hex
    refused = taking.refused(empty)
    assert refused.status == 2, refused.err
    assert f"/{taking.prefix}, there is no log at this address" in refused.err
    assert "Correct BACKBONE_LOG" in refused.err
    assert taking.topics(empty) == set()


def test_another_backbones_log_is_refused_and_the_doctor_says_so(taking: Taking) -> None:
    other = uuid.uuid4().hex

    async def made() -> None:
        await (await connect(taking.url(other), partitions=PARTITIONS)).close()

    asyncio.run(made())
    assert f"/{taking.prefix}, this log is kafka:" in taking.refused(other).err
    assert f"/{taking.prefix}, this log is kafka:" in taking.on(other)("doctor").out
    with taking.on(taking.prefix).serving("--only", "intake"):
        pass


def test_topics_that_were_all_deleted_are_not_made_anew(taking: Taking) -> None:
    all_of_them = list(taking.topics(taking.prefix))
    taking.ask(lambda admin: admin.delete_topics(all_of_them))
    eventually(lambda: not taking.topics(taking.prefix))
    assert "there is no log" in taking.refused(taking.prefix).err
    assert taking.topics(taking.prefix) == set()


def test_a_data_folder_that_cannot_be_written_keeps_nothing_out_and_is_warned_of(tmp_path: Path, kafka_bootstrap: str) -> None:
    taking = Taking(tmp_path, kafka_bootstrap)
    with taking.on(taking.prefix, BACKBONE_DATA="/proc/no-folder").serving("--only", "intake") as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
        told = server.stop().err
    assert "log-identity cannot be written" in told
    assert "say cluster= in BACKBONE_LOG" in told
