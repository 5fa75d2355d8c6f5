"""The embedded log's file: its settings, its tables, and the ends of its partitions. `adapters.eventlog.embedded.append` writes
it.

This module names no driver: a `FileConnection` is the standard library's in production, and in ``tests/faults`` another one
that simulates power cuts. Both run the same statements.

The layout was chosen by measuring (events of 2 KiB with receipts of 500 bytes, 48 partitions, 8 KiB pages):

* ``entries`` is in order of arrival, so that an append only writes the last pages of one tree, a follower reads one range
  whatever the number of partitions, and the file grows by little more than the content. A tree ordered by (partition, offset)
  would be written at 48 places: half the rate and a fifth more space.
* ``places`` is an index from (topic, partition, offset) to the entry. Updating it with each append would write a page a
  partition for a few bytes, half the cost of a small append. Instead it is filled once for some thousand entries, in the
  transaction that reaches that number. Entries after ``indexed`` are not in it yet, and are searched one by one.

Source: SQLite file format; https://www.sqlite.org/wal.html; https://www.sqlite.org/pragma.html.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from schemas.errors import CorruptLog, SettingsError

FORMAT = 1
"""Version of the tables below; a file of a newer version is refused."""

SETTINGS = (
    "PRAGMA page_size = 8192",  # two events of 2 KiB to a page leave 4 KiB pages a third empty
    # A new file is changed to WAL mode in a transaction with a rollback journal. If a power cut undid the journal's removal,
    # the next start would roll that change back and lose the content of the write-ahead file. EXTRA syncs the removal.
    "PRAGMA synchronous = EXTRA",
    "PRAGMA journal_mode = WAL",  # readers never wait for writers
    "PRAGMA synchronous = FULL",  # promise P1: a commit returns after its fsync; NORMAL loses commits in a power cut
    "PRAGMA fullfsync = ON",  # macOS: fsync alone stops at the drive's cache
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 0",  # done under the append lock by `Appender.checkpoint`
    "PRAGMA journal_size_limit = 67108864",  # a write-ahead file that grew during a long read is truncated to 64 MiB
    "PRAGMA cache_size = -8000",  # 8 MB: the entries about to be indexed are still in it
)
"""Run on every connection, in this order; compiled-in defaults differ between systems."""

CREATE = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,"
    ' "offset" INTEGER NOT NULL, appended_us INTEGER NOT NULL, checksum INTEGER NOT NULL,'
    " key BLOB NOT NULL, value BLOB NOT NULL)",
    'CREATE TABLE IF NOT EXISTS places (topic INTEGER, partition INTEGER, "offset" INTEGER, seq INTEGER NOT NULL,'
    ' PRIMARY KEY (topic, partition, "offset")) WITHOUT ROWID',
)
_DESCRIBE = (
    "INSERT OR IGNORE INTO about (name, value)"
    " VALUES ('format', ?), ('partitions', ?), ('indexed', 0), ('identity', abs(random() / 2))"
)
"""The identity is chosen at the file's first start. Halved, because abs() of the lowest integer fails."""
_ABOUT = "SELECT name, value FROM about"
_JOURNAL = "PRAGMA journal_mode"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"

BEGIN_READ = "BEGIN"
COMMIT = "COMMIT"
BEGIN_WRITE = "BEGIN IMMEDIATE"
_VERSION = "PRAGMA data_version"

_TOPICS = "SELECT name, number FROM topics"
_INDEXED = "SELECT value FROM about WHERE name = 'indexed'"
_IDENTITY = "SELECT value FROM about WHERE name = 'identity'"
_LAST = "SELECT coalesce(max(seq), 0) FROM entries"
_INDEXED_ENDS = (
    "WITH RECURSIVE held (partition) AS (SELECT 0 UNION ALL SELECT partition + 1 FROM held WHERE partition + 1 < ?)"
    ' SELECT topics.number, held.partition, (SELECT max("offset") FROM places'
    " WHERE places.topic = topics.number AND places.partition = held.partition) FROM topics, held"
)
_ENDS_AFTER = 'SELECT topic, partition, max("offset") FROM entries WHERE seq > ? GROUP BY topic, partition'


