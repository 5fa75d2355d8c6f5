"""Tells a database's own trouble (gone, full, locked, in a deadlock) from trouble with what it was given to do.

The first calls for another try, the second can never succeed. Confusing the two would park a record because a disk was full.

Source: PostgreSQL Appendix A (SQLSTATE classes); SQLite result codes, https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from consumers.database.use import DatabaseUse

ENGINE_STATES = ("08", "25006", "25P03", "25P04", "28", "3D", "40", "42", "53", "55", "57", "58", "XX")
"""Beginnings of SQLSTATEs: connection, read-only transaction, a transaction that lasted too long, authorisation, no such
database, rollback (deadlock, serialisation), no such table or no right to it, resources, locks, operator, system, internal."""

READ_ONLY = "25006"
"""SQLSTATE of a server, or of a role's sessions, that takes no writes."""

CURES: Mapping[str, str] = {
    READ_ONLY: "The server is read-only, as a standby is: name the primary in {variable}.",
    "25P03": "The process was silent within a transaction for longer than postgresql.idle; the work is repeated by itself.",
    "28": "Correct the role and its password in {variable}, or let the role in by pg_hba.conf.",
    "3D": "Create the database, or correct its name in {variable}.",
    "08P01": 'If a pooler in transaction mode stands before PostgreSQL, set postgresql.pooler = "transaction".',
    "42501": "Let the role create and change tables in the database's schema; best make it their owner.",
    "42": "The tables are not those of this version of the backbone: `backbone doctor` says which version they are.",
    "40": "Another process wrote to the same rows; the work was rolled back. Try again.",
    "53100": "Make room on PostgreSQL's disk.",
    "53300": "Raise PostgreSQL's max_connections, or lower postgresql.pool or the number of processes.",
    "57014": "It took longer than postgresql.statement. Is the machine overloaded, or the limit too short?",
    "57P": "PostgreSQL is stopping or starting; what waits for it goes on by itself.",
    "SQLITE_BUSY": "Another process writes to the same file for long; stop it, or wait until it is done.",
    "SQLITE_FULL": "Make room on the disk of the data folder.",
    "SQLITE_IOERR": "Check the disk of the data folder: is it full, over a quota, or failing?",
    "SQLITE_READONLY": "Let the user that runs the backbone write to the file, its -wal and -shm beside it, and their folder.",
    "SQLITE_CANTOPEN": "Let the user that runs the backbone read and write the file and its folder; is the folder there?",
    "SQLITE": "Check the file of the {name} and its disk: `backbone doctor` says more.",
    "every connection is busy": "Raise postgresql.pool, or spread the work over more processes.",
    "": "Is PostgreSQL running at the address in {variable}, the database there, the role let in, and a connection free? "
    'Behind a pooler in transaction mode set postgresql.pooler = "transaction".',
}
"""Prefix of a trouble's code → what to do about it, unless its use has a cure of its own (`DatabaseUse.cures`);
the last is for a server that was not reached, or refused the login."""

_SQLITE_CONTENT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


def engine_trouble(error: BaseException) -> str | None:
    """The code of the database's own trouble behind ``error``, or ``None`` when it is something else. Never any content."""
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
def answering(use: DatabaseUse) -> Iterator[None]:
    """Within it, the database's own trouble becomes `DatabaseUse.unavailable`; everything else passes through."""
    try:
        yield
    except Exception as error:
        trouble = engine_trouble(error)
        if trouble is None:
            raise
        message = f"the {use.name} does not answer ({trouble}){_said(error)}"
        raise use.unavailable(message, cure=cure_of(trouble, use)) from error


def _said(error: BaseException) -> str:
    """What psycopg says of a connection that was refused, or broke: which host, port, role and database, and why.

    Its errors without a code of the server never quote what was sent, nor the password. Any other error's words may.
    """
    origin = error.orig if isinstance(error, DBAPIError) else None
    kind = type(origin)
    if getattr(origin, "sqlstate", "") is not None or (kind.__module__, kind.__name__) not in _PLAIN:
        return ""
    return f": {' '.join(str(origin).split())[:_SAID_CHARACTERS]}"


_PLAIN = (("psycopg", "OperationalError"), ("psycopg.errors", "ConnectionTimeout"))
_SAID_CHARACTERS = 400
"""Enough for two attempts, at an IPv6 and an IPv4 address."""


def cure_of(trouble: str, use: DatabaseUse) -> str:
    """What to do about the trouble of this code (`engine_trouble`) of a database of that use."""
    found = next(cure for code, cure in {**use.cures, **CURES}.items() if trouble.startswith(code))
    return found.format(name=use.name, variable=use.variable)
