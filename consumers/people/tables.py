"""The tables of the people read model."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Index, Table

from consumers.store.columns import KEY, count, key, partial_index, table, text_column
from schemas.log import EVENTS

NAME = "people"
"""Names the read model's positions for ever."""
TOPICS = (EVENTS,)
"""What it is made from."""


class PeopleTables(NamedTuple):
    """What the people projection writes."""

    record: Table
    """One row per source record: its Patient, folded from all events, and the person it belongs to."""
    merge: Table
    """One row per statement that a record replaces another, and one per withdrawal of such a statement."""
    former: Table
    """Person ids that a record's own evidence gave earlier: an id once given out keeps resolving."""
    local_id: Table
    """A record's other local identifiers, beside the one its key is made from, as the key each would make."""


PEOPLE_TABLES = PeopleTables(
    table(
        "person_record",
        key("key", primary_key=True),
        key("source"),
        key("person"),
        key("own_person"),
        text_column("rule"),
        Column("root", KEY),
        Column("merged_into", KEY),
        text_column("first_at"),
        text_column("last_at"),
        text_column("stamps"),
        text_column("patient"),
        Index("ix_person_record_person", "person", "key"),
        partial_index("ix_person_record_own_person", "own_person", where="own_person <> person"),
        partial_index("ix_person_record_root", "root", where="root IS NOT NULL"),
    ),
    table(
        "person_merge",
        key("fact", primary_key=True),
        key("old", primary_key=True),
        *(key(name) for name in ("new", "order")),
        count("place"),
        Index("ix_person_merge_old", "old"),
        Index("ix_person_merge_new", "new"),
    ),
    table(
        "person_former",
        key("person", primary_key=True),
        key("record", primary_key=True),
        Index("ix_person_former_record", "record"),
    ),
    table("person_local_id", key("key", primary_key=True), key("record", primary_key=True)),
)
