"""Listening beyond loopback: only when it was spelled out, warned of at every start, and never to a page of another site."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.serving.listen import NotLoopbackError, PublicAddressError, resolve
from gateway.settings.values import Address
from tests.command_line import DEADLINE_S, Backbone, Outcome

SPELLED_OUT = {"BACKBONE_LISTEN_BEYOND_LOOPBACK": "inside-a-private-network-without-access-control"}
EVERYWHERE = ("--http", "0.0.0.0:0", "--mllp", "0.0.0.0:0")


def warnings(outcome: Outcome) -> list[str]:
    lines = [json.loads(line) for line in outcome.err.splitlines()]
    return [line["message"] for line in lines if line["level"] == "warning"]


def findings(backbone: Backbone) -> list[dict[str, str]]:
    outcome = backbone("doctor", "--json")
    return [finding for finding in outcome.json if finding["about"] == "listening"]


@pytest.mark.parametrize("value", ["", "yes", "true", "1", "inside-a-private-network"])
def test_nothing_short_of_the_whole_words_opens_a_door(tmp_path: Path, value: str) -> None:
    backbone = Backbone(tmp_path, {"BACKBONE_LISTEN_BEYOND_LOOPBACK": value})
    outcome = backbone("serve", *EVERYWHERE)
    assert outcome.status == 2
    assert "listen_beyond_loopback" in outcome.err.lower().replace("\n", " ")


@pytest.mark.parametrize("door", ["http", "mllp"])
def test_each_door_is_refused_without_it(tmp_path: Path, door: str) -> None:
    outcome = Backbone(tmp_path)("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0", f"--{door}", "0.0.0.0:0")
    assert outcome.status == 2
    assert "access control exists. Use 127.0.0.1" in outcome.err


def test_a_server_that_is_open_serves_and_warns_of_each_door(tmp_path: Path) -> None:
    with Backbone(tmp_path, SPELLED_OUT).serving(*EVERYWHERE) as server:
        assert server.http.startswith("http://0.0.0.0:")
        assert asked(server.http, "127.0.0.1") == 200
        said = warnings(server.stop())
    assert [line.partition(" ")[0] for line in said] == ["http", "mllp"]
    assert all("no access control" in line for line in said)


def test_a_server_on_loopback_warns_of_nothing(tmp_path: Path) -> None:
    with Backbone(tmp_path, SPELLED_OUT).serving() as server:
        assert warnings(server.stop()) == []


def test_a_server_whose_data_folder_was_there_for_everybody_to_look_into_warns_with_the_cure(tmp_path: Path) -> None:
    data = tmp_path / "backbone-data"
    data.mkdir(mode=0o755)
    with Backbone(tmp_path).serving() as server:
        (said,) = warnings(server.stop())
    assert said == f"every user of this machine may look into {data}: chmod 700 {data}"


NAMES: Mapping[str, int] = {
    "localhost:8080": 200,
    "10.1.2.3:8080": 200,
    "[fd00::7]:8080": 200,
    "Backbone.Northfield.example": 200,
    "gateway": 200,
    "rebinding.example": 403,
    "10.1.2.3.rebinding.example": 403,
    "": 403,
}
"""What a request may call the server, and the answer."""


def test_it_answers_to_addresses_and_listed_names_but_not_to_another_sites(tmp_path: Path) -> None:
    environment = {**SPELLED_OUT, "BACKBONE_HTTP_NAMES": "backbone.northfield.example, gateway"}
    with Backbone(tmp_path, environment).serving(*EVERYWHERE) as server:
        assert {name: asked(server.http, name) for name in NAMES} == NAMES


def asked(server: str, name: str) -> int:
    request = urllib.request.Request(server.replace("0.0.0.0", "127.0.0.1") + "/health/live", headers={"Host": name})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_doctor_warns_of_each_open_door(tmp_path: Path) -> None:
    environment = {**SPELLED_OUT, "BACKBONE_HTTP": "0.0.0.0:8080", "BACKBONE_MLLP": "[::]:2575"}
    found = findings(Backbone(tmp_path, environment))
    assert [(one["level"], one["says"].partition(":")[0]) for one in found] == [("warn", "http 0.0.0.0"), ("warn", "mllp [")]
    assert all(one["cure"] for one in found)


def test_the_doctor_refuses_an_open_door_that_was_not_spelled_out(tmp_path: Path) -> None:
    (found,) = findings(Backbone(tmp_path, {"BACKBONE_HTTP": "0.0.0.0:8080"}))
    assert found["level"] == "fail"
    assert "listen_beyond_loopback" in found["cure"]


def test_the_doctor_wants_it_removed_where_nothing_needs_it(tmp_path: Path) -> None:
    assert [one["level"] for one in findings(Backbone(tmp_path, SPELLED_OUT))] == ["ok", "warn"]
    assert [one["level"] for one in findings(Backbone(tmp_path))] == ["ok"]


def test_the_doctor_lets_health_be_open_and_only_where_that_was_spelled_out(tmp_path: Path) -> None:
    everywhere = {"BACKBONE_HEALTH": "0.0.0.0:8081"}
    assert [one["level"] for one in findings(Backbone(tmp_path, SPELLED_OUT | everywhere))] == ["ok"]
    (found,) = findings(Backbone(tmp_path, everywhere))
    assert found["level"] == "fail"
    assert found["says"].startswith("health 0.0.0.0:8081")


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.1.1", "fd00::7", "0.0.0.0", "::"])
def test_a_private_address_may_be_listened_on_when_it_was_spelled_out(host: str) -> None:
    place = resolve("http", Address(host, 8080), beyond_loopback=True)
    assert place.beyond_loopback
    assert place.name == (host, 8080)
    with pytest.raises(NotLoopbackError):
        resolve("http", Address(host, 8080))


@pytest.mark.parametrize("host", ["8.8.8.8", "2001:4860:4860::8888"])
def test_a_public_address_is_refused_whatever_was_spelled_out(host: str) -> None:
    with pytest.raises(PublicAddressError) as caught:
        resolve("http", Address(host, 8080), beyond_loopback=True)
    assert host in caught.value.where
