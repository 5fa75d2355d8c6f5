"""The main job on three brokers and PostgreSQL, with a process a role, while brokers and processes go and come back."""

from __future__ import annotations

import asyncio
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from deploy.local.kafka import KafkaCluster
from tests.bench.messages import messages
from tests.faults.account import count
from tests.faults.senders import Sender, by_person, from_people
from tests.journeys.harness import PARTITIONS, SAMPLES, SECRET, Backbone, hospital_messages, split
from tests.patience import eventually, until

pytestmark = pytest.mark.engine


@pytest.fixture
def production(three_brokers: KafkaCluster, postgres_url: str, tmp_path: Path) -> Iterator[Backbone]:
    """A backbone with two gateways, an intake and projections, ready; the brokers all run again at the end."""
    made = split(tmp_path, f"kafka://{three_brokers.bootstrap}/{uuid.uuid4().hex}", postgres_url)
    try:
        yield made.start()
    finally:
        made.close()
        _bring_back(three_brokers)


def _bring_back(cluster: KafkaCluster) -> None:
    for node in cluster.members:
        cluster.restart(node)
    for node in cluster.members:
        cluster.await_port(node)


def _sectors(backbone: Backbone) -> set[str]:
    return {entry["source"]["sector"] for entry in backbone.timeline()}


def test_three_sectors_meet_on_one_timeline_while_a_broker_is_killed(production: Backbone, three_brokers: KafkaCluster) -> None:
    first, *others = hospital_messages()
    assert [b"MSA|AA|" in answer for answer in production.mllp(first)] == [True]
    three_brokers.kill(three_brokers.members[0])
    for message in others:  # sent again until it is acknowledged, as every sender does: an election may outlast a deadline
        eventually(partial(_acknowledged, production, message))
    arriving = production.folder / "inbox" / "riverside" / "services.csv.part"
    arriving.write_bytes((SAMPLES / "riverside-services.csv").read_bytes())
    arriving.rename(arriving.with_suffix(""))
    sheet, kind = (SAMPLES / "willow-contacts.csv").read_bytes(), {"Content-Type": "text/csv"}
    assert eventually(lambda: _accepted(production, sheet, kind))["rejected"] == 0
    eventually(lambda: _sectors(production) == {"nhs", "council", "voluntary"})


def test_with_two_of_three_brokers_gone_nothing_is_acknowledged_and_then_all_is(
    production: Backbone, three_brokers: KafkaCluster
) -> None:
    one, two, *_ = hospital_messages()
    assert b"MSA|AA|" in production.mllp(one)[0]
    for node in three_brokers.members[:2]:
        three_brokers.kill(node)
    sheet, kind = (SAMPLES / "willow-contacts.csv").read_bytes(), {"Content-Type": "text/csv"}
    over_mllp: list[list[bytes]] = []
    sender = threading.Thread(target=lambda: over_mllp.append(production.mllp(two)))
    sender.start()
    answer = production.http.post("/intake/willow-contacts", content=sheet, headers=kind, timeout=90)
    sender.join()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert over_mllp == [[]], "closed without an answer"
    _bring_back(three_brokers)
    eventually(lambda: _acknowledged(production, two))
    again = eventually(lambda: _accepted(production, sheet, kind))
    assert again["rejected"] == 0
    eventually(lambda: _sectors(production) == {"nhs", "voluntary"})


def _acknowledged(backbone: Backbone, message: bytes) -> bool:
    return [b"MSA|AA|" in answer for answer in backbone.mllp(message)] == [True]


def _accepted(backbone: Backbone, sheet: bytes, kind: dict[str, str]) -> dict[str, int] | None:
    answer = backbone.http.post("/intake/willow-contacts", content=sheet, headers=kind, timeout=90)
    return dict(answer.json()) if answer.status_code == 200 else None


def test_projections_refuse_a_log_that_the_store_was_not_filled_from(production: Backbone) -> None:
    assert production.end() == 0
    production.environment["BACKBONE_LOG"] += "-another"
    production.environment["BACKBONE_DATA"] = "elsewhere"  # a machine that has taken nothing in, and knows no log
    refused = production.run("serve", "--only", "projections")
    assert refused.returncode == 2, refused.stderr
    assert "the store was filled from kafka:" in refused.stderr
    assert "the store was filled from kafka:" in production.run("doctor").stdout


class _Reader(threading.Thread):
    """Asks the gateways in turn, as a balancer does: one that refuses the connection is passed over, an answer counts."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__()
        self._clients = [httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) for port in ports]
        self.stop = threading.Event()
        self.answered, self.failed = 0, list[str]()

    def run(self) -> None:
        turn = 0
        while not self.stop.is_set():
            turn += 1
            self._ask(turn)
        for client in self._clients:
            client.close()

    def _ask(self, turn: int) -> None:
        for client in (self._clients[turn % 2], self._clients[(turn + 1) % 2]):
            try:
                answer = client.post(
                    "/people/search", json={"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}
                )
            except httpx2.ConnectError:
                continue
            except httpx2.TransportError as error:
                self.failed.append(type(error).__name__)
                return
            if answer.status_code in (200, 404):
                self.answered += 1
            else:
                self.failed.append(str(answer.status_code))
            return
        self.failed.append("no gateway")


def test_a_rolling_restart_fails_no_request_and_loses_no_acknowledgement(production: Backbone) -> None:
    second = production.beside("gateway-2", "gateway")
    second.start()
    asyncio.run(_under_load(production, lambda: _roll(production)))


def _roll(production: Backbone) -> None:
    """Every process in turn: a polite stop, and the next one only when it is ready again."""
    ports = [process.http for process in production.processes if process.roles == "gateway"]
    reader = _Reader(ports)
    reader.start()
    try:
        for process in production.processes:
            assert process.kill(signal.SIGTERM) == 0, process.log.read_text()
            process.start()
    finally:
        reader.stop.set()
        reader.join()
    assert reader.failed == []
    assert reader.answered > 0


async def _under_load(production: Backbone, meanwhile: Callable[[], None]) -> None:
    """Senders all the while; no message was in the log when its sender had to send it again: no acknowledgement was lost."""
    people = by_person(messages(1_000_000))
    senders = [Sender(production.mllp_port, from_people(people), pause_s=0.05) for _ in range(4)]
    stop = asyncio.Event()
    running = [asyncio.create_task(sender.run(stop)) for sender in senders]
    await until(lambda: all(sender.acknowledged for sender in senders))
    await asyncio.to_thread(meanwhile)
    stop.set()
    await asyncio.gather(*running)
    sent = [message for sender in senders for message in sender.acknowledged]
    environment = production.environment

    async def accounted() -> bool:
        account = await count(sent, environment["BACKBONE_LOG"], PARTITIONS, environment["BACKBONE_STORE"], SECRET.encode())
        assert account.doubled == account.inverted == account.resent == 0, account
        return account.sound

    await until(accounted)
