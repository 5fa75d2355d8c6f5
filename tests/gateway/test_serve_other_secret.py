"""A process with another key secret than the one its log was written with: refused before anything is taken in or read."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.messages import messages
from tests.command_line import HOSPITAL, Backbone
from tests.gateway.test_serve import SECRET, sends

OTHER = SECRET[::-1]
ROLES = ["intake", "projections", "gateway"]


class Processes:
    """Processes with data folders of their own, on one log."""

    def __init__(self, folder: Path, log: str) -> None:
        self._folder, self._log = folder, log

    def having(self, secret: str) -> Backbone:
        own = self._folder / uuid.uuid4().hex
        own.mkdir()
        environment = {"BACKBONE_LOG": self._log, "BACKBONE_PARTITIONS": "2", "BACKBONE_KEY_SECRET": secret}
        made = Backbone(own, environment)
        made.settings(HOSPITAL)
        return made


def _embedded(folder: Path, _request: pytest.FixtureRequest) -> str:
    return f"sqlite:///{folder / 'log.db'}"


def _kafka(_folder: Path, request: pytest.FixtureRequest) -> str:
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/{uuid.uuid4().hex}?replication=1"


@pytest.fixture(params=[pytest.param(_embedded, id="embedded"), pytest.param(_kafka, id="kafka", marks=pytest.mark.engine)])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Processes:
    address: Callable[[Path, pytest.FixtureRequest], str] = request.param
    made = Processes(tmp_path, address(tmp_path, request))
    with made.having(SECRET).serving("--only", "intake") as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
    return made


@pytest.mark.parametrize("role", ROLES)
def test_another_secret_is_refused_at_the_start_with_the_cure(role: str, processes: Processes) -> None:
    door = ["--mllp", "127.0.0.1:0"] if role == "intake" else ["--http", "127.0.0.1:0"]
    refused = processes.having(OTHER)("serve", "--only", role, *door)
    assert refused.status == 2, refused.err
    assert "the log was written with another key secret" in refused.err.lower()
    assert "Give this process the secret of the others" in refused.err
    assert not any(secret in refused.err for secret in (SECRET, OTHER))


def test_the_doctor_says_so_and_finds_nothing_wrong_with_the_right_one(processes: Processes) -> None:
    refused = processes.having(OTHER)("doctor")
    assert refused.status == 2, refused.out
    assert "another key secret" in refused.out
    assert "the log was written with this key secret" in processes.having(SECRET)("doctor").out


def test_the_right_secret_goes_on_after_another_was_refused(processes: Processes) -> None:
    assert processes.having(OTHER)("serve", "--only", "intake", "--mllp", "127.0.0.1:0").status == 2
    with processes.having(SECRET).serving("--only", "intake") as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))


def test_a_log_from_before_is_marked_by_the_next_start_and_the_doctor_says_so(tmp_path: Path) -> None:
    processes = Processes(tmp_path, f"sqlite:///{tmp_path / 'log.db'}")
    with processes.having(SECRET).serving("--only", "intake"):
        pass
    with sqlite3.connect(tmp_path / "log.db") as log:
        log.execute("DELETE FROM about WHERE name = 'mark key-secret'")
    log.close()
    told = processes.having(OTHER)("doctor")
    assert "does not say yet with which key secret" in told.out
    assert "secret used so far" in told.out
    with processes.having(SECRET).serving("--only", "intake"):
        pass
    assert processes.having(OTHER)("doctor").status == 2
