"""PostgreSQL killed, restarted, read-only, full of connections, cut off in the middle of a commit, in a deadlock.

Each against a real server. Whatever it does, every event is applied once, and none is set aside for the server's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.following.applier import Applier
from consumers.following.projecting import projecting
from consumers.models import migrate
from consumers.people.project import PeopleProjection
from consumers.people.tables import PEOPLE_TABLES
from consumers.projection import Projection
from consumers.store.parked import counts
from consumers.timeline.project import TimelineProjection
from consumers.timeline.tables import TIMELINE_TABLES
from deploy.local.postgres import PostgresServer
from schemas.errors import EngineUnavailable, StoreUnavailable
from schemas.event import encode
from schemas.log import EVENTS, NewRecord, Record
from tests.consumers.build import PSEUDONYMS, SOURCES, said, stay
from tests.consumers.histories import everything
from tests.faults.cut_line import Cut, line_to
from tests.memory_log import MemoryLog
from tests.patience import eventually, pass_time
from tests.stores import empty_database, positions, rows

pytestmark = [pytest.mark.asyncio, pytest.mark.engine]

CONNECTIONS = 20
BATCH = 25
"""Records at a time: small, so that there are many commits to be hit."""


@pytest.fixture(scope="module")
def server(engine_folder: Path) -> Iterator[PostgresServer]:
    options = {"max_connections": str(CONNECTIONS), "superuser_reserved_connections": "0", "deadlock_timeout": "50ms"}
    server = PostgresServer(engine_folder / "faulty", options)
    server.start()
    yield server
    server.kill()  # nothing of it is needed any more


@pytest.fixture
def url(server: PostgresServer) -> str:
    return empty_database(server.url())


def clock() -> datetime:
    return datetime.now(UTC)


class Slowly:
    """A projection that is given few records at a time, and tells ``before_commit`` of each time it has written."""

    def __init__(self, inner: Projection, before_commit: Callable[[], None] = lambda: None) -> None:
        self._inner, self._before_commit = inner, before_commit
        self.name, self.topics, self.tables = inner.name, inner.topics, inner.tables

    def onto(self, tables: Any) -> Slowly:
        return Slowly(self._inner.onto(tables))

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        await self._inner.apply(records, connection)
        self._before_commit()


class Follower:
    """Gives out few records at a time."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.held = inner.held

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        found: Sequence[Record] = await self._inner.poll(min(limit, BATCH), wait)
        return found


class SmallSteps(MemoryLog):
    """A log whose followers go in small steps."""

    def follow(self, *asked: Any) -> Any:
        inner = super().follow(*asked)

        class Stepping:
            async def __aenter__(self) -> Follower:
                return Follower(await inner.__aenter__())

            async def __aexit__(self, *raised: Any) -> Any:
                return await inner.__aexit__(*raised)

        return Stepping()


PROJECTIONS: tuple[Projection, ...] = (TimelineProjection(SOURCES), PeopleProjection(PSEUDONYMS))
TABLES = (*TIMELINE_TABLES, *PEOPLE_TABLES)


async def history() -> SmallSteps:
    log = SmallSteps()
    plain = [said("contact-made-1", f"contact {n}", n, local_id=f"L{n % 19}", focus=stay()) for n in range(300)]
    await log.append([NewRecord(EVENTS, event.partitionkey, encode(event)) for event in (*plain, *everything())])
    return log


async def project(log: MemoryLog, database: Database, before_commit: Callable[[], None] = lambda: None) -> None:
    """Run the projections to the end of the log, opened anew whenever the store does not answer, as ``serve`` does."""
    stop = asyncio.Event()

    slowly = [Slowly(projection, before_commit) for projection in PROJECTIONS]

    async def run() -> None:
        while not stop.is_set():
            with suppress(EngineUnavailable):
                await projecting(slowly, log, database, "owner", clock).run(stop)
            await pass_time(0.05)

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        group.create_task(run())
        while not await _is_done(log, database):
            await pass_time(0.05)
        stop.set()


async def _is_done(log: MemoryLog, database: Database) -> bool:
    ends = await log.ends(EVENTS)
    try:
        found = [await positions(database, projection.name) for projection in PROJECTIONS]
    except StoreUnavailable:
        return False
    return all(one.get((EVENTS, partition), 0) == end for one in found for partition, end in ends.items())


