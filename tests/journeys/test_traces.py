"""One trace from the MLLP frame to the timeline's row, over processes and through the log; and nothing personal in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.collector import Collector
from tests.journeys.conftest import Make
from tests.journeys.harness import SAMPLES, Backbone, hospital_messages
from tests.journeys.test_no_personal_data import BAD_INPUT, CANARIES
from tests.patience import eventually

SENDERS = "4bf92f3577b34da6a3ce929d0e0e4736"
"""A trace that a sender began."""
ROLES = ("gateway", "intake", "projections")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def started(folder: Path, collector: Collector, **settings: str) -> Backbone:
    """One process on the embedded default, which sends its spans to ``collector``."""
    return Backbone(folder, {"BACKBONE_TRACES_ENDPOINT": collector.endpoint, **settings}).start()


@pytest.fixture
def traced(make: Make, tmp_path: Path, collector: Collector) -> Iterator[Backbone]:
    """A process a role: on one embedded folder, and on Kafka with PostgreSQL."""
    shape = make(tmp_path)
    backbone = Backbone(tmp_path, {**shape.environment, "BACKBONE_TRACES_ENDPOINT": collector.endpoint}, ROLES)
    try:
        yield backbone.start()
    finally:
        backbone.close()


def test_a_frame_an_append_and_the_projection_are_one_trace_of_two_processes(traced: Backbone, collector: Collector) -> None:
    assert b"MSA|AA|" in traced.mllp(hospital_messages()[0])[0]
    (projected,) = eventually(lambda: collector.named("project"))
    (received,) = eventually(lambda: collector.named("receive mllp"))
    appends = collector.named("append")  # of events and receipt together where the log is atomic, else of each
    assert 1 <= len(appends) <= 2
    for span in (projected, *appends):
        assert (span.trace, span.parent) == (received.trace, received.id)
    assert received.parent == ""
    assert {span.process for span in appends} == {received.process} != {projected.process}
    assert received.about == {
        "backbone.source": "northfield-pas",
        "backbone.door": "mllp",
        "backbone.accepted": 1,
        "backbone.rejected": 0,
    }
    assert projected.about["backbone.event.type"] == "encounter-admitted-1"
    assert projected.about["messaging.destination.name"] == "backbone.events"


def test_a_senders_own_trace_goes_on(tmp_path: Path, collector: Collector) -> None:
    backbone = started(tmp_path, collector)
    try:
        headers = {"Content-Type": "application/hl7-v2", "traceparent": f"00-{SENDERS}-00f067aa0ba902b7-01"}
        backbone.http.post("/intake/northfield-pas", content=hospital_messages()[0], headers=headers)
        (projected,) = eventually(lambda: collector.named("project"))
        (received,) = eventually(lambda: collector.named("receive http"))
    finally:
        backbone.close()
    assert (received.trace, received.parent) == (SENDERS, "00f067aa0ba902b7")
    assert (projected.trace, projected.parent) == (SENDERS, received.id)


def test_of_none_of_the_arrivals_nothing_is_sent_but_of_those_the_sender_traces(tmp_path: Path, collector: Collector) -> None:
    backbone = started(tmp_path, collector, BACKBONE_TRACES_SHARE="0")
    try:
        backbone.mllp(*hospital_messages())
        eventually(lambda: len(backbone.timeline()) >= 4)
        headers = {"Content-Type": "text/csv", "traceparent": f"00-{SENDERS}-00f067aa0ba902b7-01"}
        sheet = (SAMPLES / "willow-contacts.csv").read_bytes()
        backbone.http.post("/intake/willow-contacts", content=sheet, headers=headers)
        eventually(lambda: collector.named("project"))
    finally:
        backbone.close()
    assert {span.trace for span in collector.spans} == {SENDERS}


def test_nothing_personal_is_in_a_trace_or_in_what_is_said_at_the_most_talkative_level(
    tmp_path: Path, collector: Collector
) -> None:
    backbone = started(tmp_path, collector, BACKBONE_LOGGING="debug")
    try:
        backbone.mllp(*hospital_messages(), *BAD_INPUT.values())
        for content in BAD_INPUT.values():
            backbone.http.post("/intake/northfield-pas", content=content, headers={"Content-Type": "application/hl7-v2"})
        backbone.http.post("/intake/northfield-pas", content=BAD_INPUT["rubbish"], headers={"Content-Type": "text/csv"})
        eventually(lambda: len(backbone.timeline()) >= 4)
        eventually(lambda: len(collector.named("project")) >= 4)
        backbone.http.get("/people/Ellis-Whitmore/timeline", params={"since": "1941-03-09"})
        metrics = backbone.http.get("/metrics").content
    finally:
        backbone.close()
    told = {"traces": b"".join(collector.bodies), "messages": backbone.output.encode(), "metrics": metrics}
    assert all(told.values())
    assert {(where, canary) for where, text in told.items() for canary in CANARIES if canary in text} == set()


def test_a_collector_that_is_away_costs_its_spans_and_nothing_else(tmp_path: Path) -> None:
    with Collector() as gone:
        pass
    backbone = started(tmp_path, gone)
    try:
        assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*hospital_messages()))
        eventually(lambda: len(backbone.timeline()) >= 4)
    finally:
        statuses = [process.stop() for process in backbone.processes]
        backbone.close()
    assert statuses == [0]


def test_without_the_setting_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    look = (
        "import asyncio, sys\n"
        "from gateway.app import create_app\n"
        "from gateway.composition.assembly import bind, parts\n"
        "from gateway.composition.factory import Factory\n"
        "from gateway.processes.split import Seat\n"
        "from gateway.settings.read import read_settings\n"
        "async def main():\n"
        "    free = dict(http='127.0.0.1:0', mllp='127.0.0.1:0')\n"
        "    settings, seat = read_settings(environment={}, text='', options=free), Seat('all')\n"
        "    async with Factory(settings) as make:\n"
        "        await make.services()\n"
        "        await parts(make, seat, *bind(settings, [seat]))\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'google'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
