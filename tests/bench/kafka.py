"""``python -m tests.bench.kafka``: the production shape against its floor, on one broker and on three, as ratios of one run.

Run it on a quiet machine; ``quick`` takes a tenth of the messages. Every engine is on this machine and shares its cores with
the load generator.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

import psutil
import psycopg
import uvloop

from adapters.eventlog.connect import connect
from deploy.local.kafka import STEADY_JVM, KafkaCluster
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from schemas.log import EVENTS, NewRecord
from tests.bench.kafka_floor import PARTITIONS
from tests.bench.load import send_all
from tests.bench.measure import costs, latency, mllp, tell
from tests.bench.messages import messages
from tests.bench.rig import BackboneRig, Rig, used
from tests.stores import empty_database

SECRET = "a secret that is only used in benches"
PROCESSES = (1, 2, 4)
"""Of projections, for how they grow."""


class Engines:
    """Kafka and PostgreSQL, running."""

    def __init__(self, folder: Path, brokers: int) -> None:
        self.kafka = KafkaCluster(folder / "kafka", brokers, jvm=STEADY_JVM)
        self.postgres = PostgresServer(folder / "postgres", {"shared_buffers": "512MB", "max_wal_size": "2GB"})


class FloorRig(Rig):
    """A bare socket, aiokafka and psycopg: a process that takes in and one that writes."""

    _progress = "SELECT coalesce(sum(next), 0) FROM position WHERE projection = 'timeline'"

    def __init__(self, folder: Path, engines: Engines) -> None:
        super().__init__(folder)
        self.port, self.http = free_port(), free_port()
        self.engines, self.topic = engines, uuid.uuid4().hex
        self.url = empty_database(engines.postgres.url())

    def commands(self) -> Iterator[list[str]]:
        asyncio.run(_make_topic(self.engines, self.topic))
        bootstrap, floor = self.engines.kafka.bootstrap, [sys.executable, "-m", "tests.bench.kafka_floor"]
        yield [*floor, "server", str(self.port), bootstrap, self.topic]
        yield [*floor, "projection", bootstrap, self.topic, self.url]

    def projected(self) -> int:
        try:
            found = self._store.execute(self._progress).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(found[0]) if found else 0

    @cached_property
    def _store(self) -> psycopg.Connection[tuple[int]]:
        """Kept open: while it waits for a figure this process asks a thousand times a second."""
        return psycopg.connect(self.url, autocommit=True)

    def forget(self) -> None:
        """Have all that is in the log projected anew, into an empty store."""
        self._store.close()
        del self._store
        self.url = empty_database(self.engines.postgres.url())

    def end(self) -> None:
        """End every process, so that others can be started."""
        self.stop()
        self.processes.clear()
        (self.folder / "out.log").unlink()

    def spent(self) -> Counter[str]:
        found, server = super().spent(), self.engines.postgres.process
        assert server is not None
        for broker in self.engines.kafka.members:
            assert broker.process is not None
            found["Kafka"] += used(psutil.Process(broker.process.pid))
        postgres = psutil.Process(server.pid)
        found["PostgreSQL"] = sum(map(used, (postgres, *postgres.children())))  # a connection is a process of its own
        return found


async def _make_topic(engines: Engines, topic: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=engines.kafka.bootstrap)
    await admin.start()
    copies = len(engines.kafka.members)
    config = {"min.insync.replicas": str(max(1, copies - 1)), "message.timestamp.type": "LogAppendTime"}
    await admin.create_topics([NewTopic(topic, PARTITIONS, copies, topic_configs=config)])
    await admin.close()


class ProductionRig(FloorRig):
    """``backbone serve``, one process a role."""

    roles = ("projections", "gateway", "intake")
    commands = BackboneRig.commands

    @property
    def log_url(self) -> str:
        return f"kafka://{self.engines.kafka.bootstrap}/{self.topic}?replication={len(self.engines.kafka.members)}"

    @property
    def environment(self) -> dict[str, str]:
        one = {"BACKBONE_PROCESSES": "1"}  # a process a role
        return {"BACKBONE_LOG": self.log_url, "BACKBONE_STORE": self.url, "BACKBONE_KEY_SECRET": SECRET} | one


@contextmanager
def running(kind: type[FloorRig], engines: Engines) -> Iterator[FloorRig]:
    """A started rig on ``engines``, stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-bench-"))
    rig = kind(folder, engines)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def engines(brokers: int) -> Iterator[Engines]:
    """Started engines, ended at the end with what they hold."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-bench-"))
    folder.chmod(0o755)
    made = Engines(folder, brokers)
    try:
        made.kafka.start()
        made.postgres.start()
        yield made
    finally:
        made.kafka.drop()
        made.postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def backlog(on: Engines, count: int) -> None:
    """Projections alone, in one, two and four processes, from an empty store to all events of ``count`` messages.

    Beside them bare consume + executemany, in one.
    """
    with running(ProductionRig, on) as rig:
        assert isinstance(rig, ProductionRig)
        uvloop.run(send_all(rig.port, list(messages(count)), 256))
        rig.await_projected(count)
        rig.end()
        bare = _bare(rig, count)
        for processes in PROCESSES:
            ours, spent = _drained(rig, count, processes)
            what = f"projections alone, {processes} process(es), backlog of {count:,} messages"
            tell(what, f"{ours:,.0f}/s; bare {bare:,.0f}/s; ratio {ours / bare:.2f}; {costs(spent)} µs a message")


def _drained(rig: ProductionRig, count: int, processes: int) -> tuple[float, Mapping[str, float]]:
    """Messages a second from when all ``processes`` are ready, and microseconds of the processor a message."""
    rig.forget()
    rig.roles = ("projections",) * processes
    rig.start()
    begun, already, before = time.perf_counter(), rig.projected(), rig.spent()
    rig.await_projected(count)
    seconds, made = time.perf_counter() - begun, count - already
    spent = {who: (now - before[who]) / made for who, now in rig.spent().items()}
    rig.end()
    return made / seconds, spent


def _bare(rig: ProductionRig, count: int) -> float:
    store = empty_database(rig.engines.postgres.url())
    topic = f"{rig.topic}.{EVENTS}"
    command = ["projection", rig.engines.kafka.bootstrap, topic, store, str(count)]
    started = subprocess.Popen([sys.executable, "-m", "tests.bench.kafka_floor", *command], stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    ready = time.perf_counter()
    assert started.wait(600) == 0, "the floor failed"
    return count / (time.perf_counter() - ready)


def appending(on: Engines, count: int, callers: int) -> None:
    """The log alone: ``callers`` that each await every append."""

    async def run() -> float:
        log = await connect(f"kafka://{on.kafka.bootstrap}/{uuid.uuid4().hex}?replication={len(on.kafka.members)}")
        value = bytes(1500)

        async def append(caller: int) -> None:
            for number in range(count // callers):
                await log.append([NewRecord(EVENTS, f"{caller}-{number}", value)])

        started = time.perf_counter()
        await asyncio.gather(*(append(caller) for caller in range(callers)))
        seconds = time.perf_counter() - started
        await log.close()
        return count / seconds

    tell(f"append, {callers} callers, {len(on.kafka.members)} broker(s)", f"{uvloop.run(run()):,.0f}/s")


def main(scale: Callable[[int], int]) -> None:
    """Print the table."""
    print("| measure | figure |\n|---|---|")
    for brokers in (3, 1):
        with engines(brokers) as on:
            appending(on, scale(60_000), 256)
            floor, backbone = partial(running, FloorRig, on), partial(running, ProductionRig, on)
            for connections in (32, 256):
                mllp(f"MLLP, {brokers} broker(s)", floor, backbone, scale(30_000), connections)
            latency(f"MLLP, {brokers} broker(s)", backbone, scale(4_000))
            if brokers == 1:
                backlog(on, scale(500_000))


if __name__ == "__main__":
    main((lambda count: count // 10) if "quick" in sys.argv else (lambda count: count))
