"""What every test may ask for: the real engines, each started once a session, or those that the environment names."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from deploy.local.kafka import KafkaCluster

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("untimed")

ROOM_BYTES = 8 * 2**30
"""Some ten times what the tests keep at once."""


def folder_for_files() -> str:
    """Where the tests' files go: in memory, where there is room, for what a disk survives is proven on a simulated one.

    Thousands of syncs of 5 to 25 ms each would otherwise be most of the time that the tests take.
    """
    memory = Path("/dev/shm")
    fits = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM_BYTES
    return str(memory) if fits else tempfile.gettempdir()


os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder_for_files())

pytest_plugins = ["tests.stores"]


@pytest.fixture(scope="session")
def engine_folder() -> Iterator[Path]:
    """A folder that the engines' system users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-engines-", dir=os.environ["PYTEST_DEBUG_TEMPROOT"]))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_cluster(engine_folder: Path) -> Iterator[KafkaCluster]:
    """One Kafka broker, which also has a listener that asks for TLS and a user; its authority is in ``kafka-tls``."""
    from deploy.local.kafka import KafkaCluster, Secured
    from tests.certificates import Authority

    (engine_folder / "kafka-tls").mkdir()
    pair = Authority(engine_folder / "kafka-tls", "authority").server()
    cluster = KafkaCluster(engine_folder / "kafka", secured=Secured("backbone", "right-pass-word", *pair))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.drop()


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """``host:port`` of a Kafka broker: ``BACKBONE_TEST_KAFKA``, else one started here."""
    named = os.environ.get("BACKBONE_TEST_KAFKA")
    if named:
        return named
    cluster: KafkaCluster = request.getfixturevalue("kafka_cluster")
    return cluster.bootstrap


@pytest.fixture(scope="session")
def three_brokers(engine_folder: Path) -> Iterator[KafkaCluster]:
    """A Kafka cluster of three, whose brokers a test may kill as long as it starts them again."""
    from deploy.local.kafka import KafkaCluster

    cluster = KafkaCluster(engine_folder / "kafka-three", nodes=3)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.drop()


@pytest.fixture(scope="session")
def postgres_url(engine_folder: Path) -> Iterator[str]:
    """URL of a PostgreSQL database: ``BACKBONE_TEST_POSTGRES``, else that of a server started here."""
    named = os.environ.get("BACKBONE_TEST_POSTGRES")
    if named:
        yield named
        return
    from deploy.local.postgres import PostgresServer

    # Nobody cuts this server's power, so it need not wait for the disk: each test makes a database of some 300 files, and the
    # sync of them all took longer than the tests.
    server = PostgresServer(engine_folder / "postgres", {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"})
    server.start()
    yield server.url()
    server.stop(signal.SIGQUIT)
