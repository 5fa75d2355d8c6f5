"""Traces: from what a door was handed, through the log, to what projections made of it. Off unless set, and then not imported.

A trace crosses the log in the event's ``traceparent``, an extension of CloudEvents that other systems know as well: a sender's
own trace goes on in ours. Spans say source, door, counts and positions, never content; of an exception only its kind, because
its text may repeat what was sent (promise P12).

Source: W3C Trace Context 1 §3.2; CloudEvents, "Distributed Tracing" extension; OTLP 1.0 over HTTP.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from adapters.intake.receive import Delivery, Intake
from adapters.observe import CORRELATION, Correlation
from gateway.settings.shapes import Traces
from gateway.watching.telemetry import Metrics
from schemas.arrival.receipt import Receipt
from schemas.errors import BackboneError, RejectedInput
from schemas.log import EVENTS, Record

EXPORT_S = 2.0
"""How long the collector may take for a batch: a stop waits for the last one, and has ten seconds for everything."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class _Carried(msgspec.Struct):
    """What of an event's envelope a span needs."""

    type: str = ""
    traceparent: str = ""


_DECODER = msgspec.json.Decoder(_Carried)


class Tracing:
    """Makes the spans of one process and sends them, in batches and on a thread of its own, to a collector.

    A collector that does not answer costs its spans and nothing else.
    """

    def __init__(self, traces: Traces) -> None:
        about = {
            "service.name": "care-backbone",
            "service.version": version("care-backbone"),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
        sampler = ParentBased(TraceIdRatioBased(traces.share))
        self._provider = TracerProvider(resource=Resource(about), sampler=sampler, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=traces.endpoint, timeout=EXPORT_S)))
        self._tracer = self._provider.get_tracer("backbone")

    @contextlib.contextmanager
    def receiving(self, delivery: Delivery) -> Iterator[Span]:
        """The span of one delivery, below the sender's when it named one.

        What is said meanwhile carries the request's correlation id, or, where it has none, the id of the trace.
        """
        about = {"backbone.source": delivery.source.id, "backbone.door": delivery.door}
        with self._tracer.start_as_current_span(
            f"receive {delivery.door}",
            context=parent(delivery.traceparent),
            kind=SpanKind.SERVER,
            attributes=about,
            record_exception=False,  # its text may repeat what was sent
            set_status_on_exception=False,
        ) as span:
            correlation = CORRELATION.get() or Correlation()
            correlation.suggest(f"{span.get_span_context().trace_id:032x}")
            known = CORRELATION.set(correlation)
            try:
                yield span
            except BaseException as error:
                code = error.code if isinstance(error, BackboneError) else type(error).__name__
                span.set_status(Status(StatusCode.ERROR, code))
                raise
            finally:
                CORRELATION.reset(known)

    def appended(self, records: int, seconds: float) -> None:
        """A span of an append that has just ended, below that of the delivery it was for."""
        end = time.time_ns()
        span = self._tracer.start_span(
            "append", kind=SpanKind.PRODUCER, attributes={"backbone.records": records}, start_time=end - int(seconds * 1e9)
        )
        span.end(end)

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """A span for each event of a batch that has just been committed, below that of the delivery it came with."""
        end = time.time_ns()
        for record in records:
            if record.topic == EVENTS:
                self._applied(record, end - int(seconds * 1e9), end)

    def _applied(self, record: Record, start: int, end: int) -> None:
        carried = _carried(record)
        above = parent(carried.traceparent)
        if above is None:
            return
        about: dict[str, str | int] = {
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "backbone.event.type": carried.type,
        }
        span = self._tracer.start_span("project", context=above, kind=SpanKind.CONSUMER, attributes=about, start_time=start)
        span.end(end)

    def close(self) -> None:
        """Send what is left, for `EXPORT_S` at most. Blocks."""
        self._provider.shutdown()


def parent(traceparent: str) -> Context | None:
    """The context that ``traceparent`` names; ``None`` when it names none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    above = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(above), Context()) if above.is_valid else None


def traceparent(span: Span) -> str:
    """How ``span`` is named to those below it."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _carried(record: Record) -> _Carried:
    """Of an event that cannot be read, nothing: the projections park it, and it has no place in a trace."""
    with contextlib.suppress(msgspec.DecodeError):
        return _DECODER.decode(record.value)
    return _Carried()


class TracedMetrics(Metrics):
    """Metrics that leave spans as well."""

    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self._tracing = tracing

    def appended(self, records: int, seconds: float) -> None:
        super().appended(records, seconds)
        self._tracing.appended(records, seconds)

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        super().applied(records, seconds)
        self._tracing.applied(records, seconds)


class TracedIntake(Intake):
    """An intake whose deliveries are traced: each event it makes carries its delivery's span."""

    def __init__(self, tracing: Tracing, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tracing = tracing

    async def receive(self, delivery: Delivery, progress: Callable[[int], None] | None = None) -> Receipt:
        with self._tracing.receiving(delivery) as span:
            return _noted(span, await super().receive(_below(span, delivery), progress))

    async def refuse(self, delivery: Delivery, error: RejectedInput) -> Receipt:
        with self._tracing.receiving(delivery) as span:
            return _noted(span, await super().refuse(delivery, error))


def _below(span: Span, delivery: Delivery) -> Delivery:
    """``delivery`` as part of ``span``; as it was where that is not kept."""
    return delivery._replace(traceparent=traceparent(span)) if span.is_recording() else delivery


def _noted(span: Span, receipt: Receipt) -> Receipt:
    span.set_attributes({"backbone.accepted": receipt.accepted, "backbone.rejected": receipt.rejected})
    return receipt
