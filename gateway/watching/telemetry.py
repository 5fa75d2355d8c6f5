"""What operators count and time, in the Prometheus text format. `gateway.watching.measures` says what each metric is called.

Source: Prometheus, exposition format 0.0.4.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from importlib.metadata import version
from itertools import product
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from adapters.observe import ArrivalKind
from gateway.settings.values import Door
from gateway.watching import measures
from gateway.watching.measures import Measure
from schemas.errors import BackboneError, LogUnavailable, TranslatorFailed

if TYPE_CHECKING:
    from consumers.following.lag import Lag
    from schemas.log import Record

EXPOSITION_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Media type of `Metrics.exposition`."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds of durations: around the targets (25 ms, 100 ms) fine enough to see them missed, up to every deadline we have."""


_WATCHED = (TranslatorFailed.code, LogUnavailable.code)
"""Faults that an alert waits for: they are counted from 0, because of a count that begins at 1 no increase is seen."""


class ObservedPool(Protocol):
    """Connections of one kind to the store."""

    @property
    def used(self) -> int: ...

    @property
    def limit(self) -> int: ...


Pools = Callable[[], Mapping[str, ObservedPool]]
"""Answers the pools by what they are for, as they are now."""


class Metrics:
    """Counts what the doors, the log, the projections, the store, the ledger and the HTTP answers tell it.

    It is the observer of `adapters.observe`, of `consumers.observe`, of `gateway.watching.freshness` and of the gateway's
    envelope. Its calls take about a microsecond, may come from any thread, and never block.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._pools = _PoolCollector()
        self.registry.register(self._pools)
        self._standing = _StandingCollector()
        self.registry.register(self._standing)
        self._items = self._counter(measures.ITEMS)
        self._arrivals = self._counter(measures.ARRIVALS)
        self._repeated = self._counter(measures.REPEATED)
        self._faults = self._counter(measures.DOOR_FAULTS)
        for door, code in product(Door, _WATCHED):
            self._faults.labels(door, code)
        self._connections = self._gauge(measures.CONNECTIONS)
        self._records = self._counter(measures.APPENDED)
        self._append = self._histogram(measures.APPEND)
        self._ledger = self._histogram(measures.LEDGER_WRITE)
        self._requests = self._histogram(measures.REQUESTS)
        self._applied = self._counter(measures.APPLIED)
        self._apply = self._histogram(measures.APPLY)
        self._behind = self._gauge(measures.BEHIND_EVENTS)
        self._late = self._gauge(measures.BEHIND_SECONDS)
        self._parked = self._gauge(measures.PARKED)
        self._measured = self._gauge(measures.MEASURED)
        self._heard = self._gauge(measures.HEARD)
        self._expected = self._gauge(measures.EXPECTED)
        self._refused = self._gauge(measures.REFUSED)
        processes = self._gauge(measures.PROCESSES)
        processes.labels("answering").set(1)
        processes.labels("silent").set(0)
        self._gauge(measures.BUILD).labels(version("care-backbone"), platform.python_version()).set(1)

    def declare(self, source: str, doors: Iterable[str]) -> None:
        """Count what ``source`` sends from 0: of a count that begins at the 500 refusals of one file no increase is seen."""
        for door in doors:
            self._arrivals.labels(source, door)
            self._repeated.labels(source, door)
            for outcome in ("accepted", "rejected"):
                self._items.labels(source, door, outcome)

    def arriving(self, kind: ArrivalKind, source: str, door: str, traceparent: str) -> AbstractContextManager[str]:
        return nullcontext(traceparent)

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self._arrivals.labels(source, door).inc()
        if accepted:
            self._items.labels(source, door, "accepted").inc(accepted)
        if rejected:
            self._items.labels(source, door, "rejected").inc(rejected)

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self._repeated.labels(source, door).inc()

    def appended(self, records: int, seconds: float) -> None:
        self._records.inc(records)
        self._append.observe(seconds)

    def kept(self, parts: int, seconds: float) -> None:
        """So many writes to the ledger became durable together."""
        self._ledger.observe(seconds)

    def faulted(self, door: str, code: str) -> None:
        self._faults.labels(door, code).inc()

    def connected(self, door: str, connections: int) -> None:
        self._connections.labels(door).set(connections)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is a template."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        """The projections have ``records`` behind them."""
        for topic in {record.topic for record in records}:
            self._applied.labels(topic).inc(sum(record.topic == topic for record in records))
        self._apply.observe(seconds)

    def behind(self, projection: str, lag: Lag) -> None:
        """How far a projection is behind the log, and what it has set aside."""
        for partition, waiting in lag.partitions.items():
            self._behind.labels(projection, str(partition)).set(waiting.events)
            self._late.labels(projection, str(partition)).set(waiting.seconds)
        self._parked.labels(projection).set(lag.parked)

    def heard(self, source: str, at: datetime | None, expected: timedelta | None) -> None:
        """When a source last sent something, and how often it should."""
        self._heard.labels(source).set(at.timestamp() if at else 0)
        if expected is None:
            self._expected.remove(source)
        else:
            self._expected.labels(source).set(expected.total_seconds())

    def retire(self, source: str) -> None:
        """``source`` is declared no more: nobody waits to hear from it."""
        self._heard.remove(source)
        self._expected.remove(source)

    def refused(self, faults: int) -> None:
        """So many things are wrong with the settings and mappings as they stand, so that those before stay in force."""
        self._refused.set(faults)

    def measured(self, at: datetime) -> None:
        """The log and the store were asked for all that is measured."""
        self._measured.set(at.timestamp())

    def watch(self, pools: Pools) -> None:
        """Show these connections from now on."""
        self._pools.watched.append(pools)

    def look(self, trouble: Callable[[], LogUnavailable | None] | None, folders: Mapping[str, Path]) -> None:
        """Show whether the log takes appends (``None``: nobody here appends), and the room in ``folders``, by engine."""
        self._standing.trouble, self._standing.folders = trouble, folders

    def look_at_ledger(self, trouble: Callable[[], BackboneError | None]) -> None:
        """Show whether the ledger takes writes."""
        self._standing.ledger_trouble = trouble

    def unwatch(self, pools: Pools) -> None:
        """They are closed."""
        self._pools.watched.remove(pools)

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)

    def _counter(self, measure: Measure) -> Counter:
        return Counter(measure.name, measure.says, measure.labels, registry=self.registry)

    def _gauge(self, measure: Measure) -> Gauge:
        return Gauge(measure.name, measure.says, measure.labels, registry=self.registry)

    def _histogram(self, measure: Measure) -> Histogram:
        return Histogram(measure.name, measure.says, measure.labels, registry=self.registry, buckets=_SECONDS)


class _PoolCollector(Collector):
    """Asks the pools when somebody looks: a count kept beside them would have to be kept true at every read."""

    def __init__(self) -> None:
        self.watched: list[Pools] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        pools = [pool for watched in tuple(self.watched) for pool in watched().items()]
        yield _family(measures.POOL_USED, ((use, pool.used) for use, pool in pools))
        yield _family(measures.POOL_LIMIT, ((use, pool.limit) for use, pool in pools))


class _StandingCollector(Collector):
    """Asks the log and the disks when somebody looks."""

    def __init__(self) -> None:
        self.trouble: Callable[[], LogUnavailable | None] | None = None
        self.ledger_trouble: Callable[[], BackboneError | None] | None = None
        self.folders: Mapping[str, Path] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _takes(measures.TAKES, self.trouble)
        yield _takes(measures.LEDGER_TAKES, self.ledger_trouble)
        yield _family(
            measures.FREE, ((use, disk_usage(folder).free) for use, folder in self.folders.items() if folder.is_dir())
        )


def _takes(measure: Measure, trouble: Callable[[], BackboneError | None] | None) -> GaugeMetricFamily:
    """1 without trouble, 0 with it; no sample where nobody looks."""
    family = GaugeMetricFamily(measure.name, measure.says)
    if trouble is not None:
        family.add_metric([], trouble() is None)
    return family


def _family(measure: Measure, values: Iterable[tuple[str, int]]) -> GaugeMetricFamily:
    """One sample for each use: a process may hold several pools of it."""
    sums: dict[str, int] = {}
    for use, value in values:
        sums[use] = sums.get(use, 0) + value
    family = GaugeMetricFamily(measure.name, measure.says, labels=measure.labels)
    for use, value in sums.items():
        family.add_metric([use], value)
    return family
