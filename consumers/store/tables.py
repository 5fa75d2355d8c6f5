"""Every table of the store.

A projection owns its tables: nobody else writes them, and a rebuild fills copies beside the live ones
(`consumers.following.rebuild`). So each projection's tables are a named tuple, which is handed to it.

For SQLite the cost is in pages touched, not bytes: an index whose keys come in random order costs a page for each row. So
there are few, and each says what it is for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import TEXT

from consumers.database.compression import compressing

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
"""An opaque key, compared byte by byte: correct, and fastest."""
PLACE = BigInteger().with_variant(Integer(), "sqlite")
"""A place in a topic (`consumers.place`). ``INTEGER PRIMARY KEY`` is SQLite's own row id: rows lie in that order."""


ENTRY_BYTES = 1024
"""When a row of the timeline is longer, PostgreSQL stores its longest value beside the table (TOAST): the resource, which few
pages ask for. The rest of a row is 800 bytes, so that three times as many rows fit into memory."""


def _key(name: str, **more: Any) -> Column[Any]:
    return Column(name, KEY, nullable=False, **more)


def _text(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False)


def _place(name: str = "place") -> Column[Any]:
    return Column(name, PLACE, primary_key=True, autoincrement=False)


def _part() -> Column[Any]:
    return Column("part", Integer, primary_key=True, autoincrement=False)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


POSITION = Table(
    "position",
    METADATA,
    _key("projection", primary_key=True),
    _key("topic", primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    Column("owner", KEY, nullable=False),
    Column("last", Text, nullable=False, server_default=""),
)
"""How far each projection has got: the next offset wanted, who may move it, and a fingerprint of the record applied last."""

PARKED = Table(
    "parked",
    METADATA,
    _key("projection", primary_key=True),
    _key("topic", primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    _text("code"),
    _text("reason"),
    _text("first_at"),
    _text("last_at"),
    Column("tries", Integer, nullable=False),
)
"""Records a projection could not apply: which, why (never their content), and how often they were tried."""


ORIGIN = Table(
    "origin",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    _text("log"),
)
"""One row: the identity of the log that everything here was made from (`consumers.store.origin`)."""


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


PEOPLE = PeopleTables(
    Table(
        "person_record",
        METADATA,
        _key("key", primary_key=True),
        _key("source"),
        _key("person"),
        _key("own_person"),
        _text("rule"),
        Column("root", KEY),
        Column("merged_into", KEY),
        _text("first_at"),
        _text("last_at"),
        _text("stamps"),
        _text("patient"),
        Index("ix_person_record_person", "person", "key"),
        _partial("ix_person_record_own_person", "own_person", where="own_person <> person"),
        _partial("ix_person_record_root", "root", where="root IS NOT NULL"),
    ),
    Table(
        "person_merge",
        METADATA,
        _key("fact", primary_key=True),
        _key("old", primary_key=True),
        *(_key(name) for name in ("new", "order")),
        _count("place"),
        Index("ix_person_merge_old", "old"),
        Index("ix_person_merge_new", "new"),
    ),
    Table(
        "person_former",
        METADATA,
        _key("person", primary_key=True),
        _key("record", primary_key=True),
        Index("ix_person_former_record", "record"),
    ),
    Table("person_local_id", METADATA, _key("key", primary_key=True), _key("record", primary_key=True)),
)


class TimelineTables(NamedTuple):
    """What the timeline projection writes."""

    version: Table
    """One row per event: an entry ready to serve, and its state among the versions of its fact."""
    known: Table
    """What is known of a person or a stay, as a digest per element, so that a snapshot that repeats it is recognised."""


TIMELINE = TimelineTables(
    Table(
        "timeline_version",
        METADATA,
        _place(),
        *(_count(name) for name in ("occurred_at", "tie", "recorded_at")),
        Column("known_until", BigInteger),
        Column("state", SmallInteger, nullable=False),
        Column("version", Integer),
        *(_key(name) for name in ("record", "fact", "event", "order", "latest")),
        Column("named", KEY),
        Column("correlation", KEY),
        *(_key(name) for name in ("type", "sector", "source", "classification")),
        Column("digest", KEY),
        _text("entry"),
        _text("resource"),
        # A person's entries in order, and which of them are current, without reading one; and whether an event is stored.
        Index("ix_timeline_version_record", "record", "occurred_at", "tie", "state", "place"),
        # The versions of a fact. As no two may share a number, two processes cannot write to one fact at the same time.
        Index("uq_timeline_version_fact", "fact", "version", unique=True),
        _partial("ix_timeline_version_named", "named", where="named IS NOT NULL"),
        _partial("ix_timeline_version_stray", "record", "correlation", where="named IS NOT NULL"),
        postgresql_with={"toast_tuple_target": ENTRY_BYTES},
    ),
    Table("timeline_known", METADATA, _key("subject", primary_key=True), _text("state")),
)


class ReceiptsTables(NamedTuple):
    """What the receipts projection writes."""

    receipt: Table
    part: Table
    """The further lists of a long arrival's receipt, beyond its first record."""
    activity: Table
    """One row per source: when something last arrived, and the sums of its receipts."""


RECEIPTS = ReceiptsTables(
    Table("receipt", METADATA, _key("id", primary_key=True), _key("source"), _key("received_at"), _text("account")),
    Table("receipt_part", METADATA, _key("id", primary_key=True), _part(), _text("events"), _text("refusals"), _text("flags")),
    Table(
        "source_activity",
        METADATA,
        _key("source", primary_key=True),
        _key("last_at"),
        *(_count(name) for name in ("receipts", "received", "accepted", "rejected")),
    ),
)


class QuarantineTables(NamedTuple):
    """What the quarantine projection writes."""

    item: Table
    part: Table
    """Where each part of an item's content is in the log; the content itself stays there."""
    trial: Table
    """One row per time an item was sent through again."""


QUARANTINE = QuarantineTables(
    Table(
        "quarantine_item",
        METADATA,
        _key("id", primary_key=True),
        *(_key(name) for name in ("source", "door", "media_type", "code")),
        *(_text(name) for name in ("reason", "position")),
        _key("receipt"),
        _key("received_at"),
        _text("name"),
        Column("parts", Integer, nullable=False),
        Column("status", KEY, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("last_try", Text),
        Index("ix_quarantine_item_status", "status", "received_at", "id"),
        Index("ix_quarantine_item_source", "source", "status", "received_at", "id"),
    ),
    Table(
        "quarantine_part",
        METADATA,
        _key("id", primary_key=True),
        _part(),
        Column("partition", Integer, nullable=False),
        _count("offset"),
        _count("size_bytes"),
    ),
    Table(
        "quarantine_trial",
        METADATA,
        _key("id", primary_key=True),
        _place(),
        _key("at"),
        Column("accepted", SmallInteger, nullable=False),
        _text("account"),
    ),
)

compressing(METADATA)
