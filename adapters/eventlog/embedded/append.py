"""Writes the embedded log's file: each call of `FileAppender.append` is one transaction.

Like `adapters.eventlog.embedded.file`, this module names no driver, so that the simulated power cuts of ``tests/faults`` hit
the same statements as in production.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from adapters.eventlog.embedded.file import (
    BEGIN_WRITE,
    COMMIT,
    FileConnection,
    checksum,
    ends,
    ends_after,
    indexed,
    last,
    topics,
    version,
)
from schemas.errors import TooLarge
from schemas.log import RECORD_BYTES, NewRecord, Position

INDEX_EVERY = 4096
"""Entries put into ``places`` at once: some 80 a partition, so that each page is written for 80 entries instead of one.
Searching this many entries that are not indexed yet takes a few milliseconds."""

_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_ADD_TOPIC = "INSERT INTO topics (number, name) VALUES (?, ?)"
_SET_INDEXED = "UPDATE about SET value = ? WHERE name = 'indexed'"
_INDEX = (
    'INSERT OR IGNORE INTO places SELECT topic, partition, "offset", seq FROM entries WHERE seq > ? AND seq <= ?'
    ' ORDER BY topic, partition, "offset"'
)
"""IGNORE: of two entries with the same position one is broken. Its checksum shows that to readers; appending goes on."""
_COLUMNS = 8
_INSERTS = tuple(
    " ".join(("INSERT INTO entries VALUES", ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * 2**power))) for power in range(7)
)
"""For 1, 2, 4, … 64 rows. The driver releases Python's interpreter lock once a statement, and waits to get it back while an
event loop is busy: 64 rows take 20 ms in one statement and 80 ms in 64. 64 rows have 512 parameters, below the limit of 999 in
old versions of SQLite."""


class LogEntry(NamedTuple):
    """A record about to be appended."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    crc: int
    """CRC-32 of the value alone, computed before the entry's offset is known."""


def entries_of(records: Iterable[NewRecord], partitions: int) -> list[LogEntry]:
    """The entries of ``records``. Raises `TooLarge` when one is over `RECORD_BYTES`."""
    entries: list[LogEntry] = []
    for number, (topic, name, value) in enumerate(records):
        key = name.encode()
        if len(value) > RECORD_BYTES:
            raise TooLarge(f"record {number} of the call has {len(value)} bytes; one may have {RECORD_BYTES}", where=topic)
        entries.append(LogEntry(topic, zlib.crc32(key) % partitions, key, value, zlib.crc32(value)))
    return entries


class FileAppender:
    """Appends entries to the file.

    It remembers the ends of the partitions, but only relies on them as long as no other process has appended to the file.
    """

    def __init__(self, connection: FileConnection, partitions: int, index_every: int = INDEX_EVERY) -> None:
        self._connection, self._partitions, self._index_every = connection, partitions, index_every
        self._version = -1
        """``PRAGMA data_version`` for which the attributes below are right; -1: nothing is known yet."""
        self._topics: dict[str, int] = {}
        self._ends: dict[tuple[int, int], int] = {}
        self._last = 0
        self._indexed = 0

    def append(self, entries: Sequence[LogEntry], appended_us: int) -> list[Position]:
        """Append ``entries`` in one transaction and return their positions, in the order given. They are then on the disk.

        When it raises, close the connection, which rolls back: what this object remembers is wrong then, and after a disk error
        only a new connection reads the file correctly. Whether the entries are in the log is then unknown.
        """
        self._connection.execute(BEGIN_WRITE)
        self._learn()
        positions = self._insert(entries, appended_us)
        if self._last - self._indexed >= self._index_every:
            self._index()
        self._connection.execute(COMMIT)
        return positions

    def checkpoint(self) -> None:
        """Copy the pages of the write-ahead file into the database file, so that the next append starts it anew.

        Call it between appends and under the lock that every appending process takes: up to SQLite 3.51.2 a checkpoint during
        another connection's append could, rarely, lose committed pages ("WAL-reset bug", fixed in 3.51.3).
        """
        self._connection.execute(_CHECKPOINT).fetchall()

    def _learn(self) -> None:
        now = version(self._connection)
        if now == self._version:
            return
        if self._version < 0:
            self._ends = ends(self._connection, self._partitions)
        else:
            self._ends |= ends_after(self._connection, self._last)
        self._topics = topics(self._connection)
        self._indexed = indexed(self._connection)
        self._last = last(self._connection)
        self._version = now

    def _insert(self, entries: Sequence[LogEntry], appended_us: int) -> list[Position]:
        positions: list[Position] = []
        values: list[Any] = []
        for topic, partition, key, value, crc in entries:
            number = self._topics.get(topic) or self._add_topic(topic)
            offset = self._ends.get((number, partition), 0)
            self._ends[number, partition] = offset + 1
            self._last += 1
            position = Position(topic, partition, offset)
            check = checksum(position, appended_us, key, crc)
            values += (self._last, number, partition, offset, appended_us, check, key, value)
            positions.append(position)
        self._run(values)
        return positions

    def _run(self, values: list[Any]) -> None:
        done, rows = 0, len(values) // _COLUMNS
        while done < rows:
            power = min(len(_INSERTS), (rows - done).bit_length()) - 1
            until = done + 2**power
            self._connection.execute(_INSERTS[power], values[done * _COLUMNS : until * _COLUMNS])
            done = until

    def _add_topic(self, topic: str) -> int:
        number = len(self._topics) + 1
        self._connection.execute(_ADD_TOPIC, (number, topic))
        self._topics[topic] = number
        return number

    def _index(self) -> None:
        self._connection.execute(_INDEX, (self._indexed, self._last))
        self._connection.execute(_SET_INDEXED, (self._last,))
        self._indexed = self._last
