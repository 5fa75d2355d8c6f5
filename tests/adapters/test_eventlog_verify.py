"""A whole topic read to see whether it is what was appended."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.eventlog.embedded.append import INDEX_EVERY
from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.eventlog.verify import LISTED, FindingKind, PartitionCount, verify
from schemas.arrival.receipt import Receipt, encode
from schemas.errors import LogUnavailable
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, NewRecord

pytestmark = pytest.mark.asyncio

RECEIPT = encode(
    Receipt(id="r", source="northfield-pas", door="mllp", received_at="2026-01-01T00:00:00.000Z", sha256="0" * 64, size_bytes=1)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest_asyncio.fixture
async def log(path: Path) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog(path, 2)
    yield opened
    await opened.close()


async def append(log: EmbeddedLog, count: int, topic: str = "t", value: bytes = b"v", key: str = "k") -> int:
    """The partition they went to."""
    (position, *_) = await log.append([NewRecord(topic, key, value)] * count)
    return position.partition


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def test_an_empty_topic_is_sound(log: EmbeddedLog) -> None:
    report = await verify(log, EVENTS)
    assert report.sound
    assert report.partitions == {0: PartitionCount(0, 0, 0), 1: PartitionCount(0, 0, 0)}


async def test_a_sound_topic_is_counted_by_partition_with_progress(log: EmbeddedLog) -> None:
    partition = await append(log, 2500)
    steps: list[int] = []
    report = await verify(log, "t", steps.append)
    assert report.sound
    assert report.findings == []
    assert report.partitions[partition] == PartitionCount(0, 2500, 2500)
    assert report.records == sum(steps) == 2500
    assert len(steps) > 1


async def test_a_broken_record_is_named_and_those_around_it_are_read(log: EmbeddedLog, path: Path) -> None:
    partition = await append(log, 10)
    change(path, "UPDATE entries SET value = 'w' WHERE seq IN (1, 4, 5, 10)")
    report = await verify(log, "t")
    assert not report.sound
    assert [(finding.kind, finding.partition, finding.offset) for finding in report.findings] == [
        (FindingKind.BROKEN, partition, offset) for offset in (0, 3, 4, 9)
    ]
    assert "checksum" in report.findings[0].reason
    assert report.partitions[partition] == PartitionCount(0, 10, 6)
    assert report.counts[FindingKind.BROKEN] == 4


async def test_missing_records_are_a_gap(log: EmbeddedLog, path: Path) -> None:
    partition = await append(log, 10)
    change(path, "DELETE FROM entries WHERE seq IN (3, 4, 8)")
    report = await verify(log, "t")
    assert [(finding.kind, finding.partition, finding.offset, finding.offsets) for finding in report.findings] == [
        (FindingKind.GAP, partition, 2, 2),
        (FindingKind.GAP, partition, 7, 1),
    ]
    assert report.counts == {FindingKind.GAP: 3, FindingKind.BROKEN: 0, FindingKind.UNDECODABLE: 0}
    assert report.records == 7


async def test_an_indexed_record_that_is_missing_is_broken(log: EmbeddedLog, path: Path) -> None:
    partition = await append(log, INDEX_EVERY)
    change(path, "DELETE FROM entries WHERE seq = 3")
    report = await verify(log, "t")
    assert [(finding.kind, finding.partition, finding.offset) for finding in report.findings] == [
        (FindingKind.BROKEN, partition, 2)
    ]
    assert report.records == INDEX_EVERY - 1


async def test_a_broken_file_is_told_offset_by_offset_and_listed_up_to_a_limit(path: Path) -> None:
    log = EmbeddedLog(path, 1)
    await append(log, 3000, value=bytes(100))
    await log.close()
    change(path, "UPDATE entries SET checksum = 0")
    log = EmbeddedLog(path, 1)
    report = await verify(log, "t")
    await log.close()
    assert report.counts[FindingKind.BROKEN] == 3000
    assert len(report.findings) == LISTED
    assert report.records == 0


@pytest.mark.parametrize("topic", [EVENTS, RECEIPTS, QUARANTINE])
@pytest.mark.parametrize("value", [b"", b"not JSON: Ada Bell", b'{"id": "r"}', b"\xff\xfe", b"[1]", b'{"id": "\xff"}'])
async def test_a_record_that_its_topic_cannot_hold_is_undecodable(log: EmbeddedLog, topic: str, value: bytes) -> None:
    partition = await append(log, 1, topic, value)
    report = await verify(log, topic)
    (finding,) = report.findings
    assert (finding.kind, finding.partition, finding.offset) == (FindingKind.UNDECODABLE, partition, 0)
    assert report.records == 1  # it is as it was appended


async def test_a_reason_names_the_field_and_never_its_content(log: EmbeddedLog) -> None:
    await append(log, 1, RECEIPTS, RECEIPT.replace(b'"size_bytes":1', b'"size_bytes":"Ada Bell"'))
    await append(log, 1, EVENTS, b'{"dataclassification": "Ada Bell"}')
    for topic in (RECEIPTS, EVENTS):
        (finding,) = (await verify(log, topic)).findings
        assert "$.size_bytes" in finding.reason or "ValidationError" in finding.reason
        assert "Ada" not in finding.reason


async def test_a_record_that_its_topic_holds_is_sound(log: EmbeddedLog) -> None:
    await append(log, 5, RECEIPTS, RECEIPT)
    assert (await verify(log, RECEIPTS)).sound


async def test_a_log_that_cannot_be_read_is_no_finding(log: EmbeddedLog) -> None:
    await log.close()
    with pytest.raises(LogUnavailable):
        await verify(log, "t")
