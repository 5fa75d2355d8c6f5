"""Reads the embedded log. Each entry is checked before it is returned; a broken one is reported, never skipped.

A follower's range is fetched as two rows, one with all numbers and one with all content, instead of one row an entry. The
driver releases Python's interpreter lock at every row, and while an event loop is busy it may take milliseconds to get it back
(measured: some 200 entries/s, row by row, in a process whose event loop is always busy).
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from adapters.eventlog.embedded.driver import explained, open_to_read
from adapters.eventlog.embedded.file import BEGIN_READ, COMMIT, checksum, ends, identity, last, topics, version
from schemas.errors import REBUILD, CorruptLog, LogUnavailable
from schemas.log import Record

READ_BYTES = 4 * 1024 * 1024
"""Most content returned at once, unless one entry alone has more: bounds memory however many entries are requested."""
WINDOW = 16_384
"""Entries searched at once for those of the topics followed: takes some 50 ms if there is none."""

_RANGE = (
    " FROM entries WHERE seq > ? AND seq <= ? AND topic IN"
    " (SELECT number FROM topics WHERE instr(?, char(10) || name || char(10)) > 0) ORDER BY seq LIMIT ?"
)
"""Parameters: the entry after which to begin, the last one, the topics' names each between line feeds, the limit."""
_NUMBERS = "".join(
    (
        "SELECT group_concat(seq), group_concat(topic), group_concat(partition), group_concat(place),"
        " group_concat(appended_us), group_concat(checksum), group_concat(key_bytes), group_concat(value_bytes)"
        ' FROM (SELECT seq, topic, partition, "offset" AS place, appended_us, checksum,'
        " length(key) AS key_bytes, length(value) AS value_bytes",
        _RANGE,
        ")",
    )
)
_CONTENT = "".join(
    ("SELECT CAST(group_concat(key, '') AS BLOB), CAST(group_concat(value, '') AS BLOB) FROM (SELECT key, value", _RANGE, ")")
)
"""Blobs are concatenated byte for byte; if a version of SQLite ever treated them as text, the checksums would not match."""
_ENTRIES = "".join(
    (
        'SELECT seq, topic, partition, "offset", CAST(appended_us AS INTEGER), CAST(checksum AS INTEGER),'
        " CAST(key AS BLOB), CAST(value AS BLOB)",
        _RANGE,
    )
)
_PARTITION = (
    'SELECT seq, topic, partition, "offset", CAST(appended_us AS INTEGER), CAST(checksum AS INTEGER),'
    " CAST(key AS BLOB), CAST(value AS BLOB) FROM (SELECT * FROM ("
    ' SELECT places.seq, places.topic, places.partition, places."offset", appended_us, checksum, key, value'
    " FROM places LEFT JOIN entries ON entries.seq = places.seq"
    ' WHERE places.topic = ?1 AND places.partition = ?2 AND places."offset" >= ?3 ORDER BY places."offset" LIMIT ?4)'
    " UNION ALL SELECT * FROM (SELECT * FROM entries WHERE seq > (SELECT value FROM about WHERE name = 'indexed')"
    ' AND topic = ?1 AND partition = ?2 AND "offset" >= ?3 ORDER BY seq LIMIT ?4)) LIMIT ?4'
)
"""Takes the place from the index, so that the checksum also detects an index that points to a wrong entry."""
_FIRST = 'SELECT min("offset") FROM places WHERE topic = ? AND partition = ?'
_SEQ = 'SELECT seq FROM places WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT 1'
_NOT_INDEXED = (
    'SELECT topic, partition, "offset", seq FROM entries'
    " WHERE seq > (SELECT value FROM about WHERE name = 'indexed') ORDER BY seq DESC"
)

_Row = tuple[int, int, int, int, int, int, bytes, bytes]
"""Number, topic, partition, offset, time, checksum, key, value."""


class RecordRange(NamedTuple):
    """The records of one range that a follower reads."""

    records: Sequence[Record]
    until: int
    """Number of the entry up to which all wanted records have been returned."""
    drained: bool
    """Whether that was the log's last entry."""


