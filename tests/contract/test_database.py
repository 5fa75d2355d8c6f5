"""The contract of every store (`consumers.database.database.Database`)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from consumers.database.bulk import LOT_BYTES
from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.database.insertion import Insertion, keep, replace
from consumers.database.revision import Revision
from consumers.database.statement import Among, SqlStatement, given, given_rows, listed
from schemas.errors import SettingsError, StoreUnavailable

pytestmark = pytest.mark.asyncio

METADATA = MetaData()
THING = Table("thing", METADATA, Column("key", Text, primary_key=True), Column("number", BigInteger, nullable=False))
NUMBER = SqlStatement(select(THING.c.number).where(THING.c.key == "a"))


async def fill(database: Database, **numbers: int) -> None:
    async with database.writing() as connection:
        await connection.run_sync(METADATA.create_all)
        for key, number in numbers.items():
            await connection.execute(THING.insert().values(key=key, number=number))


async def number(database: Database) -> int | None:
    composed = NUMBER.on(database.dialect)
    rows = await database.fetch(composed.text, composed.bind({}))
    return rows[0][0] if rows else None


async def test_what_was_written_is_read_by_every_way(empty_store: Database) -> None:
    await fill(empty_store, a=1)
    async with empty_store.reading() as connection:
        assert (await connection.execute(select(THING.c.number))).scalar_one() == 1
        assert (await NUMBER.rows(connection))[0][0] == 1
    assert await number(empty_store) == 1


async def test_a_transaction_that_raises_leaves_nothing(empty_store: Database) -> None:
    await fill(empty_store, a=1)
    with pytest.raises(KeyError):
        async with empty_store.writing() as connection:
            await connection.execute(update(THING).values(number=2))
            raise KeyError
    assert await number(empty_store) == 1


async def test_a_reader_sees_nothing_of_a_transaction_under_way(empty_store: Database) -> None:
    await fill(empty_store, a=1)
    async with empty_store.writing() as connection:
        await connection.execute(update(THING).values(number=2))
        assert await number(empty_store) == 1
        async with empty_store.reading() as other:
            assert (await other.execute(select(THING.c.number))).scalar_one() == 1
    assert await number(empty_store) == 2


async def test_a_reader_cannot_write_on_a_file(file_store: Database) -> None:
    with pytest.raises(StoreUnavailable):
        async with file_store.reading() as connection:
            await connection.exec_driver_sql("CREATE TABLE no (a)")


async def test_writers_that_read_first_lose_no_update(empty_store: Database) -> None:
    await fill(empty_store, a=0)

    async def count() -> None:
        for _ in range(20):
            async with empty_store.writing() as connection:
                found = (await connection.execute(select(THING.c.number).with_for_update())).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(update(THING).values(number=found + 1))

    await asyncio.gather(*(count() for _ in range(8)))
    assert await number(empty_store) == 160


async def test_two_connections_to_one_store_lose_no_update(empty_store: Database, store_url: str) -> None:
    await fill(empty_store, a=0)
    other = Database.connect(store_url)

    async def count(database: Database) -> None:
        for _ in range(50):
            async with database.writing() as connection:
                found = (await connection.execute(select(THING.c.number).with_for_update())).scalar_one()
                await connection.execute(update(THING).values(number=found + 1))
            await asyncio.sleep(0)

    await asyncio.gather(count(empty_store), count(other))
    await other.close()
    assert await number(empty_store) == 100


async def test_a_writer_that_is_cancelled_leaves_nothing_and_stops_nobody(empty_store: Database) -> None:
    await fill(empty_store, a=1)
    begun = asyncio.Event()

    async def write() -> None:
        async with empty_store.writing() as connection:
            await connection.execute(update(THING).values(number=2))
            begun.set()
            await asyncio.Event().wait()

    for _ in range(12):  # more often than the pool has connections
        task = asyncio.create_task(write())
        await begun.wait()
        begun.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await number(empty_store) == 1
    async with empty_store.writing() as connection:
        await connection.execute(update(THING).values(number=3))
    assert await number(empty_store) == 3


async def test_more_readers_than_connections_all_get_their_turn(empty_store: Database) -> None:
    await fill(empty_store, a=1)

    async def read() -> int:
        async with empty_store.reading() as connection:
            await asyncio.sleep(0)
            found: int = (await connection.execute(select(THING.c.number))).scalar_one()
            return found

    assert await asyncio.gather(*(read() for _ in range(40))) == [1] * 40
    assert await asyncio.gather(*(number(empty_store) for _ in range(40))) == [1] * 40


async def test_what_was_given_is_at_fault_not_the_store(empty_store: Database) -> None:
    await fill(empty_store, a=1)
    with pytest.raises(IntegrityError) as raised:
        async with empty_store.writing() as connection:
            await connection.execute(THING.insert().values(key="a", number=123456))
    assert "123456" not in str(raised.value)


async def test_a_missing_table_is_the_store_s_trouble(empty_store: Database) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        async with empty_store.writing() as connection:
            await connection.execute(select(func.count()).select_from(THING))
    assert "SELECT" not in str(raised.value)


async def test_a_list_is_one_parameter_however_long(empty_store: Database) -> None:
    await fill(empty_store, **{f"k{place}": place for place in range(50)})
    among = SqlStatement(select(func.count()).select_from(THING).where(Among(THING.c.key, "keys")))
    numbers = SqlStatement(select(func.count()).select_from(THING).where(Among(THING.c.number, "numbers", "BIGINT")))
    async with empty_store.reading() as connection:
        for size in (0, 1, 30):
            wanted = listed([f"k{place}" for place in range(size)], connection.dialect)
            assert (await among.rows(connection, {"keys": wanted}))[0][0] == size
            assert (await numbers.rows(connection, {"numbers": listed(range(size), connection.dialect)}))[0][0] == size


async def test_rows_can_be_given_and_joined(empty_store: Database) -> None:
    await fill(empty_store, a=1, b=2, c=3)
    names = ("key", "number")

    def compose(sqlite: bool) -> object:
        asked = given(sqlite, key=Text(), number=BigInteger())
        return select(THING.c.key).select_from(
            asked.join(THING, (THING.c.key == asked.c.key) & (THING.c.number == asked.c.number))
        )

    joined = SqlStatement(compose)  # type: ignore[arg-type] # a Select is a ClauseElement; the test does not import the name
    async with empty_store.reading() as connection:
        for rows, found in (([], []), ([("a", 1), ("b", 1), ('"', 3), ("c", 3)], ["a", "c"])):
            values = given_rows(rows, names, connection.dialect)
            assert sorted(key for (key,) in await joined.rows(connection, values)) == found


PAIR = Table("pair", METADATA, Column("key", Text, primary_key=True), Column("order", Text), Column("number", BigInteger))


async def pairs(database: Database) -> list[tuple[object, ...]]:
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.execute(select(PAIR).order_by(PAIR.c.key))]


async def test_rows_are_put_in_as_they_are(empty_store: Database) -> None:
    await fill(empty_store)
    rows = [("a", None, 2**62), ('"\\', "[{}]\n\u2028é🙂", -1), ("c", "", None)]
    async with empty_store.writing() as connection:
        await Insertion(PAIR).put(connection, rows)
        await Insertion(PAIR).put(connection, [])
    assert await pairs(empty_store) == sorted(rows, key=lambda row: str(row[0]))


async def test_a_row_whose_key_is_there_is_refused_kept_or_replaced(empty_store: Database) -> None:
    await fill(empty_store)
    async with empty_store.writing() as connection:
        await Insertion(PAIR).put(connection, [("a", "old", 1)])
        await Insertion(PAIR, keep).put(connection, [("a", "new", 2), ("b", "new", 2), ("b", "newer", 3)])
    assert await pairs(empty_store) == [("a", "old", 1), ("b", "new", 2)]
    async with empty_store.writing() as connection:
        await Insertion(PAIR, replace).put(connection, [("a", "new", None)])
    assert await pairs(empty_store) == [("a", "new", None), ("b", "new", 2)]
    with pytest.raises((IntegrityError, sqlite3.IntegrityError)):
        async with empty_store.writing() as connection:
            await Insertion(PAIR).put(connection, [("c", "new", 3), ("b", "newest", 4)])
    assert await pairs(empty_store) == [("a", "new", None), ("b", "new", 2)]


async def test_rows_of_more_than_one_statement_can_hold_all_go_in(empty_store: Database) -> None:
    await fill(empty_store)
    long = "x" * (LOT_BYTES // 2 + 1)
    async with empty_store.writing() as connection:
        await Insertion(PAIR).put(connection, [(key, long, 1) for key in "abc"])
    assert [(key, len(str(order))) for key, order, _ in await pairs(empty_store)] == [(key, len(long)) for key in "abc"]


async def test_rows_that_are_found_get_new_values_and_are_counted(empty_store: Database) -> None:
    await fill(empty_store)
    renumbering = Revision(PAIR, ["number", "order"], ["key", "order"])
    async with empty_store.writing() as connection:
        await Insertion(PAIR).put(connection, [("a", "first", 1), ('"\\', "first", 1), ("c", "second", 1)])
        changes = [(2, None, "a", "first"), (3, "é", '"\\', "first"), (4, "no", "c", "first"), (5, "no", "d", "first")]
        assert await renumbering.make(connection, changes) == 2
        assert await renumbering.make(connection, []) == 0
    assert await pairs(empty_store) == [('"\\', "é", 3), ("a", None, 2), ("c", "second", 1)]


@pytest.mark.engine
async def test_a_connection_that_breaks_within_a_transaction_is_replaced(postgres_url: str) -> None:
    database = Database.connect(postgres_url, ConnectionSettings(pool=1))
    process, end = (
        SqlStatement(select(func.pg_backend_pid())),
        SqlStatement(select(func.pg_terminate_backend(bindparam("process")))),
    )
    other = Database.connect(postgres_url)
    with pytest.raises(StoreUnavailable):
        async with database.writing() as connection:
            [[broken]] = await process.tuples(connection, {})
            async with other.writing() as another:
                await end.tuples(another, {"process": broken})
            await process.tuples(connection, {})
    async with database.writing() as connection:
        assert await process.tuples(connection, {}) != [(broken,)]
    await other.close()
    await database.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://host/db"]
)
async def test_a_url_that_names_no_store_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError):
        Database.connect(url)


async def test_a_store_that_cannot_be_reached_does_not_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}", "postgresql://user:secret-word@127.0.0.1:1/db"):
        database = Database.connect(url, ConnectionSettings())
        with pytest.raises(StoreUnavailable) as raised:
            async with database.writing():
                pass
        with pytest.raises(StoreUnavailable):
            await database.fetch("SELECT 1", ())
        assert "secret-word" not in str(raised.value)
        await database.close()
    assert "secret-word" not in caplog.text


async def test_a_file_that_is_no_database_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database" * 1000)
    database = Database.connect(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(StoreUnavailable):
        async with database.writing():
            pass
    await database.close()


@pytest.mark.engine
async def test_postgresql_ends_what_takes_too_long_and_is_used_again(postgres_url: str) -> None:
    database = Database.connect(postgres_url, ConnectionSettings(statement_timeout=timedelta(milliseconds=50)))
    with pytest.raises(StoreUnavailable):
        await database.fetch("SELECT pg_sleep(5)", ())
    assert (await database.fetch("SELECT 1", ()))[0][0] == 1
    await database.close()


@pytest.mark.engine
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("count", [1, 2, 500])
async def test_a_process_that_is_frozen_in_a_transaction_keeps_no_lock(
    empty_store: Database, store_url: str, count: int
) -> None:
    await fill(empty_store, **{f"k{place}": place for place in range(500)})
    frozen = Database.connect(store_url, ConnectionSettings(idle_timeout=timedelta(milliseconds=200)))
    with pytest.raises(StoreUnavailable):
        async with frozen.writing() as connection:
            changes = [{"its_key": f"k{place}"} for place in range(count)]
            await connection.execute(update(THING).where(THING.c.key == bindparam("its_key")).values(number=-1), changes)
            async with empty_store.writing() as other:  # waits for the lock, and gets it
                await other.execute(update(THING).values(number=7))
            await connection.execute(update(THING).values(number=8))
    async with empty_store.reading() as connection:
        assert {row.number for row in await connection.execute(select(THING.c.number))} == {7}
    await frozen.close()


@pytest.mark.engine
async def test_a_read_does_not_notice_that_its_connection_broke(postgres_url: str) -> None:
    database = Database.connect(postgres_url, ConnectionSettings(pool=1))
    [[process]] = await database.fetch("SELECT pg_backend_pid()", ())
    other = Database.connect(postgres_url)
    await other.fetch(f"SELECT pg_terminate_backend({process})", ())
    await other.close()
    [[now]] = await database.fetch("SELECT pg_backend_pid()", ())
    assert now != process
    await database.close()


@pytest.mark.engine
async def test_no_statement_is_prepared_where_a_pooler_would_lose_it(postgres_url: str) -> None:
    database = Database.connect(postgres_url, ConnectionSettings(pool=1, pooler=True))
    for _ in range(20):
        await database.fetch("SELECT 1", ())
    [[prepared]] = await database.fetch("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''", ())
    assert prepared == 0
    await database.close()
