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
from collections.abc import Iterator, Sequence
from importlib.metadata import version

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
    get_current_span,
    set_span_in_context,
)

from adapters.observe import CORRELATION, ArrivalKind, Correlation, UnobservedIntake
from gateway.settings.shapes import Traces
from schemas.errors import BackboneError
from schemas.log import EVENTS, Record

EXPORT_S = 2.0
"""How long the collector may take for a batch: a stop waits for the last one, and has ten seconds for everything."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class _Carried(msgspec.Struct):
    """What of an event's envelope a span needs."""

    type: str = ""
    traceparent: str = ""


_DECODER = msgspec.json.Decoder(_Carried)


class Tracing(UnobservedIntake):
    """Observes the intake and the projections: makes the spans of one process, and sends them to a collector in batches, on a
    thread of its own. Of what else an intake reports it makes nothing.

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
    def arriving(self, kind: ArrivalKind, source: str, door: str, traceparent: str) -> Iterator[str]:
        """The span of one arrival, below the sender's when it named one. Where it is not sampled, the sender's stays.

        What is logged meanwhile carries the request's correlation id, or, where it has none, the id of the trace.
        """
        with self._tracer.start_as_current_span(
            f"{kind} {door}",
            context=parent(traceparent),
            kind=SpanKind.SERVER,
            attributes={"backbone.source": source, "backbone.door": door},
            record_exception=False,  # its text may repeat what was sent
            set_status_on_exception=False,
        ) as span:
            correlation = CORRELATION.get() or Correlation()
            correlation.suggest(f"{span.get_span_context().trace_id:032x}")
            before = CORRELATION.set(correlation)
            try:
                yield _named(span) if span.is_recording() else traceparent
            except BaseException as error:
                code = error.code if isinstance(error, BackboneError) else type(error).__name__
                span.set_status(Status(StatusCode.ERROR, code))
                raise
            finally:
                CORRELATION.reset(before)

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        get_current_span().set_attributes({"backbone.accepted": accepted, "backbone.rejected": rejected})

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self.arrived(source, door, accepted, rejected)

    def appended(self, records: int, seconds: float) -> None:
        """A span of an append that has just ended, below that of the arrival it was for."""
        end = time.time_ns()
        span = self._tracer.start_span(
            "append", kind=SpanKind.PRODUCER, attributes={"backbone.records": records}, start_time=end - int(seconds * 1e9)
        )
        span.end(end)

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """A span for each event of a batch that has just been committed, below that of the arrival it came with."""
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


def _named(span: Span) -> str:
    """The traceparent of what is below ``span``."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _carried(record: Record) -> _Carried:
    """Of an event that cannot be read, nothing: the projections park it, and it has no place in a trace."""
    with contextlib.suppress(msgspec.DecodeError):
        return _DECODER.decode(record.value)
    return _Carried()
