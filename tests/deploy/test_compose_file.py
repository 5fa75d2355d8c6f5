"""The Compose file: what can be seen of it without running it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.processes.split import Role
from tests.deploy.files import DEPLOY, documents, settings_of

FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = documents(FILE)[0]
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("care-backbone:")}


def test_it_keeps_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_there_is_a_process_for_every_role_there_is_work_for() -> None:
    assert {service["command"][2] for service in OURS.values()} == set(Role)


@pytest.mark.parametrize("name", OURS)
def test_a_process_starts_with_these_settings(name: str, tmp_path: Path) -> None:
    service = OURS[name]
    settings = settings_of(service["environment"], service["command"], tmp_path)
    assert not settings.log.embedded
    assert settings.store.embedded == (name == "intake")  # taking in needs the log alone
    assert str(settings.health) == "0.0.0.0:8081"
    published = [port.split(":") for port in service.get("ports", [])]
    assert [int(target) for *_, target in published] == {
        "gateway": [settings.http.port],
        "intake": [settings.mllp.port],
        "projections": [],
    }[name]


@pytest.mark.parametrize("name", OURS)
def test_a_process_can_write_to_nothing_but_what_it_must(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "./backbone:/etc/backbone:ro" in service["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_machine_alone_and_by_a_network_that_can(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    networks = SERVICES[name]["networks"]
    assert any(not (COMPOSE["networks"][network] or {}).get("internal") for network in networks) == bool(ports)


def test_the_store_is_reached_by_those_who_read_alone() -> None:
    assert {name for name, service in SERVICES.items() if "store" in service["networks"]} == {
        "postgres",
        "projections",
        "gateway",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    named = [volume.split(":")[0] for volume in service.get("volumes", [])]
    assert {volume for volume in named if not volume.startswith(".")} <= set(COMPOSE["volumes"])
    made_by_the_operator = {"./backbone", "./inbox"}
    assert all((DEPLOY / volume).exists() for volume in named if volume.startswith(".") and volume not in made_by_the_operator)


def test_the_log_has_three_copies_and_answers_when_two_have_a_record() -> None:
    brokers = [service for name, service in SERVICES.items() if name.startswith("kafka-")]
    assert len(brokers) == 3
    for broker in brokers:
        said = broker["environment"]
        assert (said["KAFKA_DEFAULT_REPLICATION_FACTOR"], said["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
        assert said["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
    voters = brokers[0]["environment"]["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")
    ids = sorted(f"{broker['environment']['KAFKA_NODE_ID']}@{broker['hostname']}:9093" for broker in brokers)
    assert sorted(voters) == ids
