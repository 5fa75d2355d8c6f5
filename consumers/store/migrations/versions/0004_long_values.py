"""On PostgreSQL long values are compressed by LZ4, where it has it, and the timeline's resources stand beside its rows.

Source: PostgreSQL, https://www.postgresql.org/docs/current/storage-toast.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic import op
from sqlalchemy import MetaData, Table

from consumers.database.compression import choose, compress

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """For what is put in from now on: what is there stays as it is, and is read all the same."""
    for table in _tables():
        compress(table, op.get_bind())
    if _is_postgresql():
        op.execute("ALTER TABLE timeline_version SET (toast_tuple_target = 1024)")


def downgrade() -> None:
    """Leave it to the engine again."""
    for table in _tables():
        choose("default", table, op.get_bind())
    if _is_postgresql():
        op.execute("ALTER TABLE timeline_version RESET (toast_tuple_target)")


def _tables() -> Iterator[Table]:
    if _is_postgresql():
        found = MetaData()
        found.reflect(op.get_bind())
        yield from found.tables.values()


def _is_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")
