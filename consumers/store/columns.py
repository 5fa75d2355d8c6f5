"""How the tables of the store are written down: their columns, and how each is kept by the engines.

For SQLite the cost is in pages touched, not bytes: an index whose keys come in random order costs a page for each row. So
there are few, and each says what it is for.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, event, text
from sqlalchemy.dialects.postgresql import TEXT

from consumers.database.compression import compress

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)
"""Every table of the store, once `consumers.models` has been imported: the store's own, and those of each read model."""

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
"""An opaque key, compared byte by byte: correct, and fastest."""
PLACE = BigInteger().with_variant(Integer(), "sqlite")
"""A place in a topic (`consumers.place`). ``INTEGER PRIMARY KEY`` is SQLite's own row id: rows lie in that order."""


def table(name: str, *parts: Any, **options: Any) -> Table:
    """A table of the store, whose long values PostgreSQL compresses."""
    made = Table(name, METADATA, *parts, **options)
    event.listen(made, "after_create", compress)
    return made


def key(name: str, **more: Any) -> Column[Any]:
    """An opaque key that is always there."""
    return Column(name, KEY, nullable=False, **more)


def text_column(name: str) -> Column[Any]:
    """A text that is always there."""
    return Column(name, Text, nullable=False)


def place(name: str = "place") -> Column[Any]:
    """The record's place in its topic, by which the row is found."""
    return Column(name, PLACE, primary_key=True, autoincrement=False)


def part() -> Column[Any]:
    """The number of a part, as the second half of a key."""
    return Column("part", Integer, primary_key=True, autoincrement=False)


def count(name: str) -> Column[Any]:
    """A number that is always there."""
    return Column(name, BigInteger, nullable=False)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows for which ``where`` holds."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
