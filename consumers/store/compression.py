"""Long values in PostgreSQL compressed by LZ4: its own way takes as long as all the rest of putting an event in.

Source: PostgreSQL, https://www.postgresql.org/docs/current/storage-toast.html: since 14, where it was built with LZ4.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, Table, Text, event, text

_OFFERED = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"


def compressing(metadata: MetaData) -> None:
    """Have every table of ``metadata`` made so, and every copy of one that a rebuild fills."""
    for table in metadata.tables.values():
        event.listen(table, "after_create", compress)


def compress(table: Table, connection: Connection, **_: Any) -> None:
    """Compress what is put into ``table`` from now on, where the engine can."""
    if connection.dialect.name == "postgresql" and connection.execute(text(_OFFERED)).scalar():
        choose("lz4", table, connection)


def choose(way: str, table: Table, connection: Connection) -> None:
    """Compress texts in this way from now on; what is there stays as it is."""
    texts = [column.name for column in table.columns if isinstance(column.type, Text)]
    if texts:
        ways = ", ".join(f'ALTER COLUMN "{name}" SET COMPRESSION {way}' for name in texts)
        connection.execute(text(f'ALTER TABLE "{table.name}" {ways}'))
