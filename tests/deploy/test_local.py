"""``python -m deploy.local``: the production shape, started, shown, kept over a restart and stopped by one command."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deploy.local.ports import free_port

pytestmark = pytest.mark.engine

PATIENCE_S = 120


def _command(*arguments: str) -> list[str]:
    ports = ["--http", str(free_port()), "--mllp", str(free_port())]
    return [sys.executable, "-m", "deploy.local", "--brokers", "1", *ports, *arguments]


def test_a_signal_ends_it_cleanly_and_what_it_keeps_is_there_again(engine_folder: Path) -> None:
    command = _command("--folder", str(engine_folder / "production"))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines = []
    while (line := process.stdout.readline()) and "Ctrl-C stops" not in line:
        lines.append(line.split())
    where = next((line[1] for line in lines if line[0] == "http"), "")
    with urllib.request.urlopen(f"{where}/health/ready", timeout=10) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err

    done = subprocess.run([*command, "--once"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    said = [line.split()[0] for line in done.stdout.splitlines()]
    assert said[:5] == ["kafka-1", "postgresql", "gateway", "intake", "projections"]
    assert done.stdout.count(": ready") == 3
    port = int(done.stdout.split("postgresql")[1].split()[0].rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "PostgreSQL was left running"
