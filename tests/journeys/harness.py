"""A backbone as its users meet it: a process with doors, started in a fresh folder, stopped or killed at will."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2

from deploy.local.backbone import BackboneProcess
from tests.patience import PATIENCE_S
from tests.stores import empty_database

SAMPLES = files("gateway") / "samples"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
MARGARET = "9990000018"
"""NHS number of the person the samples are about."""


def hospital_messages() -> list[bytes]:
    """The four messages of the sample hospital stay, as they go over the wire."""
    text = (SAMPLES / "northfield-pas.hl7").read_text()
    return [("MSH|" + one).replace("\n", "\r").encode() for one in text.split("MSH|")[1:]]


PARTITIONS = 6
"""Enough for records to spread; each costs a round trip at the start."""
SECRET = "0123456789abcdef0123456789abcdef"


class Backbone:
    """``backbone serve`` in ``folder`` with the sample settings: one process for each of ``roles``; an empty one has all,
    in two processes with a supervisor.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, roles: Sequence[str] = ("",)) -> None:
        self.folder = folder
        self.environment = {**({} if any(roles) else {"BACKBONE_PROCESSES": "2"}), **(environment or {})}
        (folder / "inbox" / "riverside").mkdir(parents=True, exist_ok=True)
        (folder / "backbone.toml").write_text((SAMPLES / "backbone.toml").read_text())
        self.processes = [BackboneProcess(role or "serve", folder, role, self.environment) for role in roles]
        self.mllp_port = self.having("intake").mllp
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.having('gateway').http}", timeout=PATIENCE_S)

    def having(self, role: str) -> BackboneProcess:
        """The process that has ``role``."""
        return next(one for one in self.processes if one.roles in ("", role))

    def beside(self, name: str, roles: str) -> BackboneProcess:
        """A further process, which nobody has started; it ends with the others."""
        self.processes.append(BackboneProcess(name, self.folder, roles, self.environment))
        return self.processes[-1]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gateway.cli", "--config", str(self.folder / "backbone.toml"), *arguments]

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """A command beside the server."""
        command = self.command(*arguments)
        place: dict[str, Any] = {"cwd": self.folder, "env": self._env()}
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S, **place)

    def start(self) -> Backbone:
        for process in self.processes:
            process.restart()
        for process in self.processes:
            process.await_ready()
        return self

    @property
    def running(self) -> bool:
        return any(process.running for process in self.processes)

    @property
    def log_url(self) -> str:
        """The address of its log."""
        return self.environment.get("BACKBONE_LOG", f"sqlite:///{self.folder / 'backbone-data' / 'log.db'}")

    @property
    def output(self) -> str:
        """All that its processes printed."""
        return "".join(process.log.read_text() for process in self.processes)

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End every process; the first exit status that is not 0."""
        statuses = [process.kill(how) for process in self.processes]
        return next((status for status in statuses if status), 0)

    def close(self) -> None:
        """End what runs, whatever became of the test."""
        self.http.close()
        for process in self.processes:
            process.stop()

    def mllp(self, *messages: bytes) -> list[bytes]:
        """Send ``messages`` over one connection; the answers. A small client of its own: nothing of the backbone's."""
        answers = []
        with socket.create_connection(("127.0.0.1", self.mllp_port), timeout=PATIENCE_S) as connection:
            for message in messages:
                connection.sendall(b"\x0b" + message + b"\x1c\r")
                answer = b""
                while not answer.endswith(b"\x1c\r"):
                    piece = connection.recv(65536)
                    if not piece:
                        return answers
                    answer += piece
                answers.append(answer)
        return answers

    def person(self, number: str = MARGARET) -> str | None:
        """Id of the person with this NHS number."""
        answer = self.http.post("/people/search", json={"system": NHS_NUMBER, "value": number})
        return str(answer.json()["person"]) if answer.status_code == 200 else None

    def timeline(self, number: str = MARGARET, **asked: str) -> list[dict[str, Any]]:
        """The entries of the person with this NHS number; empty while there is none."""
        person = self.person(number)
        if person is None:
            return []
        answer = self.http.get(f"/people/{person}/timeline", params={"order": "oldest", "limit": "500", **asked})
        assert answer.status_code == 200, answer.text
        entries: list[dict[str, Any]] = json.loads(answer.content)["entries"]
        return entries


def split(folder: Path, log: str, postgres: str, secret: str = SECRET, partitions: int = PARTITIONS) -> Backbone:
    """A process a role on the ``log`` at that address and on an empty database of the server ``postgres``; not started."""
    settings = {
        "BACKBONE_LOG": log,
        "BACKBONE_STORE": empty_database(postgres),
        "BACKBONE_KEY_SECRET": secret,
        "BACKBONE_PARTITIONS": str(partitions),
    }
    return Backbone(folder, settings, ("gateway", "intake", "projections"))