async def expected(log: MemoryLog, folder: Path) -> Any:
    """The rows that the same log makes where nothing goes wrong."""
    database = Database.connect(f"sqlite:///{folder / 'expected.db'}")
    await migrate(database)
    await project(log, database)
    found = await rows(database, *TABLES)
    await database.close()
    return found


async def test_a_server_that_is_killed_again_and_again(server: PostgresServer, url: str, tmp_path: Path) -> None:
    log, database = await history(), Database.connect(url)
    await migrate(database)
    writes, kills = 0, 0

    def kill_sometimes() -> None:
        nonlocal writes, kills
        writes += 1
        if writes in (2, 9, 15):
            server.kill()
            kills += 1
            server.start()

    await project(log, database, kill_sometimes)
    assert kills == 3
    assert await rows(database, *TABLES) == await expected(log, tmp_path)
    assert await counts(database) == {}
    await database.close()


async def test_a_server_that_is_stopped_and_started_again(server: PostgresServer, url: str, tmp_path: Path) -> None:
    log, database = await history(), Database.connect(url)
    await migrate(database)
    server.stop()
    projecting = asyncio.create_task(project(log, database))
    await pass_time(0.3)
    assert not projecting.done()
    await asyncio.to_thread(server.start)
    await projecting
    assert await rows(database, *TABLES) == await expected(log, tmp_path)
    await database.close()


@pytest.mark.parametrize("cut", Cut)
async def test_a_line_that_is_cut_in_the_middle_of_a_commit(url: str, tmp_path: Path, cut: Cut) -> None:
    log = await history()
    async with line_to(url) as (line, over_it):
        database = Database.connect(over_it)
        await migrate(database)
        line.cuts = [None, None, None, cut, None, cut, cut, None, None, cut]
        await project(log, database)
        assert line.done == [cut] * 4
        assert await rows(database, *TABLES) == await expected(log, tmp_path)
        assert await counts(database) == {}
        await database.close()


