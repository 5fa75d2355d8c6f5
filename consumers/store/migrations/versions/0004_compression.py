"""Long values in PostgreSQL are compressed by LZ4, where it was built with it.

Source: PostgreSQL, https://www.postgresql.org/docs/current/storage-toast.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic import op
from sqlalchemy import MetaData, Table

from consumers.store.compression import choose, compress

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Compress so what is put in from now on: what is there stays as it is, and is read all the same."""
    for table in _tables():
        compress(table, op.get_bind())


def downgrade() -> None:
    """Leave it to the engine again."""
    for table in _tables():
        choose("default", table, op.get_bind())


def _tables() -> Iterator[Table]:
    if op.get_bind().dialect.name == "postgresql":
        found = MetaData()
        found.reflect(op.get_bind())
        yield from found.tables.values()
