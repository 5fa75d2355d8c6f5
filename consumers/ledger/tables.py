"""Every table of the ledger. A later one is added here and by a version in ``migrations/versions``.

Their names begin with ``ledger_``: on PostgreSQL they may stand beside the store's, and are dumped and restored by that name
(docs/operate.md). Nothing but `consumers.ledger.write` writes them; no rebuild reads or writes one.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import TEXT

METADATA = MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"})

_KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
"""An opaque key, compared byte by byte."""

IDENTITY = Table(
    "ledger_identity",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("identity", Text, nullable=False),
)
"""One row: what tells this ledger from every other, made with the tables."""

USED_TOKEN = Table(
    "ledger_used_token",
    METADATA,
    Column("digest", _KEY, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)
"""One row per token that was used: the digest of its id, and when it expires, in seconds since 1970; after that it is refused
for its age."""
