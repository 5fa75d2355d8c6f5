"""The two things that are compared: the backbone, and the floor, each as processes of its own with a fresh folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import psutil

READY_S = 30.0
AnyRig = TypeVar("AnyRig", bound="Rig")


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def used(process: psutil.Process) -> int:
    """Microseconds of the processor that it has used, 0 of one that is gone."""
    try:
        return int(sum(process.cpu_times()[:2]) * 1e6)
    except psutil.NoSuchProcess:
        return 0


class Rig:
    """Processes that take MLLP messages on ``port`` and put them on a timeline in ``folder``."""

    _progress = "SELECT next FROM position"
    roles: tuple[str, ...] = ("server", "projections")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.http = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the processes, over those of this one's environment."""
        return {}

    def commands(self) -> Iterator[list[str]]:
        """The processes to start, in order."""
        yield [sys.executable, "-m", "tests.bench.floor", "server", str(self.port), str(self.folder)]
        yield [sys.executable, "-m", "tests.bench.floor", "projection", str(self.folder)]

    def start(self) -> None:
        """Start every process and wait until messages are taken."""
        for command in self.commands():
            with (self.folder / "out.log").open("ab") as out:
                self.processes.append(subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | self.environment))
            self._await_ready(self.processes[-1])

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + READY_S
        expected = len(self.processes)
        while (self.folder / "out.log").read_text().lower().count("ready") < expected:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"did not start:\n{(self.folder / 'out.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def projected(self) -> int:
        """Records the timeline has taken in."""
        with contextlib.closing(sqlite3.connect(self.store, timeout=10)) as store:
            try:
                return int(store.execute(self._progress).fetchone()[0] or 0)
            except (sqlite3.OperationalError, TypeError):
                return 0

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    def spent(self) -> Counter[str]:
        """Microseconds of the processor that each role has used."""
        found: Counter[str] = Counter()
        for role, process in zip(self.roles, self.processes, strict=True):
            whole = psutil.Process(process.pid)
            found[role] += sum(used(one) for one in (whole, *whole.children(recursive=True)))
        return found

    def await_projected(self, count: int) -> None:
        """Wait until ``count`` records are on the timeline."""
        end = time.monotonic() + 900
        while self.projected() < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.projected()} of {count} on the timeline")
            time.sleep(0.01)

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(20)


class BackboneRig(Rig):
    """``backbone serve`` in two processes on the embedded default, as the floor is."""

    _progress = "SELECT sum(next) FROM position WHERE projection = 'timeline'"
    roles: tuple[str, ...] = ("projections", "gateway,intake")

    @property
    def environment(self) -> dict[str, str]:
        return {"BACKBONE_PROCESSES": "1"}

    def commands(self) -> Iterator[list[str]]:
        settings = self.folder / "backbone.toml"
        settings.write_text((files("gateway") / "samples" / "backbone.toml").read_text())
        (self.folder / "inbox" / "riverside").mkdir(parents=True, exist_ok=True)
        for role in self.roles:
            yield [
                *(sys.executable, "-m", "gateway.cli", "serve", "--config", str(settings), "--only", role),
                *("--mllp", f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http}"),
            ]

    @property
    def store(self) -> Path:
        return self.folder / "backbone-data" / "store.db"


class WholeRig(BackboneRig):
    """`backbone serve` as it is started by hand, in so many processes."""

    roles = ("gateway,intake,projections",)
    number = "auto"

    @property
    def environment(self) -> dict[str, str]:
        return {"BACKBONE_PROCESSES": self.number}

    def memory(self) -> tuple[float, float]:
        """Resident MB of all its processes together: shared pages counted in each (RSS), and once (PSS)."""
        whole = psutil.Process(self.processes[0].pid)
        held = [one.memory_full_info() for one in (whole, *whole.children(recursive=True))]
        return sum(one.rss for one in held) / 2**20, sum(one.pss for one in held) / 2**20


class OneProcessRig(WholeRig):
    """The same in one process."""

    number = "1"


@contextlib.contextmanager
def running(kind: type[AnyRig]) -> Iterator[AnyRig]:
    """A started rig in a fresh folder, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-bench-"))
    rig = kind(folder)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()
        shutil.rmtree(folder, ignore_errors=True)
