"""A clock that is apart from the brokers' is told once, and once more when it agrees again."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest

from adapters.eventlog.kafka.clock import BrokersClock
from adapters.eventlog.kafka.log import KafkaLog
from adapters.eventlog.kafka.options import KafkaOptions
from schemas.log import EVENTS, NewRecord

NOON = 1_790_000_000.0


@pytest.mark.parametrize(
    ("appended", "says"),
    [
        (NOON + 0.1, ""),
        (NOON + 3600, "3600 s behind that of Kafka's brokers"),
        (NOON - 3600, "3600 s ahead of that of Kafka's brokers"),
    ],
)
def test_how_far_it_is_apart_is_said_with_its_cure(appended: float, says: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = BrokersClock()
    for _ in range(3):
        clock.seen(NOON, appended, NOON)
    assert [says in said and "NTP" in said for said in caplog.messages] == [True] * bool(says)


def test_a_slow_append_is_no_other_clock(caplog: pytest.LogCaptureFixture) -> None:
    BrokersClock().seen(NOON, NOON + 14, NOON + 28)
    assert caplog.messages == []


def test_that_they_agree_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = BrokersClock()
    for appended in (NOON + 60, NOON, NOON):
        clock.seen(NOON, appended, NOON)
    assert ["agrees" in said for said in caplog.messages] == [False, True]


@pytest.mark.engine
@pytest.mark.asyncio
async def test_a_real_broker_gives_its_time(options: KafkaOptions, caplog: pytest.LogCaptureFixture) -> None:
    log = await KafkaLog.open(replace(options, clock=lambda: time.time() + 3600))
    for _ in range(2):
        await log.append([NewRecord(EVENTS, "k", b"v")])
    assert ["s ahead of that of Kafka's brokers" in said for said in caplog.messages] == [True]
    await log.close()
