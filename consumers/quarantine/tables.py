"""The tables of the quarantine read model."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Index, Integer, SmallInteger, Table, Text

from consumers.store.columns import KEY, count, key, part, place, table, text_column
from schemas.log import QUARANTINE

NAME = "quarantine"
"""Names the read model's positions for ever."""
TOPICS = (QUARANTINE,)
"""What it is made from."""


class QuarantineTables(NamedTuple):
    """What the quarantine projection writes."""

    item: Table
    part: Table
    """Where each part of an item's content is in the log; the content itself stays there."""
    trial: Table
    """One row per time an item was sent through again."""


QUARANTINE_TABLES = QuarantineTables(
    table(
        "quarantine_item",
        key("id", primary_key=True),
        *(key(name) for name in ("source", "door", "media_type", "code")),
        *(text_column(name) for name in ("reason", "position")),
        key("receipt"),
        key("received_at"),
        text_column("name"),
        Column("parts", Integer, nullable=False),
        Column("status", KEY, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("last_try", Text),
        Index("ix_quarantine_item_status", "status", "received_at", "id"),
        Index("ix_quarantine_item_source", "source", "status", "received_at", "id"),
    ),
    table(
        "quarantine_part",
        key("id", primary_key=True),
        part(),
        Column("partition", Integer, nullable=False),
        count("offset"),
        count("size_bytes"),
    ),
    table(
        "quarantine_trial",
        key("id", primary_key=True),
        place(),
        key("at"),
        Column("accepted", SmallInteger, nullable=False),
        text_column("account"),
    ),
)