class Cursor(Protocol):
    """The part of a driver's cursor that is used."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class FileConnection(Protocol):
    """The part of a driver's connection that is used, in autocommit mode."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...


def checksum(position: tuple[str, int, int], appended_us: int, key: bytes, crc: int) -> int:
    """CRC-32 over an entry's position (topic, partition, offset), time, key and the CRC-32 of its value.

    It detects changes by the disk or by another program, but not forgery. Raises ``struct.error`` when a number is outside the
    range of those that are written.
    """
    topic, partition, offset = position
    return zlib.crc32(_PLACE(offset, appended_us, crc) + key, _crc_of(topic, partition))


_PLACE = struct.Struct("<QQI").pack


@lru_cache(maxsize=4096)
def _crc_of(topic: str, partition: int) -> int:
    return zlib.crc32(f"{topic}\x1f{partition}".encode())


def prepare(connection: FileConnection, partitions: int) -> None:
    """Apply the settings to the connection, and create the tables of a new file. Hold the append lock.

    Raises `SettingsError` when the file is not a log, is of a newer format or has another number of partitions.
    """
    for setting in SETTINGS:
        connection.execute(setting).fetchall()
    if connection.execute(_JOURNAL).fetchall() != [("wal",)]:
        raise SettingsError("the log's file system cannot share memory between processes", cure="Put the log on a local disk.")
    connection.execute(BEGIN_WRITE)
    tables = {name for (name,) in connection.execute(_TABLES).fetchall()}
    if tables and "about" not in tables:
        raise SettingsError("the file is a SQLite database of something else", cure="Give the log a file of its own.")
    for statement in CREATE:
        connection.execute(statement)
    connection.execute(_DESCRIBE, (FORMAT, partitions))
    _check(dict(connection.execute(_ABOUT).fetchall()), partitions)
    connection.execute(COMMIT)


def _check(about: Mapping[str, int], partitions: int) -> None:
    if about["format"] > FORMAT:
        raise SettingsError(
            f"the log is of format {about['format']}, this version of the backbone knows {FORMAT}",
            cure="Run the version that wrote it, or a newer one.",
        )
    if about["partitions"] != partitions:
        raise SettingsError(
            f"the log has {about['partitions']} partitions, the settings say {partitions}",
            cure=f"Set the partitions to {about['partitions']}: with another number a record's events would lose their order.",
        )


def identity(connection: FileConnection) -> int:
    """Distinguishes this log from every other, also from a later one under the same name."""
    return int(connection.execute(_IDENTITY).fetchall()[0][0])


def topics(connection: FileConnection) -> dict[str, int]:
    """Name to number of each topic that has entries."""
    return dict(connection.execute(_TOPICS).fetchall())


def version(connection: FileConnection) -> int:
    """A number that changes whenever another connection has written since the last call."""
    return int(connection.execute(_VERSION).fetchall()[0][0])


def last(connection: FileConnection) -> int:
    """Number of the last entry; 0 if there is none."""
    return int(connection.execute(_LAST).fetchall()[0][0])


def indexed(connection: FileConnection) -> int:
    """Number of the last entry that is indexed."""
    return int(connection.execute(_INDEXED).fetchall()[0][0])


def ends(connection: FileConnection, partitions: int) -> dict[tuple[int, int], int]:
    """The offset after the last entry of each (topic number, partition), without those that have no entries."""
    places = connection.execute(_INDEXED_ENDS, (partitions,)).fetchall()
    known = {(topic, partition): offset + 1 for topic, partition, offset in places if offset is not None}
    return known | ends_after(connection, indexed(connection))


def ends_after(connection: FileConnection, seq: int) -> dict[tuple[int, int], int]:
    """Like `ends`, but only from the entries after ``seq``. Raises `CorruptLog`."""
    found = connection.execute(_ENDS_AFTER, (seq,)).fetchall()
    if any(None in row for row in found):
        raise CorruptLog("an entry of the log has lost its place")
    return {(topic, partition): offset + 1 for topic, partition, offset in found}
