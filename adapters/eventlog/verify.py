"""Reads a whole topic to check that it is what was appended: counts, gaps, broken and undecodable records.

It uses only the port, so it works for every log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from schemas import event
from schemas.arrival import quarantine, receipt
from schemas.errors import CorruptLog
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, EventLog, Record

LISTED = 1000
"""Most findings listed; any more are only counted, so that a log broken from end to end does not fill the memory."""
_READ_RECORDS = 1000

_DECODERS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {EVENTS: event.decode, RECEIPTS: receipt.decode, QUARANTINE: quarantine.decode}
)


class FindingKind(StrEnum):
    """What may be wrong with an offset."""

    GAP = "gap"
    """There is no record, although there are records before and after."""
    BROKEN = "broken"
    """The record differs from what was appended, or cannot be read."""
    UNDECODABLE = "undecodable"
    """The record is as it was appended, but is not of the kind its topic holds."""


class LogFinding(NamedTuple):
    """Something wrong, and where."""

    kind: FindingKind
    partition: int
    offset: int
    offsets: int
    """How many consecutive offsets this concerns: more than 1 only for a gap."""
    reason: str
    """Names fields, never their contents."""


class PartitionCount(NamedTuple):
    """What one partition holds."""

    start: int
    end: int
    records: int
    """Records read and found as they were appended."""


class Verification:
    """What a topic holds and what is wrong with it."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.partitions: dict[int, PartitionCount] = {}
        self.findings: list[LogFinding] = []
        """The first `LISTED`, by partition and offset."""
        self.counts: dict[FindingKind, int] = dict.fromkeys(FindingKind, 0)
        """Number of offsets of each kind, listed or not."""

    @property
    def records(self) -> int:
        return sum(one.records for one in self.partitions.values())

    @property
    def sound(self) -> bool:
        return not any(self.counts.values())

    def add(self, finding: LogFinding) -> None:
        self.counts[finding.kind] += finding.offsets
        if len(self.findings) < LISTED:
            self.findings.append(finding)


async def verify(log: EventLog, topic: str, progress: Callable[[int], None] = lambda records: None) -> Verification:
    """Read ``topic`` from its start to where it ended when this began.

    ``progress`` is called with the number of records read since its last call. Raises `LogUnavailable` when the log
    cannot be read at all; a broken record is a finding.
    """
    found = Verification(topic)
    starts = await log.starts(topic)
    for partition, end in sorted((await log.ends(topic)).items()):
        start = starts.get(partition, 0)
        records = await _Walk(log, found, partition, progress).through(start, end)
        found.partitions[partition] = PartitionCount(start, end, records)
    return found


class _Walk:
    """Reads the records of one partition, one after the other."""

    def __init__(self, log: EventLog, found: Verification, partition: int, progress: Callable[[int], None]) -> None:
        self._log, self._found, self._partition, self._progress = log, found, partition, progress
        self._decode = _DECODERS.get(found.topic)

    async def through(self, start: int, end: int) -> int:
        """The number of sound records from ``start`` to ``end``."""
        records, at = 0, start
        while at < end:
            try:
                batch = await self._log.read(self._found.topic, self._partition, at, min(_READ_RECORDS, end - at))
            except CorruptLog as error:
                at = self._pass_over(at, error)
                continue
            for record in batch:
                self._look_at(record, at)
                at = record.offset + 1
            records += len(batch)
            self._progress(len(batch))
            if not batch:
                self._gap(at, end)
                at = end
        return records

    def _pass_over(self, at: int, error: CorruptLog) -> int:
        """Note the broken record. Returns the offset to go on from."""
        offset = max(at, error.offset or 0)
        self._gap(at, offset)
        self._found.add(LogFinding(FindingKind.BROKEN, self._partition, offset, 1, error.message))
        return offset + 1

    def _look_at(self, record: Record, expected: int) -> None:
        self._gap(expected, record.offset)
        if self._decode is None:
            return
        try:
            self._decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._found.add(LogFinding(FindingKind.UNDECODABLE, self._partition, record.offset, 1, _reason(error)))

    def _gap(self, start: int, end: int) -> None:
        if end > start:
            self._found.add(LogFinding(FindingKind.GAP, self._partition, start, end - start, "no record stands here"))


def _reason(error: Exception) -> str:
    """Where decoding failed. The message itself may quote content."""
    _, at, place = str(error).rpartition(" - at ")
    return f"{type(error).__name__}{at}{place}" if at else type(error).__name__
