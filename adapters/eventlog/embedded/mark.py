"""The marks of the embedded log: rows beside the file's format and identity, written once and never changed.

The value is stored as a blob, because the column would convert a text of digits into a number.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from adapters.eventlog.embedded.driver import connected, explained
from adapters.eventlog.embedded.file import BEGIN_WRITE, COMMIT, SETTINGS, FileConnection

_PREFIX = "mark "
_NOTE = "INSERT OR IGNORE INTO about (name, value) VALUES (?, ?)"
_NOTED = "SELECT value FROM about WHERE name = ?"


def mark(path: Path, name: str, value: str | None, wait: float) -> str | None:
    """As `schemas.log.EventLog.mark`, on a connection of its own."""
    with explained(path), contextlib.closing(connected(path, "rw", wait)) as connection:
        for setting in SETTINGS:
            connection.execute(setting).fetchall()
        found = _noted(connection, name)
        if found is None and value is not None:
            connection.execute(BEGIN_WRITE)
            connection.execute(_NOTE, (_PREFIX + name, value.encode()))
            connection.execute(COMMIT)
            found = _noted(connection, name)  # another process may have been first
        return found


def _noted(connection: FileConnection, name: str) -> str | None:
    row = connection.execute(_NOTED, (_PREFIX + name,)).fetchone()
    return None if row is None else bytes(row[0]).decode()
