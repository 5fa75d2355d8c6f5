"""The table of metrics: the only place where one is added. ``docs/reference/metrics.md`` is made from it.

Names end in the unit, and those of counters in ``_total``. Labels are ids of declared sources, doors, codes, route templates
and names of projections, never anything that was sent (promise P12).

Source: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class MetricKind(StrEnum):
    """How a metric is to be read."""

    COUNTER = "counter"
    """Rises only: ask for its rate."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    """``_bucket``, ``_sum`` and ``_count``: ask for its quantiles."""


class Across(StrEnum):
    """What the gauges of several processes of one server are together; counters and histograms are summed."""

    SUM = "sum"
    """Each has its own share."""
    MOST = "most"
    """All measure the same thing, and the later or the worse counts."""
    LEAST = "least"
    """The same, where less is worse."""


class Measure(NamedTuple):
    """One metric."""

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    says: str
    """One sentence, for ``# HELP`` and the documentation."""
    across: Across = Across.SUM
    """Over the processes of a server, whichever of them is asked (`gateway.watching.figures`)."""


ARRIVALS = Measure(
    "backbone_arrivals_total", MetricKind.COUNTER, ("source", "door"), "Messages, files and requests whose receipt is durable."
)
ITEMS = Measure(
    "backbone_items_total",
    MetricKind.COUNTER,
    ("source", "door", "outcome"),
    "Items (messages, rows) received: `accepted`, or `rejected` and kept.",
)
REPEATED = Measure(
    "backbone_arrivals_repeated_total",
    MetricKind.COUNTER,
    ("source", "door"),
    "Arrivals already known: answered as before, with nothing appended.",
)
DOOR_FAULTS = Measure(
    "backbone_door_faults_total",
    MetricKind.COUNTER,
    ("door", "code"),
    "Faults at a door that are not about an arrival's content.",
)
CONNECTIONS = Measure("backbone_door_connections", MetricKind.GAUGE, ("door",), "Connections open now.")
APPENDED = Measure("backbone_log_records_appended_total", MetricKind.COUNTER, (), "Records appended to the log.")
APPEND = Measure("backbone_log_append_seconds", MetricKind.HISTOGRAM, (), "How long one append took until it was durable.")
TAKES = Measure(
    "backbone_log_takes_appends",
    MetricKind.GAUGE,
    (),
    "1 while the log takes appends, as far as is known without one: its file is in place, its disk has room, Kafka confirmed.",
    Across.LEAST,
)
LEDGER_TAKES = Measure(
    "backbone_ledger_takes_writes",
    MetricKind.GAUGE,
    (),
    "1 while the ledger takes writes, as far as the last one showed; at the start it is tried until it does.",
    Across.LEAST,
)
LEDGER_WRITE = Measure(
    "backbone_ledger_write_seconds",
    MetricKind.HISTOGRAM,
    (),
    "How long one transaction of the ledger took until it was durable; many writers share one.",
)
FREE = Measure("backbone_disk_free_bytes", MetricKind.GAUGE, ("use",), "Room on the disk of an embedded engine.", Across.LEAST)
REQUESTS = Measure(
    "backbone_http_request_seconds",
    MetricKind.HISTOGRAM,
    ("route", "method", "status"),
    "How long a request waited for the first byte of its answer.",
)
APPLIED = Measure(
    "backbone_projection_records_total",
    MetricKind.COUNTER,
    ("topic",),
    "Log records that this process's projections have dealt with.",
)
APPLY = Measure(
    "backbone_projection_batch_seconds", MetricKind.HISTOGRAM, (), "How long one batch of records took until it was committed."
)
BEHIND_EVENTS = Measure(
    "backbone_projection_behind_events",
    MetricKind.GAUGE,
    ("projection", "partition"),
    "Records in a partition of the log that a projection has not applied.",
    Across.MOST,
)
BEHIND_SECONDS = Measure(
    "backbone_projection_behind_seconds",
    MetricKind.GAUGE,
    ("projection", "partition"),
    "Age of the oldest of them, 0 when there is none.",
    Across.MOST,
)
PARKED = Measure(
    "backbone_projection_parked_events",
    MetricKind.GAUGE,
    ("projection",),
    "Events set aside because a projection cannot apply them.",
    Across.MOST,
)
MEASURED = Measure(
    "backbone_measured_timestamp_seconds",
    MetricKind.GAUGE,
    (),
    "When it was last measured how far the projections are behind; stands still while the log or the store does not answer.",
    Across.MOST,
)
HEARD = Measure(
    "backbone_source_heard_timestamp_seconds",
    MetricKind.GAUGE,
    ("source",),
    "When a source last sent something; 0 if it never did.",
    Across.MOST,
)
EXPECTED = Measure(
    "backbone_source_expected_seconds",
    MetricKind.GAUGE,
    ("source",),
    "How often a source is expected to send, where its settings say so.",
    Across.MOST,
)
POOL_USED = Measure(
    "backbone_store_pool_used_connections",
    MetricKind.GAUGE,
    ("use",),
    "Connections to the store that are in use, for `reading` or `writing`.",
)
POOL_LIMIT = Measure(
    "backbone_store_pool_limit_connections", MetricKind.GAUGE, ("use",), "The most connections to the store there may be."
)
REFUSED = Measure(
    "backbone_settings_faults",
    MetricKind.GAUGE,
    (),
    "Faults in the settings and mappings as they now are; until they are mended this process goes on with the previous ones.",
    Across.MOST,
)
BUILD = Measure(
    "backbone_build_info", MetricKind.GAUGE, ("version", "python"), "Always 1; the labels say what is running.", Across.MOST
)

PROCESSES = Measure(
    "backbone_processes",
    MetricKind.GAUGE,
    ("state",),
    "Processes of this server: `answering`, or `silent`, which do not answer just now.",
)

MEASURES = (
    ARRIVALS,
    ITEMS,
    REPEATED,
    DOOR_FAULTS,
    CONNECTIONS,
    APPENDED,
    APPEND,
    TAKES,
    LEDGER_TAKES,
    LEDGER_WRITE,
    FREE,
    REQUESTS,
    APPLIED,
    APPLY,
    BEHIND_EVENTS,
    BEHIND_SECONDS,
    PARKED,
    MEASURED,
    HEARD,
    EXPECTED,
    POOL_USED,
    POOL_LIMIT,
    REFUSED,
    BUILD,
    PROCESSES,
)
"""In the order of the documentation. Prometheus's own ``process_…`` and ``python_info`` are exposed beside them."""
