"""Opens connections to the log's file with the standard library's SQLite driver, and translates the driver's errors into ours.

Source: https://www.sqlite.org/rescode.html (the low byte is the primary code), https://www.sqlite.org/uri.html.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from adapters.eventlog.embedded.file import SETTINGS, prepare
from schemas.errors import BackboneError, CorruptLog, LogUnavailable, SettingsError


class _Fault(NamedTuple):
    message: str
    cure: str
    error: type[BackboneError] = LogUnavailable


_RIGHTS = "Let the user that runs the backbone read and write the file, its -wal and -shm beside it, and their folder."
_RESTORE = "Stop the backbone, keep a copy of the file, then restore it from a backup or replace the disk."

_NOT_ITS_FILE = "Name the log's own file; if this is it, restore it from a backup."

_FAULTS = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: _Fault("the disk of the log is full", "Make room on it, then send again."),
        sqlite3.SQLITE_IOERR: _Fault("the disk of the log gives errors", "Check it: is it full, over a quota, or failing?"),
        sqlite3.SQLITE_BUSY: _Fault("another program has locked the log", "Find the program that has the file open."),
        sqlite3.SQLITE_LOCKED: _Fault("another program has locked the log", "Find the program that has the file open."),
        sqlite3.SQLITE_READONLY: _Fault("the log cannot be written", _RIGHTS),
        sqlite3.SQLITE_PERM: _Fault("the log cannot be opened", _RIGHTS),
        sqlite3.SQLITE_CANTOPEN: _Fault("the log cannot be opened", _RIGHTS),
        sqlite3.SQLITE_CORRUPT: _Fault("the file of the log is broken", _RESTORE, CorruptLog),
        sqlite3.SQLITE_NOTADB: _Fault("the file is not a log", _NOT_ITS_FILE, CorruptLog),
        sqlite3.SQLITE_NOMEM: _Fault("there is not enough memory to use the log", "Give the process more memory."),
    }
)
_OTHER = _Fault("the log does not answer", LogUnavailable.cure)
_AT_START = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB})
"""Errors that waiting does not cure if they occur while opening: a setting names the wrong file, or its rights are wrong."""


def explain(error: sqlite3.Error, path: Path, *, opening: bool = False) -> BackboneError:
    """Our error for the driver's ``error``."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    fault = _FAULTS.get(code, _OTHER)
    kind = SettingsError if opening and code in _AT_START else fault.error
    return kind(f"{fault.message} ({error})", cure=fault.cure, where=str(path))


@contextmanager
def explained(path: Path, *, opening: bool = False) -> Iterator[None]:
    """Raise errors of SQLite as errors of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path, opening=opening) from error


def open_to_append(path: Path, partitions: int, wait: float, *, make: bool) -> sqlite3.Connection:
    """Open a connection that appends; hold the append lock. With ``make``, a missing file is created.

    Raises `SettingsError` when the path cannot be a log, `LogUnavailable` when its disk fails.
    """
    with explained(path, opening=make):
        connection = connected(path, "rwc" if make else "rw", wait)
        try:
            prepare(connection, partitions)
        except BaseException as error:
            connection.close()
            if isinstance(error, SettingsError):
                error.where = str(path)
            raise
        return connection


def open_to_read(path: Path, wait: float) -> sqlite3.Connection:
    """Open a connection that only reads. Raises `LogUnavailable`."""
    with explained(path):
        connection = connected(path, "rw", wait)  # read-only connections cannot share a write-ahead file's index
        for setting in (*SETTINGS, "PRAGMA query_only = ON"):
            connection.execute(setting).fetchall()
        return connection


def connected(path: Path, mode: Literal["rw", "rwc"], wait: float) -> sqlite3.Connection:
    """Open a connection without the log's settings. ``rw``: the file must exist."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # check_same_thread: opened by one thread and handed to another, never used by two at once
    return sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)


Files = tuple[tuple[int, int], ...]
"""Device and inode number of the file and of its write-ahead file."""


def files_of(path: Path) -> Files | None:
    """The files that the path names now; ``None`` when one of them is missing."""
    try:
        found = [path.stat(), path.with_name(path.name + "-wal").stat()]
    except FileNotFoundError:
        return None
    return tuple((one.st_dev, one.st_ino) for one in found)


def removed(path: Path) -> LogUnavailable:
    """The error when the path no longer names the files in use: whatever is written to them would be lost with the process."""
    cure = "Stop the backbone, bring the file back from where it went or from a backup, with its -wal, then start again."
    return LogUnavailable("the log's file was moved or removed while it was in use", cure=cure, where=str(path))


def full(path: Path, free: int, wanted: int) -> LogUnavailable:
    """The error when the disk may not have room for the next append."""
    message = f"the disk of the log is full: {free / 2**20:.1f} MiB are free, an append may need {wanted // 2**20}"
    return LogUnavailable(message, cure="Make room on it; senders then send again by themselves.", where=str(path.parent))


def check_place(path: Path) -> None:
    """Refuse a path that cannot hold a log, with a clearer message than SQLite's. Raises `SettingsError`."""
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise SettingsError(f"the log cannot be opened ({error.strerror})", cure=_RIGHTS, where=str(path)) from error
    if is_folder:
        raise SettingsError("the log's path is a folder", cure="Name a file in it, for example log.db.", where=str(path))
    if not has_folder:
        raise SettingsError("the log's folder does not exist", cure=f"Make it first: {path.parent}", where=str(path))
