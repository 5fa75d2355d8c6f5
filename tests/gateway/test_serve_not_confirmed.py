"""Kafka whose events are read and that confirms no appends, a topic being gone: readiness says so, and takes it back."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.log import RECEIPTS
from tests.bench.messages import messages
from tests.command_line import HOSPITAL, Backbone
from tests.gateway.test_serve import SECRET, sends
from tests.patience import eventually

pytestmark = pytest.mark.engine


def asked(bootstrap: str, question: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
    """What the cluster answers."""

    async def ask() -> Any:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            return await question(admin)
        finally:
            await admin.close()

    return asyncio.run(ask())


def ready(http: str, part: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{http}/health/ready?part={part}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def answered(http: str) -> tuple[int, dict[str, Any]] | None:
    """What is said of taking in, once the brokers answer in time: while a topic goes away they may take longer."""
    status, told = ready(http, "taking-in")
    return (status, told) if told["log"] == {"reachable": True} else None


def test_an_append_that_was_not_confirmed_is_said_until_one_is(tmp_path: Path, kafka_bootstrap: str) -> None:
    prefix, sent = uuid.uuid4().hex, list(messages(2))
    receipts = f"{prefix}.{RECEIPTS}"
    log = f"kafka://{kafka_bootstrap}/{prefix}?replication=1"
    backbone = Backbone(tmp_path, {"BACKBONE_LOG": log, "BACKBONE_PARTITIONS": "1", "BACKBONE_KEY_SECRET": SECRET})
    backbone.settings(HOSPITAL)
    with backbone.serving() as server:
        assert b"MSA|AA|" in sends(server.mllp, sent[0])
        assert ready(server.http, "taking-in")[0] == 200
        asked(kafka_bootstrap, lambda admin: admin.delete_topics([receipts]))
        assert b"MSA|AA|" not in sends(server.mllp, sent[1])
        status, told = eventually(lambda: answered(server.http))
        assert status == 503
        assert told["appends"]["code"] == "log-unavailable"
        assert told["appends"]["cure"]
        eventually(lambda: ready(server.http, "either")[0] == 200)
        eventually(lambda: receipts not in asked(kafka_bootstrap, lambda admin: admin.list_topics()))
        asked(kafka_bootstrap, lambda admin: admin.create_topics([NewTopic(receipts, 1, 1)]))
        eventually(lambda: b"MSA|AA|" in sends(server.mllp, sent[1]))
        assert ready(server.http, "taking-in")[0] == 200
