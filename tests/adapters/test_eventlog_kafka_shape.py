"""What a topic must be like, and what the refusal says: the setting and the command that mends it."""

from __future__ import annotations

import pytest

from adapters.eventlog.kafka.shape import TopicShape, check, remarks, settings
from schemas.errors import SettingsError

WANTED = TopicShape(partitions=6, replication=3)
TOPIC = "backbone.events"


@pytest.mark.parametrize("change", [{}, {"min.insync.replicas": "3"}, {"max.message.bytes": "99999999"}, {"retention.ms": "9"}])
def test_a_topic_that_keeps_the_promises_is_taken(change: dict[str, str]) -> None:
    try:
        check(TOPIC, WANTED, {**settings(WANTED), **change}, WANTED)
    except SettingsError as refused:
        pytest.fail(f"it was refused: {refused.message}")


REFUSED = {
    "cleanup.policy": "compact",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "true",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_breaks_a_promise_is_refused_with_its_name_and_the_command_that_mends_it(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(TOPIC, WANTED, {**settings(WANTED), name: REFUSED[name]}, WANTED)
    assert refused.value.where == TOPIC
    assert f"{name} is {REFUSED[name]}" in refused.value.message
    assert f"--alter --topic {TOPIC} --add-config {name}={settings(WANTED)[name]}" in refused.value.cure


@pytest.mark.parametrize(
    ("found", "says"), [(TopicShape(12, 3), "12 partitions"), (TopicShape(6, 1), "1 replica"), (TopicShape(6, 2), "2 replica")]
)
def test_partitions_and_copies_must_be_those_of_the_settings(found: TopicShape, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        check(TOPIC, found, settings(WANTED), WANTED)


@pytest.mark.parametrize("name", ["retention.ms", "retention.bytes"])
def test_a_limited_retention_is_taken_and_remarked_on(name: str) -> None:
    check(TOPIC, WANTED, {**settings(WANTED), name: "604800000"}, WANTED)
    assert [name in remark for remark in remarks({**settings(WANTED), name: "604800000"})] == [True]
    assert remarks(settings(WANTED)) == []
