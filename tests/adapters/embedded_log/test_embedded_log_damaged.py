"""What is broken in the embedded log is named, never skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.eventlog.embedded.append import INDEX_EVERY
from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.errors import CorruptLog
from schemas.log import NewRecord
from tests.embedded_log import (
    change,
    follow_whole,
    from_the_start,
    numbered,
    overwrite,
)

pytestmark = pytest.mark.asyncio

# --- what is broken is named, never skipped ----------------------------------------------------------------------------------

DAMAGES = [
    "value = CAST('forged' AS BLOB)",
    "value = zeroblob(0)",
    "key = CAST('other' AS BLOB)",
    "appended_us = appended_us + 1",
    "appended_us = 'yesterday'",
    "appended_us = -1",
    "checksum = checksum + 1",
    "partition = (partition + 1) % 4",
    '"offset" = "offset" + 1000000',
]


@pytest.mark.parametrize("others", [0, INDEX_EVERY], ids=["not indexed", "indexed"])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_changed_entry_is_named_and_stops_a_follower(log: EmbeddedLog, path: Path, damage: str, others: int) -> None:
    await log.append(numbered(5, key="k") + numbered(others, "other"))
    await log.append(numbered(5, key="k"))
    change(path, f"UPDATE entries SET {damage} WHERE seq = 3")
    async with log.follow(["t"], "reader", from_the_start) as follower:
        before = await follower.poll(100, 1)
        assert [record.value for record in before] == [b"0", b"1"]  # what stands before it is given
        for _ in range(2):
            with pytest.raises(CorruptLog) as raised:
                await follower.poll(100, 1)
        assert "topic t, partition" in raised.value.where
        assert raised.value.offset is not None


@pytest.mark.parametrize("others", [0, INDEX_EVERY], ids=["not indexed", "indexed"])
@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if not damage.startswith(("partition", '"offset"'))])
async def test_a_changed_entry_is_named_when_it_is_read(log: EmbeddedLog, path: Path, damage: str, others: int) -> None:
    (place, *_) = await log.append(numbered(5, key="k") + numbered(others, "other"))
    change(path, f"UPDATE entries SET {damage} WHERE seq = 3")
    assert [record.value for record in await log.read("t", place.partition, 0, 100)] == [b"0", b"1"]
    with pytest.raises(CorruptLog) as raised:
        await log.read("t", place.partition, 2, 100)
    assert raised.value.where == f"topic t, partition {place.partition}, offset 2"
    assert raised.value.offset == 2
    assert [record.value for record in await log.read("t", place.partition, 3, 100)] == [b"3", b"4"]


async def test_an_entry_that_is_gone_stops_a_follower_and_a_reader_of_the_index(log: EmbeddedLog, path: Path) -> None:
    (place, *_) = await log.append(numbered(5, key="k") + numbered(INDEX_EVERY, "other"))
    change(path, "DELETE FROM entries WHERE seq = 3")
    async with log.follow(["t"], "reader", from_the_start) as follower:
        assert len(await follower.poll(100, 1)) == 2
        with pytest.raises(CorruptLog, match="missing") as raised:
            await follower.poll(100, 1)
    assert raised.value.offset == 2
    with pytest.raises(CorruptLog, match="missing"):
        await log.read("t", place.partition, 2, 100)


async def test_an_index_that_points_to_another_entry_is_noticed(log: EmbeddedLog, path: Path) -> None:
    (place, *_) = await log.append(numbered(5, key="k") + numbered(INDEX_EVERY, "other"))
    change(path, 'UPDATE places SET seq = 5 WHERE seq = 3 AND "offset" = 2')
    with pytest.raises(CorruptLog):
        await log.read("t", place.partition, 2, 1)


async def test_a_broken_entry_does_not_keep_the_log_from_taking_in_more(log: EmbeddedLog, path: Path) -> None:
    (place, *_) = await log.append(numbered(5, key="k"))
    change(path, 'UPDATE entries SET "offset" = 1 WHERE seq = 3')  # so that two entries claim one place
    for _ in range(2):
        await log.append(numbered(INDEX_EVERY, "other"))
    await log.append(numbered(3, key="k"))
    assert len(await log.read("t", place.partition, 0, 2)) == 2
    with pytest.raises(CorruptLog):
        await follow_whole(log, 8)


async def test_broken_pages_are_an_error_that_names_the_place(path: Path) -> None:
    log = EmbeddedLog(path, 1)
    await log.append([NewRecord("t", "k", bytes(3000)) for _ in range(100)])
    await log.close()
    overwrite(path, 20 * 8192, b"\xa5" * (20 * 8192))
    log = EmbeddedLog(path, 1)
    with pytest.raises(CorruptLog) as raised:
        for start in range(100):
            await log.read("t", 0, start, 1)
    assert "topic t, partition 0, offset" in raised.value.where
    with pytest.raises(CorruptLog):
        await follow_whole(log, 100)
    await log.close()
