"""What operators see: metrics in the Prometheus text format and messages as JSON lines.

No label, message or field holds personal data (promise P12): labels are source ids, doors, codes and route templates, and of an
exception only its kind and place are written, because its text may repeat what was sent.

Measured: structlog costs 200 ms of every start for what a formatter of the standard library does.

Source: Prometheus, "Metric and label naming"; exposition format 0.0.4.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

EXPOSITION_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Media type of `Metrics.exposition`."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds of durations: around the targets (25 ms, 100 ms) fine enough to see them missed, up to every deadline we have."""
_FRAMES = 8
"""Innermost frames of an exception that are written: enough to find the place."""


class Metrics:
    """Counts what the doors, the log, the projections and the HTTP answers tell it.

    It is the observer of `adapters.observe` and of the gateway's envelope. Its calls take about a microsecond and never block.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._items = self._counter("items", "Items taken in or rejected and kept.", "source", "door", "outcome")
        self._arrivals = self._counter("arrivals", "Messages, files and requests whose receipt is durable.", "source", "door")
        self._repeated = self._counter("arrivals_repeated", "Arrivals known already.", "source", "door")
        self._faults = self._counter("door_faults", "Troubles that are no arrival's content.", "door", "code")
        self._connections = self._gauge("door_connections", "Connections open now.", "door")
        self._records = self._counter("log_records_appended", "Records appended to the log.")
        self._append = self._histogram("log_append_seconds", "How long the log took.")
        self._requests = self._histogram(
            "http_request_seconds", "Until the first byte of the answer.", "route", "method", "status"
        )
        self._behind = self._gauge(
            "projection_behind_events", "Events in the log that a projection has not applied.", "projection"
        )
        self._late = self._gauge("projection_behind_seconds", "Age of the oldest of them.", "projection")

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self._arrivals.labels(source, door).inc()
        if accepted:
            self._items.labels(source, door, "accepted").inc(accepted)
        if rejected:
            self._items.labels(source, door, "rejected").inc(rejected)

    def repeated(self, source: str, door: str) -> None:
        self._repeated.labels(source, door).inc()

    def appended(self, records: int, seconds: float) -> None:
        self._records.inc(records)
        self._append.observe(seconds)

    def faulted(self, door: str, code: str) -> None:
        self._faults.labels(door, code).inc()

    def connected(self, door: str, connections: int) -> None:
        self._connections.labels(door).set(connections)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is a template."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def behind(self, projection: str, events: int, seconds: float) -> None:
        """How far a projection is behind the log."""
        self._behind.labels(projection).set(events)
        self._late.labels(projection).set(seconds)

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"backbone_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"backbone_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(f"backbone_{name}", says, labels, registry=self.registry, buckets=_SECONDS)


class JsonLines(logging.Formatter):
    """One JSON object a line: ``at``, ``level``, ``logger``, ``message``, and where known ``correlation`` and ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:23] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        correlation = getattr(record, "correlation", "")
        if correlation:
            line["correlation"] = correlation
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = kind_and_place(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def kind_and_place(error: BaseException) -> str:
    """The kind of an exception and where it was raised, innermost first: never its text."""
    frames = list(traceback.walk_tb(error.__traceback__))[-_FRAMES:]
    places = " < ".join(f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in reversed(frames))
    return f"{type(error).__name__} at {places}" if places else type(error).__name__


def log_json_lines(level: str) -> None:
    """Write messages of ``level`` and above to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a full disk under standard error must not stop the intake
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))


_CHATTY = ("uvicorn.error", "aiokafka", "asyncio")
"""Libraries that tell at ``info`` what our own messages say already."""
