"""Tells the store's own trouble (gone, full, locked, in a deadlock) from trouble with what it was given.

The first is answered by trying again, the second never succeeds; the two must not be confused, or a record is parked because
a disk was full.

Source: PostgreSQL Appendix A (SQLSTATE classes); SQLite result codes, https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from schemas.errors import StoreUnavailable

ENGINE_STATES = ("08", "25006", "28", "3D", "40", "42", "53", "55", "57", "58", "XX")
"""Beginnings of SQLSTATEs: connection, read-only transaction, authorisation, no such database, rollback (deadlock,
serialisation), no such table or no right to it, resources, locks, operator, system, internal."""

_SQLITE_CONTENT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


def engine_trouble(error: BaseException) -> str | None:
    """The code of the store's own trouble behind ``error``, or ``None`` when it is something else. Never content."""
    if isinstance(error, DBAPIError):
        return _driver_trouble(error.orig, error.connection_invalidated)
    if isinstance(error, sqlite3.Error):
        return _driver_trouble(error, False)
    if isinstance(error, PoolTimeout):
        return "every connection is busy"
    return type(error).__name__ if isinstance(error, OSError) else None


def _driver_trouble(origin: BaseException | None, broken: bool) -> str | None:
    if isinstance(origin, sqlite3.Error):
        name = str(getattr(origin, "sqlite_errorname", type(origin).__name__))
        return None if isinstance(origin, _SQLITE_CONTENT) else name
    state = getattr(origin, "sqlstate", None)
    if state is not None:
        return str(state) if str(state).startswith(ENGINE_STATES) else None
    # No answer of the server: it was never reached, or the connection broke.
    return type(origin).__name__ if broken or _is_connection_error(origin) else None


def _is_connection_error(origin: BaseException | None) -> bool:
    return any(kind.__name__ in {"OperationalError", "InterfaceError", "OSError"} for kind in type(origin).__mro__)


@contextmanager
def answering() -> Iterator[None]:
    """Inside it, the store's own trouble is `StoreUnavailable`; all else passes through."""
    try:
        yield
    except Exception as error:
        trouble = engine_trouble(error)
        if trouble is None:
            raise
        raise StoreUnavailable(f"the store does not answer ({trouble})") from error
