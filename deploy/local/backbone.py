"""``backbone serve`` as a process of one or several roles: started, killed, frozen and started again at will."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port

READY_S = 180.0
"""Longest wait for a process to be ready; beside three brokers that start on two cores it needs about four seconds."""


@dataclass
class BackboneProcess:
    """One process in ``folder``, whose ``backbone.toml`` it reads; what it prints is in ``NAME.log`` there."""

    name: str
    folder: Path
    roles: str = ""
    """As after ``--only``; empty: every role."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings, over those of this process's own environment."""
    http: int = field(default_factory=free_port)
    mllp: int = field(default_factory=free_port)
    health: int = field(default_factory=free_port)
    """Port where its operators ask, whatever its roles."""
    within: Sequence[str] = ()
    """Begins its command line: what it is to run in."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process, or of the supervisor where it is several."""
        return self.process.pid if self.process is not None else 0

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it and wait until it is ready. Raises `TimeoutError` with the end of its log."""
        self.restart()
        self.await_ready()

    def restart(self) -> None:
        """Start it unless it runs; does not wait for it."""
        if self.running:
            return
        addresses = ["--http", f"127.0.0.1:{self.http}", "--mllp", f"127.0.0.1:{self.mllp}"]
        only = ["--only", self.roles] if self.roles else []
        settings = ["--config", str(self.folder / "backbone.toml")]
        one = {"BACKBONE_PROCESSES": "1"} if self.roles else {}  # a process a role, as in a container
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "gateway.cli", *settings, "serve", *only, *addresses],
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, "BACKBONE_HEALTH": f"127.0.0.1:{self.health}", **one, **self.environment},
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Wait until it says that it is ready. Raises `TimeoutError` with the end of its log."""
        end = time.monotonic() + READY_S
        while self.asked("/health/ready") is None:
            if time.monotonic() > end or not self.running:
                raise TimeoutError(f"the {self.name} process is not ready:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def asked(self, path: str) -> dict[str, Any] | None:
        """What it answers on its health listener, ``None`` when it does not or when it is not ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=5) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return None

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int | None:
        """Send ``how``; for a signal that ends it, wait and answer its exit status."""
        if self.process is None:
            return None
        self.process.send_signal(how)
        return self.process.wait(40) if how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) else None

    def stop(self) -> int | None:
        """End it: what is under way is finished; its exit status."""
        if not self.running:
            return None if self.process is None else self.process.returncode
        self.kill(signal.SIGCONT)  # a stopped process does not hear the next signal
        return self.kill(signal.SIGTERM)
