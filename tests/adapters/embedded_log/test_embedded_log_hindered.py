"""The embedded log when its disk, its file or another process is in the way, and when it is closed."""

from __future__ import annotations

import asyncio
import fcntl
import resource
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.errors import BackboneError, LogUnavailable
from schemas.log import NewRecord
from tests.embedded_log import (
    DEADLINE_SECONDS,
    SHORT,
    follow_whole,
    from_the_start,
    numbered,
    open_descriptors,
    read_whole,
)

pytestmark = pytest.mark.asyncio

# --- when the disk or another process is in the way --------------------------------------------------------------------------


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """No file may grow any more: what a quota does, without a disk to fill."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_told_and_the_log_works_on_once_there_is_room(log: EmbeddedLog, path: Path) -> None:
    await log.append(numbered(10))
    with full_disk(path):
        for _ in range(3):
            with pytest.raises(LogUnavailable) as raised:
                await asyncio.gather(*(log.append([NewRecord("t", "k", bytes(3_000_000))]) for _ in range(3)))
        assert "disk" in str(raised.value)
        assert sorted(int(record.value) for record in await read_whole(log)) == list(range(10))  # reading works on
    await log.append(numbered(10))
    assert len([record for record in await read_whole(log) if len(record.value) < 10]) == 20
    assert [record.offset for record in await read_whole(log, partitions=1)] == list(range((await log.ends("t"))[0]))


@contextmanager
def append_lock(path: Path) -> Iterator[None]:
    """Another process that appends and does not come to an end."""
    with path.with_name("log.db-append.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("name", ["log.db", "log.db-wal"])
async def test_nothing_is_acknowledged_into_a_file_that_was_removed_and_it_goes_on_once_it_is_back(
    log: EmbeddedLog, path: Path, name: str
) -> None:
    await log.append(numbered(3))
    file, elsewhere = path.with_name(name), path.with_name("elsewhere")
    file.rename(elsewhere)
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="moved or removed") as caught:
            await log.append(numbered(1, key="lost"))
        assert "bring the file back" in caught.value.cure
    elsewhere.rename(file)
    await log.append(numbered(1, key="found"))
    assert b"found" in {record.key.encode() for record in await read_whole(log)}


def move_everything(path: Path) -> None:
    for file in path.parent.glob("log.db*"):
        file.rename(file.with_name(f"away-{file.name}"))


def replace_everything(path: Path) -> None:
    move_everything(path)
    path.touch()


@pytest.mark.parametrize("lose", [move_everything, replace_everything])
async def test_the_first_append_of_a_process_is_not_acknowledged_into_a_file_that_was_removed_either(
    path: Path, lose: Callable[[Path], None]
) -> None:
    log = EmbeddedLog(path, 4)
    lose(path)
    with pytest.raises(LogUnavailable, match="moved or removed"):
        await log.append(numbered(1))
    await log.close()


def replace_with_an_empty_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.touch()


async def test_nothing_is_acknowledged_into_a_file_that_was_replaced(log: EmbeddedLog, path: Path) -> None:
    await log.append(numbered(3))
    replace_with_an_empty_file(path)
    with pytest.raises(LogUnavailable, match="moved or removed"):
        await log.append(numbered(1))


async def test_a_process_that_keeps_the_log_to_itself_is_told_in_time(path: Path) -> None:
    log = EmbeddedLog(path, 4, patience=SHORT)
    with append_lock(path):
        with pytest.raises(LogUnavailable, match="another process") as raised:
            await log.append([NewRecord("t", "k", b"refused")])
        assert raised.value.where.endswith("-append.lock")
        with pytest.raises(LogUnavailable, match="another process"):
            EmbeddedLog(path, 4, patience=SHORT)
    await log.append([NewRecord("t", "k", b"taken")])
    assert [record.value for record in await read_whole(log)] == [b"taken"]
    await log.close()


async def test_a_program_that_locks_the_file_itself_is_told_in_time(path: Path) -> None:
    log = EmbeddedLog(path, 4, patience=SHORT)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable) as raised:
            await log.append([NewRecord("t", "k", b"refused")])
        assert "SQLite" not in raised.value.message
    await log.append([NewRecord("t", "k", b"taken")])
    await log.close()


async def test_an_append_that_was_given_up_is_not_written_later(path: Path) -> None:
    log = EmbeddedLog(path, 4)
    with append_lock(path):
        given_up = asyncio.create_task(log.append([NewRecord("t", "k", b"given up")]))
        kept = asyncio.create_task(log.append([NewRecord("t", "k", b"kept")]))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    await kept
    assert [record.value for record in await read_whole(log)] == [b"kept"]
    await log.close()


async def test_closing_writes_what_was_submitted(path: Path) -> None:
    log = EmbeddedLog(path, 4)
    calls = [asyncio.create_task(log.append([record])) for record in numbered(500)]
    await asyncio.sleep(0)
    await log.close()
    assert len([position for call in calls for position in await call]) == 500
    log = EmbeddedLog(path, 4)
    assert len(await read_whole(log)) == 500
    await log.close()


async def test_closing_does_not_wait_for_ever(path: Path) -> None:
    log = EmbeddedLog(path, 4, patience=SHORT)
    with append_lock(path):
        calls = [asyncio.create_task(log.append([record])) for record in numbered(5)]
        await asyncio.sleep(0)
        await log.close()
        assert all(isinstance(outcome, LogUnavailable) for outcome in await asyncio.gather(*calls, return_exceptions=True))


async def test_closing_ends_a_poll_that_waits(path: Path) -> None:
    log = EmbeddedLog(path, 4)
    async with log.follow(["t"], "reader", from_the_start) as follower, asyncio.timeout(DEADLINE_SECONDS):
        waiting = asyncio.create_task(follower.poll(10, 2 * DEADLINE_SECONDS))
        await asyncio.sleep(0)
        await log.close()
        with pytest.raises(LogUnavailable):
            await waiting


async def test_a_group_is_left_to_a_member_of_another_process_that_has_it(log: EmbeddedLog, path: Path) -> None:
    await log.append(numbered(1))
    async with log.follow(["t"], "a group/with: signs", from_the_start) as follower:
        lock = path.with_name("log.db-group-a%20group%2Fwith%3A%20signs.lock")
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert list(await follower.poll(10, 0.1)) == []
            assert list(follower.held()) == []
        assert len(await follower.poll(10, DEADLINE_SECONDS)) == 1


async def test_nothing_is_left_open(path: Path) -> None:
    descriptors = open_descriptors()
    for _ in range(3):
        log = EmbeddedLog(path, 4)
        await log.append(numbered(3))
        await follow_whole(log, 3)
        await log.ends("t")
        await log.close()
        with pytest.raises(BackboneError):
            EmbeddedLog(path, 5)
    assert open_descriptors() == descriptors
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("log-writer")]


async def test_a_log_that_is_closed_is_one_file(path: Path) -> None:
    for _ in range(20):
        log = EmbeddedLog(path, 4)
        await log.append(numbered(10))
        await log.close()
        assert not path.with_name("log.db-wal").exists()