class EmbeddedReader:
    """A connection that reads. Used by one thread at a time; every method raises `LogUnavailable`."""

    def __init__(self, path: Path, partitions: int, wait: float) -> None:
        self._path, self._partitions = path, partitions
        self._connection = open_to_read(path, wait)
        self._names: dict[int, str] = {}

    def close(self) -> None:
        self._connection.close()

    def identity(self) -> int:
        with explained(self._path):
            return identity(self._connection)

    def version(self) -> int:
        """A number that changes once anybody has appended."""
        with explained(self._path):
            return version(self._connection)

    def last(self) -> int:
        """Number of the log's last entry. While nobody appends, this does not read the disk."""
        with explained(self._path):
            return last(self._connection)

    def ends(self, topic: str) -> dict[int, int]:
        with self._snapshot():
            number = topics(self._connection).get(topic, 0)
            found = ends(self._connection, self._partitions)
        return {partition: found.get((number, partition), 0) for partition in range(self._partitions)}

    def starts(self, topic: str) -> dict[int, int]:
        with self._snapshot():
            number = topics(self._connection).get(topic, 0)
            firsts = [self._connection.execute(_FIRST, (number, partition)).fetchone() for partition in range(self._partitions)]
        return {partition: first or 0 for partition, (first,) in enumerate(firsts)}

    def partition(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        """At most ``limit`` records and about `READ_BYTES` of one partition. Those before a broken one are returned first."""
        try:
            with explained(self._path):
                number = topics(self._connection).get(topic, 0)
                rows = self._connection.execute(_PARTITION, (number, partition, start, limit))
                return self._one_by_one(rows, limit).records
        except CorruptLog as error:
            if error.offset is not None:
                raise
            raise corrupt(topic, partition, start, error.message) from error

    def behind(self, seq: int, names: Sequence[str], limit: int) -> RecordRange:
        """At most ``limit`` records and about `READ_BYTES` of the topics ``names`` after entry ``seq``, in order of arrival."""
        with explained(self._path):
            end = last(self._connection)
            until = min(end, seq + WINDOW)
            wanted = (seq, until, "".join(f"\n{name}\n" for name in names), limit)
            try:
                found = self._together(wanted)
            except (ValueError, CorruptLog, sqlite3.DatabaseError):  # something is broken: reading row by row finds it
                found = self._one_by_one(self._connection.execute(_ENTRIES, wanted), limit)
        return RecordRange(found.records, found.cut or until, (found.cut or until) == end)

    def before(self, wanted: Mapping[tuple[str, int], int]) -> int:
        """Number of the entry after which to begin reading, so that no wanted offset of a (topic, partition) is missed."""
        with self._snapshot():
            numbers, found = topics(self._connection), ends(self._connection, self._partitions)
            not_indexed = self._connection.execute(_NOT_INDEXED).fetchall()
            firsts = [last(self._connection) + 1]
            for (topic, partition), offset in wanted.items():
                place = (numbers.get(topic, 0), partition)
                end = found.get(place, 0)
                if offset > end:
                    raise _ahead(topic, partition, offset, end)
                if offset < end:
                    firsts.append(self._seq(*place, offset, not_indexed))
        return min(firsts) - 1

    def _seq(self, number: int, partition: int, offset: int, not_indexed: Iterable[tuple[int, int, int, int]]) -> int:
        indexed = self._connection.execute(_SEQ, (number, partition, offset)).fetchone()
        if indexed:
            return int(indexed[0])
        return min(seq for *place, at, seq in not_indexed if place == [number, partition] and at >= offset)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All reads inside see the same state of the log."""
        with explained(self._path):
            self._connection.execute(BEGIN_READ)
            try:
                yield
            finally:
                self._connection.execute(COMMIT)

    def _together(self, wanted: tuple[int, int, str, int]) -> _Found:
        """The records of a range, fetched in two rows. Raises ``ValueError`` when the two do not match."""
        after, _, names, limit = wanted
        numbers = self._connection.execute(_NUMBERS, wanted).fetchall()[0]
        if numbers[0] is None:
            return _Found((), 0)
        seqs, *columns, key_bytes, value_bytes = ([int(number) for number in text.split(",")] for text in numbers)
        count = _fitting(value_bytes)
        keys, values = self._connection.execute(_CONTENT, (after, seqs[count - 1], names, count)).fetchall()[0]
        rows = zip(
            seqs[:count], *(column[:count] for column in columns), _cut(keys, key_bytes), _cut(values, value_bytes), strict=True
        )
        cut = count < len(seqs) or count == limit
        return _Found([self._record(row) for row in rows], seqs[count - 1] if cut else 0)

    def _one_by_one(self, rows: Iterable[_Row], limit: int) -> _Found:
        """The records before the first broken one. Raises `CorruptLog` when the very first is broken."""
        records: list[Record] = []
        seq = size = 0
        try:
            for row in rows:
                records.append(self._record(row))
                seq = row[0]
                size += len(row[7])
                if size >= READ_BYTES or len(records) == limit:
                    return _Found(records, seq)
        except (CorruptLog, sqlite3.DatabaseError):
            if not records:
                raise
            return _Found(records, seq)  # the next call begins at the broken one
        return _Found(records, 0)

    def _record(self, row: _Row) -> Record:
        _, number, partition, offset, appended_us, stored, key, value = row
        topic = self._topic(number)
        if None in row:
            raise corrupt(topic, partition, offset, "the entry is missing or has lost a part")
        try:
            found = checksum((topic, partition, offset), appended_us, key, zlib.crc32(value))
        except struct.error:
            found = -1
        if found != stored:
            raise corrupt(topic, partition, offset, "the entry is not as it was appended: its checksum does not match")
        return Record(topic, partition, offset, key.decode(), value, appended_us / 1e6)

    def _topic(self, number: int) -> str:
        if number not in self._names:
            self._names = {found: name for name, found in topics(self._connection).items()}
        return self._names.get(number, f"number {number}")


class _Found(NamedTuple):
    records: Sequence[Record]
    cut: int
    """Number of the last entry if more may follow in the requested range; 0: these are all."""


def _fitting(sizes: Sequence[int]) -> int:
    """How many of ``sizes`` fit into `READ_BYTES`, at least one."""
    return max(1, bisect_right(list(accumulate(sizes)), READ_BYTES))


def _cut(content: bytes, sizes: Sequence[int]) -> list[bytes]:
    """``content`` split by the first of ``sizes``. Raises ``ValueError`` when it does not end where a piece does."""
    pieces = [content[start:end] for start, end in pairwise(accumulate(sizes, initial=0)) if end <= len(content)]
    if sum(map(len, pieces)) != len(content):
        raise ValueError("the content is not as long as its parts")
    return pieces


def corrupt(topic: str, partition: int, offset: int, message: str) -> CorruptLog:
    return CorruptLog(message, where=f"topic {topic}, partition {partition}, offset {offset}", offset=offset)


def _ahead(topic: str, partition: int, offset: int, end: int) -> LogUnavailable:
    return LogUnavailable(
        f"the log ends at {end} but was read up to {offset}: it is not the log that was read before, or an older copy of it",
        where=f"topic {topic}, partition {partition}",
        cure=f"Check BACKBONE_LOG; after restoring an older copy, run {REBUILD}.",
    )
