"""The tables of the timeline read model."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table

from consumers.store.columns import KEY, count, key, partial_index, place, table, text_column
from schemas.log import EVENTS

NAME = "timeline"
"""Names the read model's positions for ever."""
TOPICS = (EVENTS,)
"""What it is made from."""
ENTRY_BYTES = 1024
"""When a row of the timeline is longer, PostgreSQL stores its longest value beside the table (TOAST): the resource, which few
pages ask for. The rest of a row is 800 bytes, so that three times as many rows fit into memory."""


class TimelineTables(NamedTuple):
    """What the timeline projection writes."""

    version: Table
    """One row per event: an entry ready to serve, and its state among the versions of its fact."""
    known: Table
    """What is known of a person or a stay, as a digest per element, so that a snapshot that repeats it is recognised."""


TIMELINE_TABLES = TimelineTables(
    table(
        "timeline_version",
        place(),
        *(count(name) for name in ("occurred_at", "tie", "recorded_at")),
        Column("known_until", BigInteger),
        Column("state", SmallInteger, nullable=False),
        Column("version", Integer),
        *(key(name) for name in ("record", "fact", "event", "order", "latest")),
        Column("named", KEY),
        Column("correlation", KEY),
        *(key(name) for name in ("type", "sector", "source", "classification")),
        Column("digest", KEY),
        text_column("entry"),
        text_column("resource"),
        # A person's entries in order, and which of them are current, without reading one; and whether an event is stored.
        Index("ix_timeline_version_record", "record", "occurred_at", "tie", "state", "place"),
        # The versions of a fact. As no two may share a number, two processes cannot write to one fact at the same time.
        Index("uq_timeline_version_fact", "fact", "version", unique=True),
        partial_index("ix_timeline_version_named", "named", where="named IS NOT NULL"),
        partial_index("ix_timeline_version_stray", "record", "correlation", where="named IS NOT NULL"),
        postgresql_with={"toast_tuple_target": ENTRY_BYTES},
    ),
    table("timeline_known", key("subject", primary_key=True), text_column("state")),
)
