"""The store's own tables: how far each read model has got, what it set aside, and which log it is made from."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, SmallInteger, Text

from consumers.store.columns import KEY, PLACE, count, key, partial_index, table, text_column

POSITION = table(
    "position",
    key("projection", primary_key=True),
    key("topic", primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    Column("owner", KEY, nullable=False),
    Column("last", Text, nullable=False, server_default=""),
)
"""How far each projection has got: the next offset wanted, who may move it, and a fingerprint of the record applied last."""

PARKED = table(
    "parked",
    key("projection", primary_key=True),
    key("topic", primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    text_column("code"),
    text_column("reason"),
    text_column("first_at"),
    text_column("last_at"),
    Column("tries", Integer, nullable=False),
)
"""Records a projection could not apply: which, why (never their content), and how often they were tried."""


ORIGIN = table(
    "origin",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    text_column("log"),
)
"""One row: the identity of the log that everything here was made from (`consumers.store.origin`)."""

CHANGE = table(
    "change",
    Column("number", PLACE, Identity(), primary_key=True),
    count("written"),
    key("what"),
    count("cause"),
    key("record"),
    Column("entry", BigInteger),
    Column("was", KEY),
    Column("person", KEY),
    # What has become visible since somebody last looked (`consumers.timeline.feed`); SQLite, whose transactions have no number,
    # goes by the row's, and keeps nothing in it.
    partial_index("ix_change_written", "written", where="written > 0"),
)
"""The outbox (`consumers.store.outbox`): what became of entries and records, as long as somebody may not have read it yet."""
