"""What the embedded log adds to the contract: one file with a name, many callers, one order, an index."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from adapters.eventlog.embedded.append import INDEX_EVERY
from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.log import NewRecord, Record
from tests.embedded_log import (
    DEADLINE_SECONDS,
    follow_whole,
    from_the_start,
    numbered,
    read_whole,
)

pytestmark = pytest.mark.asyncio


async def test_a_log_has_a_name_of_its_own_that_a_later_one_in_its_place_has_not(path: Path, log: EmbeddedLog) -> None:
    beside = EmbeddedLog(path, 4)
    assert beside.identity == log.identity != ""
    await beside.close()
    await log.close()
    for file in path.parent.glob("log.db*"):
        file.unlink()
    later = EmbeddedLog(path, 4)
    assert later.identity != log.identity
    await later.close()


async def test_a_log_of_an_earlier_version_is_given_a_name_once(path: Path, log: EmbeddedLog) -> None:
    await log.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("DELETE FROM about WHERE name = 'identity'")
    names = []
    for _ in range(2):
        opened = EmbeddedLog(path, 4)
        names.append(opened.identity)
        await opened.close()
    assert names[0] == names[1] != log.identity


# --- many callers ------------------------------------------------------------------------------------------------------------


async def test_concurrent_callers_share_transactions(log: EmbeddedLog) -> None:
    calls = [NewRecord("t", f"key-{number}", b"x") for number in range(300)]
    await asyncio.gather(*(log.append([call]) for call in calls))
    moments = {record.appended_at for record in await read_whole(log)}  # one for each transaction
    assert len(moments) < 100


async def test_calls_made_without_waiting_keep_their_order(log: EmbeddedLog) -> None:
    await asyncio.gather(*(log.append([NewRecord("t", "k", str(number).encode())]) for number in range(500)))
    assert [int(record.value) for record in await read_whole(log)] == list(range(500))


async def test_a_follower_is_given_topics_and_partitions_in_the_order_they_were_appended(log: EmbeddedLog) -> None:
    given = [NewRecord(f"topic-{number % 3}", f"key-{number}", str(number).encode()) for number in range(300)]
    for start in range(0, 300, 10):
        await log.append(given[start : start + 10])
    followed = await follow_whole(log, 300, "topic-0", "topic-1", "topic-2", limit=7)
    assert [record.value for record in followed] == [record.value for record in given]


async def test_an_append_of_more_than_a_group_holds_is_taken_whole(log: EmbeddedLog) -> None:
    value = bytes(3 * 1024 * 1024)
    big, small = [NewRecord("t", f"key-{number}", value) for number in range(6)], numbered(50, "u")
    await asyncio.gather(log.append(big), *(log.append([record]) for record in small), log.append(big))
    followed = await follow_whole(log, 12)
    assert len({record.appended_at for record in followed}) == 2  # each call in one transaction
    assert all(record.value == value for record in followed)


async def test_a_poll_gives_large_records_a_few_at_a_time(log: EmbeddedLog) -> None:
    await log.append([NewRecord("t", f"key-{number}", bytes(1024 * 1024)) for number in range(20)])
    async with log.follow(["t"], "reader", from_the_start) as follower:
        sizes = [len(await follower.poll(1000, 1)) for _ in range(5)]
    assert sizes == [4] * 5


async def test_a_follower_on_another_thread_is_woken_by_an_append(log: EmbeddedLog) -> None:
    ready, found = threading.Event(), list[Record]()

    async def follow() -> None:
        async with log.follow(["t"], "reader", from_the_start) as follower, asyncio.timeout(DEADLINE_SECONDS):
            assert list(await follower.poll(10, 0)) == []
            ready.set()
            found.extend(await follower.poll(10, 2 * DEADLINE_SECONDS))

    thread = threading.Thread(target=asyncio.run, args=[follow()])
    thread.start()
    assert await asyncio.to_thread(ready.wait, DEADLINE_SECONDS)
    await log.append(numbered(1))
    await asyncio.to_thread(thread.join, DEADLINE_SECONDS)
    assert [record.value for record in found] == [b"0"]


async def test_event_loops_of_several_threads_append_and_read_at_once(log: EmbeddedLog) -> None:
    async def append(name: int) -> None:
        for number in range(50):
            await log.append([NewRecord("t", f"key-{name}", str(number).encode())])
            await log.ends("t")

    threads = [threading.Thread(target=asyncio.run, args=[append(name)]) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, DEADLINE_SECONDS)
    values: dict[str, list[int]] = {}
    for record in await read_whole(log):
        values.setdefault(record.key, []).append(int(record.value))
    assert values == {f"key-{name}": list(range(50)) for name in range(4)}


# --- the index: some entries are in it, some not yet -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [INDEX_EVERY - 1, INDEX_EVERY, INDEX_EVERY + 1, 3 * INDEX_EVERY + 100])
async def test_entries_are_found_whether_they_are_indexed_or_not(log: EmbeddedLog, path: Path, count: int) -> None:
    for start in range(0, count, 700):
        await log.append(numbered(count)[start : start + 700])
    assert sorted(int(record.value) for record in await read_whole(log)) == list(range(count))
    assert sum((await log.ends("t")).values()) == count
    assert [int(record.value) for record in await follow_whole(log, count)] == list(range(count))
    other = EmbeddedLog(path, 4)  # knows the ends from the file alone
    positions = await other.append(numbered(20))
    for position in positions:
        assert await log.read(*position, 1) == await other.read(*position, 1) != []
    assert sum((await other.ends("t")).values()) == count + 20
    await other.close()


@pytest.mark.parametrize("at", [0, 1, 100, 700, 1500])
async def test_a_follower_begins_at_any_position_of_one_partition(log: EmbeddedLog, at: int) -> None:
    for _ in range(3):
        await log.append(numbered(INDEX_EVERY))
    ends = await log.ends("t")

    async def claim(topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        return {**ends, 2: at}

    async with log.follow(["t"], "reader", claim) as follower:
        batch = await follower.poll(100, 1)
        assert [(record.partition, record.offset) for record in batch] == [(2, at + number) for number in range(len(batch))]


async def test_a_topic_that_is_new_is_followed_from_its_first_record(log: EmbeddedLog) -> None:
    await log.append(numbered(5, "old"))
    async with log.follow(["new"], "reader", from_the_start) as follower:
        assert list(await follower.poll(10, 0)) == []
        await log.append(numbered(5, "old") + numbered(3, "new"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert [record.value for record in await follower.poll(10, DEADLINE_SECONDS)] == [b"0", b"1", b"2"]


async def test_a_rare_topic_is_found_behind_many_records_of_others(log: EmbeddedLog) -> None:
    for _ in range(10):
        await log.append(numbered(4000, "common"))
    await log.append(numbered(1, "rare"))
    assert [record.topic for record in await follow_whole(log, 1, "rare")] == ["rare"]
