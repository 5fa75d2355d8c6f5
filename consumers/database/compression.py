"""Has PostgreSQL compress long values with LZ4: its own method (pglz) takes as long as the rest of writing an event.

Source: PostgreSQL, https://www.postgresql.org/docs/current/storage-toast.html: since 14, if it was built with LZ4.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, Text, text

_OFFERED = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"


def compress(table: Table, connection: Connection, **_: Any) -> None:
    """Use LZ4 for what is written to ``table`` from now on, if the engine supports it."""
    if connection.dialect.name == "postgresql" and connection.execute(text(_OFFERED)).scalar():
        choose("lz4", table, connection)


def choose(way: str, table: Table, connection: Connection) -> None:
    """Compress texts written from now on with the method ``way``; stored ones stay as they are."""
    texts = [column.name for column in table.columns if isinstance(column.type, Text)]
    if texts:
        ways = ", ".join(f'ALTER COLUMN "{name}" SET COMPRESSION {way}' for name in texts)
        connection.execute(text(f'ALTER TABLE "{table.name}" {ways}'))
