"""Writing the embedded log's file: one call of `Appender.append` is one transaction.

Nothing here names a driver either (see `adapters.eventlog.embedded_file`): the power cuts of ``tests/faults`` fall into
these very statements.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from adapters.eventlog.embedded_file import (
    BEGIN_WRITE,
    COMMIT,
    Connection,
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
"""Entries put into ``places`` at once: some 80 a partition, so a page is written for 80 entries and not for one. Looking
through as many that are not in it yet takes a few milliseconds."""

_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_ADD_TOPIC = "INSERT INTO topics (number, name) VALUES (?, ?)"
_SET_INDEXED = "UPDATE about SET value = ? WHERE name = 'indexed'"
_INDEX = (
    'INSERT OR IGNORE INTO places SELECT topic, partition, "offset", seq FROM entries WHERE seq > ? AND seq <= ?'
    ' ORDER BY topic, partition, "offset"'
)
"""IGNORE: of two entries of one place one is broken, which its checksum tells who reads it; the log takes in more meanwhile."""
_COLUMNS = 8
_INSERTS = tuple(
    " ".join(("INSERT INTO entries VALUES", ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * 2**power))) for power in range(7)
)
"""For 1, 2, 4, … 64 rows. One statement for many rows lets go of Python's interpreter lock once, where one for each row
waits for it again at every row while a busy event loop holds it: 20 ms against 80 ms for 64 rows. 64 rows are 512
parameters, below the 999 of old SQLite."""


class Entry(NamedTuple):
    """A record about to be appended."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    crc: int
    """Of the value alone: counted before the entry's offset is known."""


def entries_of(records: Iterable[NewRecord], partitions: int) -> list[Entry]:
    """``records`` ready to be appended. Raises `TooLarge` when one is over `RECORD_BYTES`."""
    entries: list[Entry] = []
    for number, (topic, name, value) in enumerate(records):
        key = name.encode()
        if len(value) > RECORD_BYTES:
            raise TooLarge(f"record {number} of the call has {len(value)} bytes; one may have {RECORD_BYTES}", where=topic)
        entries.append(Entry(topic, zlib.crc32(key) % partitions, key, value, zlib.crc32(value)))
    return entries


class Appender:
    """Puts entries behind the last ones of the file.

    It remembers where the partitions end and trusts that only while nobody else has written: other processes append to
    the same file.
    """

    def __init__(self, connection: Connection, partitions: int, index_every: int = INDEX_EVERY) -> None:
        self._connection, self._partitions, self._index_every = connection, partitions, index_every
        self._version = -1
        """``PRAGMA data_version`` when what follows was right; -1: nothing is known."""
        self._topics: dict[str, int] = {}
        self._ends: dict[tuple[int, int], int] = {}
        self._last = 0
        self._indexed = 0

    def append(self, entries: Sequence[Entry], appended_us: int) -> list[Position]:
        """Append ``entries`` in one transaction: on return they are on the disk. Their positions, in the order given.

        When it raises, close the connection, which undoes what was begun: what is remembered here is wrong then, and after
        an error of the disk only a new connection reads the file as it is. Whether the entries are in the log is unknown.
        """
        self._connection.execute(BEGIN_WRITE)
        self._learn()
        positions = self._insert(entries, appended_us)
        if self._last - self._indexed >= self._index_every:
            self._index()
        self._connection.execute(COMMIT)
        return positions

    def checkpoint(self) -> None:
        """Copy the write-ahead file's pages to their places and let the next append begin it anew.

        Call it between appends and under the lock that every appending process holds: up to SQLite 3.51.2 a checkpoint
        beside another connection's append could, rarely, lose committed pages ("WAL-reset bug", mended in 3.51.3).
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

    def _insert(self, entries: Sequence[Entry], appended_us: int) -> list[Position]:
        positions: list[Position] = []
        values: list[Any] = []
        for topic, partition, key, value, crc in entries:
            number = self._topics.get(topic) or self._add_topic(topic)
            offset = self._ends.get((number, partition), 0)
            self._ends[number, partition] = offset + 1
            self._last += 1
            place = Position(topic, partition, offset)
            check = checksum(place, appended_us, key, crc)
            values += (self._last, number, partition, offset, appended_us, check, key, value)
            positions.append(place)
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
