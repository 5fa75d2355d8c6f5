"""What a span says of a delivery that fails, and under which id messages are written meanwhile."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from adapters.intake.receive import Delivery
from adapters.observe import CORRELATION, Correlation
from gateway.settings.shapes import Traces
from gateway.watching.tracing import Tracing, parent
from schemas.errors import LogUnavailable
from schemas.source import Sector, Source
from tests.journeys.collector import Collector

CANARY = "Mrs Canary 9990000018"
SOURCE = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def delivery(traceparent: str = "") -> Delivery:
    return Delivery(SOURCE, "mllp", io.BytesIO(CANARY.encode()), "application/hl7-v2", traceparent=traceparent)


@pytest.mark.parametrize("error", [LogUnavailable(CANARY, where=CANARY), ValueError(CANARY)])
def test_of_a_failure_only_its_kind_is_told(collector: Collector, error: Exception) -> None:
    tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
    with pytest.raises(type(error)), tracing.receiving(delivery()):
        raise error
    tracing.close()
    (span,) = collector.named("receive mllp")
    assert span.failed == getattr(error, "code", "ValueError")
    assert all(CANARY.encode() not in body for body in collector.bodies)


def test_what_is_said_meanwhile_carries_the_trace_or_the_requests_own_id(collector: Collector) -> None:
    tracing = Tracing(Traces(endpoint=collector.endpoint, share=1))
    with tracing.receiving(delivery()) as span:
        assert str(CORRELATION.get()) == f"{span.get_span_context().trace_id:032x}"
    assert CORRELATION.get() is None
    asked = CORRELATION.set(Correlation("0d2b6f1f"))
    with tracing.receiving(delivery()):
        assert str(CORRELATION.get()) == "0d2b6f1f"
    CORRELATION.reset(asked)
    over_mllp = Correlation()  # which has no id until something is said
    asked = CORRELATION.set(over_mllp)
    with tracing.receiving(delivery()) as span:
        trace = f"{span.get_span_context().trace_id:032x}"
    CORRELATION.reset(asked)
    assert str(over_mllp) == trace
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
    with tracing.receiving(delivery(written)) as span:
        assert span.is_recording()
    tracing.close()
    assert [one.parent for one in collector.spans] == [""]