@contextmanager
def read_only(server: PostgresServer) -> Iterator[None]:
    """The server takes no writes, as a standby does not."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        eventually(lambda: _new_sessions_only_read(server))  # the server reads its settings when it comes to it
        try:
            yield
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def _new_sessions_only_read(server: PostgresServer) -> bool:
    with psycopg.connect(server.url()) as connection:
        return connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)


async def test_a_server_that_only_reads_is_waited_for(server: PostgresServer, url: str, tmp_path: Path) -> None:
    log, database = await history(), Database.connect(url)
    await migrate(database)
    with read_only(server):
        with pytest.raises(StoreUnavailable, match="name the primary") as raised:
            async with database.writing() as connection:
                await connection.execute(TIMELINE_TABLES.version.delete())
        assert "25006" in str(raised.value)
        projecting = asyncio.create_task(project(log, database))
        await pass_time(0.5)
        assert not projecting.done()
    await projecting
    assert await rows(database, *TABLES) == await expected(log, tmp_path)
    assert await counts(database) == {}
    await database.close()


@contextmanager
def no_connection_left(server: PostgresServer) -> Iterator[None]:
    """Others hold every connection."""
    with ExitStack() as stack:
        held: list[psycopg.Connection[Any]] = []

        def all_are_held() -> bool:
            with suppress(psycopg.OperationalError):
                while True:
                    held.append(stack.enter_context(psycopg.connect(server.url(), autocommit=True)))
            # Those that were let go of a moment ago may still be ending.
            count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            return held[0].execute(count).fetchone() == (len(held),)

        eventually(all_are_held)
        yield


async def test_a_server_without_a_free_connection_is_waited_for(server: PostgresServer, url: str, tmp_path: Path) -> None:
    log = await history()
    early = Database.connect(url)
    await migrate(early)
    await early.close()
    database = Database.connect(url)
    with no_connection_left(server):
        with pytest.raises(StoreUnavailable, match=r"a connection free|max_connections"):
            await database.fetch("SELECT 1", ())
        projecting = asyncio.create_task(project(log, database))
        await pass_time(0.5)
        assert not projecting.done()
    await projecting
    assert await rows(database, *TABLES) == await expected(log, tmp_path)
    await database.close()


async def test_a_pool_whose_connections_are_all_busy_says_which_setting(url: str) -> None:
    database = Database.connect(url, ConnectionSettings(pool=1, pool_timeout=timedelta(milliseconds=50)))
    async with database.writing():
        with pytest.raises(StoreUnavailable, match=r"postgresql\.pool"):
            async with database.writing():
                pass
    await database.close()


REFUSED = {
    "the port": ("postgres@127.0.0.1:1/postgres", "port 1 failed: Connection refused"),
    "the host": ("postgres@no-such-host.invalid/postgres", "resolve host 'no-such-host.invalid'"),
    "the database": ("postgres@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
    "the role": ("nobody:pass-word@127.0.0.1:{port}/postgres", 'role "nobody" does not exist'),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_each_wrong_part_of_the_address_is_told_from_the_others(server: PostgresServer, what: str) -> None:
    address, says = REFUSED[what]
    database = Database.connect(f"postgresql://{address.format(port=server.port)}")
    with pytest.raises(StoreUnavailable, match=says) as refused:
        await database.fetch("SELECT 1", ())
    assert "pass-word" not in str(refused.value)
    await database.close()


class Scripted:
    """A projection that runs a script against a table of numbers, each time it is applied."""

    name = "scripted"
    topics = (EVENTS,)
    tables = ()

    def __init__(self, *script: Callable[[AsyncConnection], Any]) -> None:
        self.script = script
        self.tries = 0

    def onto(self, tables: Any) -> Scripted:
        return self

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        self.tries += 1
        for step in self.script:
            await step(connection)


def sql(words: str) -> Callable[[AsyncConnection], Any]:
    return lambda connection: connection.exec_driver_sql(words)


async def numbers(url: str) -> tuple[Database, Applier, Scripted, list[Record]]:
    """A table of two numbers, and what is needed to apply one record to it."""
    database = Database.connect(url)
    await migrate(database)
    async with database.writing() as connection:
        await connection.exec_driver_sql("CREATE TABLE number (key TEXT PRIMARY KEY, value INTEGER)")
        await connection.exec_driver_sql("INSERT INTO number VALUES ('a', 0), ('b', 0)")
    log = await history()
    records = list(await log.read(EVENTS, 0, 0, 1))
    scripted = Scripted()
    applier = Applier([scripted], database, "owner", clock)
    await applier.claim(EVENTS, {0: 0})
    return database, applier, scripted, records


async def test_a_deadlock_is_tried_again(url: str) -> None:
    database, applier, scripted, records = await numbers(url)
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("SET deadlock_timeout = '10min'")  # so that it is never the one that is given up
        await other.execute("UPDATE number SET value = value + 10 WHERE key = 'b'")
        crossing: list[asyncio.Task[Any]] = []

        async def cross(_: AsyncConnection) -> None:
            if not crossing:
                crossing.append(asyncio.create_task(_cross(other)))

        scripted.script = (
            sql("UPDATE number SET value = value + 1 WHERE key = 'a'"),
            cross,
            sql("UPDATE number SET value = value + 1 WHERE key = 'b'"),
        )
        await applier.apply(records)
        await crossing[0]
    assert scripted.tries >= 2
    assert sorted(await database.fetch("SELECT key, value FROM number", ())) == [("a", 11), ("b", 11)]
    assert await counts(database) == {}
    await database.close()


async def _cross(other: psycopg.AsyncConnection[Any]) -> None:
    await other.execute("UPDATE number SET value = value + 10 WHERE key = 'a'")
    await other.commit()


async def test_a_serialisation_failure_is_tried_again(url: str) -> None:
    database, applier, scripted, records = await numbers(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

        async def meddle(_: AsyncConnection) -> None:
            if scripted.tries == 1:
                await other.execute("UPDATE number SET value = value + 10 WHERE key = 'a'")

        scripted.script = (
            sql(level),
            sql("SELECT value FROM number"),
            meddle,
            sql("UPDATE number SET value = value + 1 WHERE key = 'a'"),
        )
        await applier.apply(records)
    assert scripted.tries == 2
    assert sorted(await database.fetch("SELECT key, value FROM number", ())) == [("a", 11), ("b", 0)]
    assert await counts(database) == {}
    await database.close()
