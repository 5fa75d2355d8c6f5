"""The production shape on one machine: Kafka brokers, PostgreSQL, and one backbone process per role."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from deploy.local.backbone import BackboneProcess
from deploy.local.kafka import QUICK_JVM, KafkaCluster
from deploy.local.postgres import PostgresServer

ROLES = ("gateway", "intake", "projections")
"""One process each."""
SAMPLES = files("gateway") / "samples"


@dataclass
class Production:
    """Everything in ``folder``, which holds it over a restart. ``start`` it, and ``stop`` it whatever became of the start."""

    folder: Path
    brokers: int = 3
    roles: Sequence[str] = ROLES
    jvm: Sequence[str] = QUICK_JVM
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further settings of every backbone process."""

    def __post_init__(self) -> None:
        self.kafka = KafkaCluster(self.folder / "kafka", self.brokers, jvm=self.jvm)
        self.postgres = PostgresServer(self.folder / "postgres")
        self.processes = [self.process(role, role) for role in self.roles]

    def process(self, name: str, roles: str) -> BackboneProcess:
        """A further backbone process, which nobody has started."""
        return BackboneProcess(name, self.folder / "backbone", roles, self.settings)

    @property
    def settings(self) -> dict[str, str]:
        """What makes a backbone one of this shape: the two addresses, and the secret that every process shares."""
        replication = min(3, self.brokers)
        return {
            "BACKBONE_LOG": f"kafka://{self.kafka.bootstrap}?replication={replication}",
            "BACKBONE_STORE": self.postgres.url(),
            "BACKBONE_KEY_SECRET_FILE": str(self.folder / "backbone" / "key-secret"),
            **self.environment,
        }

    def start(self) -> None:
        """Start the engines, then the backbone's processes; return when all of them are ready.

        Raises `TimeoutError` with the end of the log of what is not.
        """
        self._settings_files()
        with ThreadPoolExecutor() as both:
            for engine in [both.submit(self.kafka.start), both.submit(self.postgres.start)]:
                engine.result()
        for process in self.processes:
            process.restart()
        for process in self.processes:
            process.await_ready()

    def stop(self) -> list[str]:
        """End everything, the backbone first; the names of processes that did not end cleanly."""
        failed = [process.name for process in self.processes if process.stop() not in (0, None)]
        self.postgres.stop()
        self.kafka.stop()
        return failed

    def of(self, role: str) -> BackboneProcess:
        """The process that has ``role``."""
        return next(one for one in self.processes if one.name == role)

    def _settings_files(self) -> None:
        """The sample settings and a key secret, unless they are there already."""
        home = self.folder / "backbone"
        (home / "inbox" / "riverside").mkdir(parents=True, exist_ok=True)
        if not (home / "backbone.toml").exists():
            (home / "backbone.toml").write_text((SAMPLES / "backbone.toml").read_text())
        secret = home / "key-secret"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_hex(32))

    def remove(self) -> None:
        """Remove the folder of a shape that is stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)
