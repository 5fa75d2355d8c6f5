"""The tables of the first release.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import TEXT

revision = "0001"
down_revision = None

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
PLACE = BigInteger().with_variant(Integer(), "sqlite")


class Index(NamedTuple):
    """One index."""

    name: str
    table: str
    columns: list[str]
    unique: bool = False
    where: str = ""


TABLES = (
    (
        "parked",
        Column("projection", KEY, nullable=False),
        Column("topic", KEY, nullable=False),
        Column("partition", Integer, nullable=False, autoincrement=False),
        Column("offset", BigInteger, nullable=False, autoincrement=False),
        Column("code", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("first_at", Text, nullable=False),
        Column("last_at", Text, nullable=False),
        Column("tries", Integer, nullable=False),
        PrimaryKeyConstraint("projection", "topic", "partition", "offset", name="pk_parked"),
    ),
    (
        "person_former",
        Column("person", KEY, nullable=False),
        Column("record", KEY, nullable=False),
        PrimaryKeyConstraint("person", "record", name="pk_person_former"),
    ),
    (
        "person_local_id",
        Column("key", KEY, nullable=False),
        Column("record", KEY, nullable=False),
        PrimaryKeyConstraint("key", "record", name="pk_person_local_id"),
    ),
    (
        "person_merge",
        Column("fact", KEY, nullable=False),
        Column("old", KEY, nullable=False),
        Column("new", KEY, nullable=False),
        Column("order", KEY, nullable=False),
        Column("place", BigInteger, nullable=False),
        PrimaryKeyConstraint("fact", "old", name="pk_person_merge"),
    ),
    (
        "person_record",
        Column("key", KEY, nullable=False),
        Column("source", KEY, nullable=False),
        Column("person", KEY, nullable=False),
        Column("own_person", KEY, nullable=False),
        Column("rule", Text, nullable=False),
        Column("root", KEY, nullable=True),
        Column("merged_into", KEY, nullable=True),
        Column("first_at", Text, nullable=False),
        Column("last_at", Text, nullable=False),
        Column("stamps", Text, nullable=False),
        Column("patient", Text, nullable=False),
        PrimaryKeyConstraint("key", name="pk_person_record"),
    ),
    (
        "position",
        Column("projection", KEY, nullable=False),
        Column("topic", KEY, nullable=False),
        Column("partition", Integer, nullable=False, autoincrement=False),
        Column("next", BigInteger, nullable=False),
        Column("owner", KEY, nullable=False),
        PrimaryKeyConstraint("projection", "topic", "partition", name="pk_position"),
    ),
    (
        "quarantine_item",
        Column("id", KEY, nullable=False),
        Column("source", KEY, nullable=False),
        Column("door", KEY, nullable=False),
        Column("media_type", KEY, nullable=False),
        Column("code", KEY, nullable=False),
        Column("reason", Text, nullable=False),
        Column("position", Text, nullable=False),
        Column("receipt", KEY, nullable=False),
        Column("received_at", KEY, nullable=False),
        Column("name", Text, nullable=False),
        Column("parts", Integer, nullable=False),
        Column("status", KEY, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("last_try", Text, nullable=True),
        PrimaryKeyConstraint("id", name="pk_quarantine_item"),
    ),
    (
        "quarantine_part",
        Column("id", KEY, nullable=False),
        Column("part", Integer, nullable=False, autoincrement=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", "part", name="pk_quarantine_part"),
    ),
    (
        "quarantine_trial",
        Column("id", KEY, nullable=False),
        Column("place", PLACE, nullable=False, autoincrement=False),
        Column("at", KEY, nullable=False),
        Column("accepted", SmallInteger, nullable=False),
        Column("account", Text, nullable=False),
        PrimaryKeyConstraint("id", "place", name="pk_quarantine_trial"),
    ),
    (
        "receipt",
        Column("id", KEY, nullable=False),
        Column("source", KEY, nullable=False),
        Column("received_at", KEY, nullable=False),
        Column("account", Text, nullable=False),
        PrimaryKeyConstraint("id", name="pk_receipt"),
    ),
    (
        "receipt_part",
        Column("id", KEY, nullable=False),
        Column("part", Integer, nullable=False, autoincrement=False),
        Column("events", Text, nullable=False),
        Column("refusals", Text, nullable=False),
        Column("flags", Text, nullable=False),
        PrimaryKeyConstraint("id", "part", name="pk_receipt_part"),
    ),
    (
        "source_activity",
        Column("source", KEY, nullable=False),
        Column("last_at", KEY, nullable=False),
        Column("receipts", BigInteger, nullable=False),
        Column("received", BigInteger, nullable=False),
        Column("accepted", BigInteger, nullable=False),
        Column("rejected", BigInteger, nullable=False),
        PrimaryKeyConstraint("source", name="pk_source_activity"),
    ),
    (
        "timeline_known",
        Column("subject", KEY, nullable=False),
        Column("state", Text, nullable=False),
        PrimaryKeyConstraint("subject", name="pk_timeline_known"),
    ),
    (
        "timeline_version",
        Column("place", PLACE, nullable=False, autoincrement=False),
        Column("occurred_at", BigInteger, nullable=False),
        Column("tie", BigInteger, nullable=False),
        Column("recorded_at", BigInteger, nullable=False),
        Column("known_until", BigInteger, nullable=True),
        Column("state", SmallInteger, nullable=False),
        Column("version", Integer, nullable=True),
        Column("record", KEY, nullable=False),
        Column("fact", KEY, nullable=False),
        Column("event", KEY, nullable=False),
        Column("order", KEY, nullable=False),
        Column("latest", KEY, nullable=False),
        Column("named", KEY, nullable=True),
        Column("correlation", KEY, nullable=True),
        Column("type", KEY, nullable=False),
        Column("sector", KEY, nullable=False),
        Column("source", KEY, nullable=False),
        Column("classification", KEY, nullable=False),
        Column("digest", KEY, nullable=True),
        Column("entry", Text, nullable=False),
        Column("resource", Text, nullable=False),
        PrimaryKeyConstraint("place", name="pk_timeline_version"),
    ),
)
"""Name, columns and primary key of each."""

INDEXES = (
    Index("ix_person_merge_new", "person_merge", ["new"]),
    Index("ix_person_merge_old", "person_merge", ["old"]),
    Index("ix_person_record_own_person", "person_record", ["own_person"], where="own_person <> person"),
    Index("ix_person_record_person", "person_record", ["person", "key"]),
    Index("ix_person_record_root", "person_record", ["root"], where="root IS NOT NULL"),
    Index("ix_quarantine_item_source", "quarantine_item", ["source", "status", "received_at", "id"]),
    Index("ix_quarantine_item_status", "quarantine_item", ["status", "received_at", "id"]),
    Index("ix_timeline_version_named", "timeline_version", ["named"], where="named IS NOT NULL"),
    Index("ix_timeline_version_record", "timeline_version", ["record", "occurred_at", "tie", "state", "place"]),
    Index("ix_timeline_version_stray", "timeline_version", ["record", "correlation"], where="named IS NOT NULL"),
    Index("uq_timeline_version_fact", "timeline_version", ["fact", "version"], unique=True),
)


def upgrade() -> None:
    """Make them."""
    for name, *columns in TABLES:
        op.create_table(name, *columns)
    for index in INDEXES:
        where: dict[str, Any] = {f"{engine}_where": text(index.where) for engine in ("sqlite", "postgresql") if index.where}
        op.create_index(index.name, index.table, index.columns, unique=index.unique, **where)


def downgrade() -> None:
    """Drop them: what they hold is made again from the log."""
    for name, *_ in reversed(TABLES):
        op.drop_table(name)
