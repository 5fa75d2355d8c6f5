"""What the embedded log adds to the contract: one file, many callers, several processes, clear errors."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import sqlite3
import stat
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.eventlog.embedded import EmbeddedLog
from adapters.eventlog.embedded_append import INDEX_EVERY
from schemas.errors import BackboneError, CorruptLog, LogUnavailable, SettingsError
from schemas.log import NewRecord, Record

pytestmark = pytest.mark.asyncio

DEADLINE_SECONDS = 60
SHORT = timedelta(seconds=0.2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest_asyncio.fixture
async def log(path: Path) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog(path, 4)
    yield opened
    await opened.close()


def numbered(count: int, topic: str = "t", key: str | None = None) -> list[NewRecord]:
    return [NewRecord(topic, key or f"key-{number}", str(number).encode()) for number in range(count)]


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


async def from_the_start(topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def read_whole(log: EmbeddedLog, topic: str = "t", partitions: int = 4) -> list[Record]:
    found: list[Record] = []
    for partition in range(partitions):
        start = 0
        while batch := await log.read(topic, partition, start, 1000):
            found += batch
            start = batch[-1].offset + 1
    return found


async def follow_whole(log: EmbeddedLog, count: int, *topics: str, limit: int = 500) -> list[Record]:
    found: list[Record] = []
    async with log.follow(topics or ("t",), "reader", from_the_start) as follower, asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            found += await follower.poll(limit, 1)
    return found


def change(path: Path, statement: str) -> None:
    """What another program, or a failing disk, does to the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


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


# --- what cannot be opened ---------------------------------------------------------------------------------------------------


async def test_the_log_remembers_its_number_of_partitions(log: EmbeddedLog, path: Path) -> None:
    with pytest.raises(SettingsError, match="4 partitions, the settings say 24") as raised:
        EmbeddedLog(path, 24)
    assert "4" in raised.value.cure
    assert raised.value.where == str(path)
    await log.append(numbered(1))  # harms nobody who has it open


async def test_a_log_of_a_newer_format_is_refused(path: Path) -> None:
    await EmbeddedLog(path, 4).close()
    change(path, "UPDATE about SET value = 99 WHERE name = 'format'")
    with pytest.raises(SettingsError, match="format 99"):
        EmbeddedLog(path, 4)


def _other_database(path: Path) -> None:
    change(path, "CREATE TABLE people (name TEXT)")


def _text(path: Path) -> None:
    path.write_text("not a database, and longer than the hundred bytes of a SQLite header, so that it is looked at\n" * 20)


def _folder(path: Path) -> None:
    path.mkdir()


def _no_folder(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_other_database, "something else"),
        (_text, "not a log"),
        (_folder, "is a folder"),
        (_no_folder, "folder does not exist"),
    ],
)
async def test_a_path_that_cannot_be_a_log_is_refused_with_the_cure(path: Path, spoil: object, says: str) -> None:
    assert callable(spoil)
    spoil(path)
    with pytest.raises(SettingsError, match=says) as raised:
        EmbeddedLog(path)
    assert raised.value.cure != SettingsError.cure
    assert str(path) in raised.value.where or str(path.parent) in raised.value.where


@contextmanager
def without_rights() -> Iterator[Path]:
    """A folder that this process may not write. Root may write anything, so it steps down for a while."""
    folder = Path(tempfile.mkdtemp(prefix="log-rights-"))
    (folder / "sub").mkdir()
    user = os.geteuid()
    folder.chmod(0o755)
    (folder / "sub").chmod(0o555)
    try:
        if user == 0:
            os.seteuid(65534)
        yield folder / "sub"
    finally:
        if user == 0:
            os.seteuid(0)
        (folder / "sub").chmod(stat.S_IRWXU)
        for child in (folder / "sub").iterdir():
            child.unlink()
        (folder / "sub").rmdir()
        folder.rmdir()


async def test_a_folder_that_cannot_be_written_is_refused_with_the_cure() -> None:
    with without_rights() as folder, pytest.raises(SettingsError, match="cannot be written") as raised:
        EmbeddedLog(folder / "log.db")
    assert "user that runs the backbone" in raised.value.cure


async def test_a_folder_that_cannot_be_looked_into_is_refused_with_the_cure() -> None:
    with without_rights() as folder:
        os.seteuid(os.getuid())
        folder.chmod(0)
        if os.getuid() == 0:
            os.seteuid(65534)
        with pytest.raises(SettingsError, match="cannot be") as raised:
            EmbeddedLog(folder / "log.db")
    assert "user that runs the backbone" in raised.value.cure


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
