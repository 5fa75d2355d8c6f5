"""Rebuilds beside two live processes of projections on Kafka and PostgreSQL, under load: the same people, the same rows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.database.database import Database
from consumers.people.tables import PEOPLE_TABLES
from consumers.quarantine.tables import QUARANTINE_TABLES
from consumers.receipts.tables import RECEIPTS_TABLES
from consumers.timeline.tables import TIMELINE_TABLES
from deploy.local.backbone import BackboneProcess
from tests.bench.messages import messages
from tests.caught_up import caught_up
from tests.faults.senders import Sender, by_person, from_people
from tests.journeys.harness import SAMPLES, Backbone, hospital_messages, split
from tests.patience import until
from tests.stores import empty_database, rows

pytestmark = [pytest.mark.engine, pytest.mark.asyncio]

EVERY = ["people", "timeline", "receipts", "quarantine"]
TABLES = (*PEOPLE_TABLES, *TIMELINE_TABLES, *RECEIPTS_TABLES, *QUARANTINE_TABLES)


@pytest.fixture
def backbone(kafka_bootstrap: str, postgres_url: str, tmp_path: Path) -> Iterator[Backbone]:
    made = split(tmp_path, f"kafka://{kafka_bootstrap}/{uuid.uuid4().hex}?replication=1", postgres_url)
    made.beside("projections-2", "projections")
    try:
        yield made.start()
    finally:
        made.close()


async def _rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database.connect(url)
    try:
        return await rows(database, *TABLES)
    finally:
        await database.close()


async def _applied(process: BackboneProcess) -> None:
    """Wait until ``process`` says that nothing is behind, of a store that holds something."""

    asked = time.time()
    await until(lambda: asyncio.to_thread(caught_up, f"http://127.0.0.1:{process.health}", asked))


async def test_rebuilds_under_load_and_another_interleaving_end_in_the_same_people_and_rows(
    backbone: Backbone, postgres_url: str
) -> None:
    people = by_person(messages(1_000_000))
    senders = [Sender(backbone.mllp_port, from_people(people), pause_s=0.05) for _ in range(4)]
    stop = asyncio.Event()
    running = [asyncio.create_task(sender.run(stop)) for sender in senders]
    await asyncio.to_thread(_meet_elsewhere, backbone)
    await until(lambda: sum(len(sender.acknowledged) for sender in senders) > 200)
    for wanted in (["people"], EVERY):
        before = sum(len(sender.acknowledged) for sender in senders)
        done = await asyncio.to_thread(backbone.run, "rebuild", *wanted)
        assert done.returncode == 0, done.stderr
        await until(lambda: sum(len(sender.acknowledged) for sender in senders) > before)  # noqa: B023 - asked at once
    stop.set()
    await asyncio.gather(*running)
    await _applied(backbone.having("gateway"))
    live = await _rows(backbone.environment["BACKBONE_STORE"])
    assert all(live[table.name] for table in (*PEOPLE_TABLES[:1], *TIMELINE_TABLES[:1], *RECEIPTS_TABLES[:1]))

    other = backbone.beside("projections-of-another-store", "projections")  # reads all partitions at once, from the start
    other.environment = {**backbone.environment, "BACKBONE_STORE": empty_database(postgres_url)}
    for process in backbone.processes:
        if process.roles == "projections" and process is not other:
            assert process.stop() == 0
    other.start()
    await _applied(other)
    assert await _rows(other.environment["BACKBONE_STORE"]) == live

    done = await asyncio.to_thread(backbone.run, "rebuild", *EVERY)  # one partition after the other
    assert done.returncode == 0, done.stderr
    assert await _rows(backbone.environment["BACKBONE_STORE"]) == live


def _meet_elsewhere(backbone: Backbone) -> None:
    """One person in three sectors, whose records meet in different partitions; and a sheet that is not understood."""
    backbone.mllp(*hospital_messages())
    for source, sample in (("willow-contacts", "willow-contacts.csv"), ("riverside-adult-care", "riverside-services.csv")):
        sheet, kind = (SAMPLES / sample).read_bytes(), {"Content-Type": "text/csv"}
        assert backbone.http.post(f"/intake/{source}", content=sheet, headers=kind).status_code == 200
    backbone.mllp(hospital_messages()[0].replace(b"ADT^A01^ADT_A01", b"XYZ^X99"))
