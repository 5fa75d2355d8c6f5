"""What a span says of an arrival, of whatever kind and however it ends, and under which id messages are written meanwhile."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest

from adapters.intake.receive import Delivery, Intake, KeptItem
from adapters.observe import CORRELATION, ArrivalKind, Correlation
from adapters.registry import Registry
from adapters.translator import Item, Rejection
from gateway.settings.shapes import Traces
from gateway.watching.observers import Observers
from gateway.watching.telemetry import Metrics
from gateway.watching.tracing import Tracing, parent
from schemas.arrival.receipt import Receipt
from schemas.errors import LogUnavailable, TooLarge, UnknownSender
from schemas.log import EVENTS
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.journeys.collector import Collector
from tests.line_translator import LineTranslator
from tests.memory_log import MemoryLog

CANARY = "Mrs Canary 9990000018"
SENDERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SOURCE = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
ARRIVED_AT = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def arriving(tracing: Tracing, traceparent: str = "") -> AbstractContextManager[str]:
    return tracing.arriving(ArrivalKind.RECEIVE, SOURCE.id, "mllp", traceparent)


def delivery(content: bytes = CANARY.encode(), traceparent: str = "") -> Delivery:
    return Delivery(SOURCE, "http", io.BytesIO(content), "text/plain", traceparent=traceparent)


def trace_of(traceparent: str) -> str:
    return traceparent.split("-")[1]


@pytest.mark.parametrize("error", [LogUnavailable(CANARY, where=CANARY), ValueError(CANARY)])
def test_of_a_failure_only_its_kind_is_told(collector: Collector, error: Exception) -> None:
    tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
    with pytest.raises(type(error)), arriving(tracing):
        raise error
    tracing.close()
    (span,) = collector.named("receive mllp")
    assert span.failed == getattr(error, "code", "ValueError")
    assert all(CANARY.encode() not in body for body in collector.bodies)


def test_what_is_said_meanwhile_carries_the_trace_or_the_requests_own_id(collector: Collector) -> None:
    tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
    with arriving(tracing) as traceparent:
        assert str(CORRELATION.get()) == trace_of(traceparent)
    assert CORRELATION.get() is None
    asked = CORRELATION.set(Correlation("0d2b6f1f"))
    with arriving(tracing):
        assert str(CORRELATION.get()) == "0d2b6f1f"
    CORRELATION.reset(asked)
    over_mllp = Correlation()  # which has no id until something is said
    asked = CORRELATION.set(over_mllp)
    with arriving(tracing) as traceparent:
        pass
    CORRELATION.reset(asked)
    assert str(over_mllp) == trace_of(traceparent)
    tracing.close()
    assert len(collector.spans) == 3


@pytest.mark.parametrize(
    "written",
    [
        "",
        "00",
        CANARY,
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ],
)
def test_what_names_no_span_begins_a_trace(collector: Collector, written: str) -> None:
    assert parent(written) is None
    tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
    with arriving(tracing, written) as traceparent:
        assert parent(traceparent) is not None
    tracing.close()
    assert [one.parent for one in collector.spans] == [""]


class Rig:
    """An intake whose observer tells metrics and traces alike."""

    def __init__(self, collector: Collector) -> None:
        self.log, self.metrics = MemoryLog(), Metrics()
        self._tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
        registry = Registry({SOURCE.id: LineTranslator()})
        observer = Observers(self.metrics, self._tracing)
        self.intake = Intake(self.log, registry, Pseudonyms(bytes(32)), lambda: ARRIVED_AT, observer)
        self.send_all = self._tracing.close

    async def act(self, kind: str) -> Receipt:
        """Have something arrive that is of that ``kind``, from a sender with a trace of its own where one can be named."""
        match kind:
            case "receive":
                return await self.intake.receive(delivery(b"good A1\n", SENDERS))
            case "redrive":
                kept = KeptItem("0d2b6f1f", "http", "text/plain", "", io.BytesIO(b"good A1\n"))
                return await self.intake.redrive(kept, SOURCE)
            case "keep":
                refused = Item("event 1", rejection=Rejection(UnknownSender(), b"good A1\n"))
                return await self.intake.keep(delivery(b"good A1\n", SENDERS), [refused])
            case _:
                return await self.intake.decline(delivery(b"", SENDERS), TooLarge(), 3, bytes(32))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["receive", "redrive", "keep", "decline"])
async def test_whatever_arrives_has_a_span_with_its_appends_below_it_and_its_events_carry_it(
    collector: Collector, kind: str
) -> None:
    rig = Rig(collector)
    receipt = await rig.act(kind)
    rig.send_all()
    (span,) = collector.named(f"{kind} http")
    about = {"backbone.source": SOURCE.id, "backbone.door": "http"}
    assert span.about == {**about, "backbone.accepted": receipt.accepted, "backbone.rejected": receipt.rejected}
    assert span.parent == ("" if kind == "redrive" else "00f067aa0ba902b7"), "a redrive is an operator's, of no sender's trace"
    appends = collector.named("append")
    assert appends
    assert {(one.trace, one.parent) for one in appends} == {(span.trace, span.id)}
    carried = {
        json.loads(record.value)["traceparent"].split("-")[1:3] == [span.trace, span.id] for record in rig.log.all(EVENTS)
    }
    assert carried == ({True} if receipt.accepted else set())
    assert f'backbone_arrivals_total{{door="http",source="{SOURCE.id}"}} 1.0' in rig.metrics.exposition().decode()


@pytest.mark.asyncio
async def test_a_repetition_has_a_span_that_says_what_became_of_it_before(collector: Collector) -> None:
    rig = Rig(collector)
    receipt = await rig.act("receive")
    assert await rig.act("receive") == receipt
    rig.send_all()
    assert [span.about["backbone.accepted"] for span in collector.named("receive http")] == [receipt.accepted] * 2
    assert f'backbone_arrivals_repeated_total{{door="http",source="{SOURCE.id}"}} 1.0' in rig.metrics.exposition().decode()
