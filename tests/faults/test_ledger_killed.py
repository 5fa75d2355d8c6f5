"""`kill -9` of processes that write to one ledger, and of its PostgreSQL: what they had been told is there is there."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from consumers.database.database import Database
from consumers.database.use import LEDGER
from consumers.ledger.tables import USED_TOKEN
from deploy.local.postgres import PostgresServer
from tests.stores import empty_database

pytestmark = pytest.mark.asyncio

ROOT = Path(__file__).parents[2]
PROCESSES = 2
DEADLINE_SECONDS = 60

WRITER = """
import asyncio, os, sys
from datetime import UTC, datetime
from consumers.database import use
from consumers.database.database import Database
from consumers.ledger.migrate import prepare
from consumers.ledger.used_tokens import use as use_token
from consumers.ledger.write import LedgerWriter

class Uncounted:
    def kept(self, parts, seconds): pass

async def main(url, name, durability):
    async def ready(database): await prepare(database)
    ledger = LedgerWriter(Database.connect(url, None, getattr(use, durability)), ready, Uncounted())
    async def write_for_ever(caller):
        number = 0
        while True:
            number += 1
            token = f"{name}-{caller}-{number}"
            assert await ledger.write(lambda connection: use_token(connection, token, datetime(2026, 12, 1, tzinfo=UTC)))
            os.write(1, token.encode() + b"\\n")
    await asyncio.gather(*(write_for_ever(caller) for caller in range(8)))

asyncio.run(main(*sys.argv[1:]))
"""


async def started(url: str, name: str, durability: str = "LEDGER") -> asyncio.subprocess.Process:
    command = (sys.executable, "-c", WRITER, url, name, durability)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)


async def told(child: asyncio.subprocess.Process, count: int) -> list[bytes]:
    """The first ``count`` writes that it was told of."""
    assert child.stdout is not None
    found: list[bytes] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            line = await child.stdout.readline()
            assert line, "the writer ended by itself"
            found.append(line)
    return found


async def rest(child: asyncio.subprocess.Process, found: list[bytes]) -> set[str]:
    """Those writes and all that it was told of after them, once it is dead."""
    assert child.stdout is not None
    with suppress(ProcessLookupError):
        child.kill()
    lines = [*found, *(await child.stdout.read()).splitlines(keepends=True)]
    await child.wait()
    return {line.decode().strip() for line in lines if line.endswith(b"\n")}


async def kept(url: str) -> set[str]:
    database = Database.connect(url, None, LEDGER)
    async with database.reading() as connection:
        found = set((await connection.execute(select(USED_TOKEN.c.digest))).scalars())
    await database.close()
    return found


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.soak)])
async def test_no_acknowledged_write_is_lost_by_kill_9(store_url: str, kills: int) -> None:
    chance = random.Random(9)
    acknowledged: set[str] = set()
    for number in range(kills // PROCESSES):
        children = [await started(store_url, f"{number}-{child}") for child in range(PROCESSES)]
        found = await asyncio.gather(*(told(child, chance.randint(1, 400)) for child in children))
        for outcome in await asyncio.gather(*(rest(*pair) for pair in zip(children, found, strict=True))):
            acknowledged |= outcome
        lost = acknowledged - await kept(store_url)
        assert not lost, f"{len(lost)} acknowledged writes lost by kill {number}"
    print(f"{kills} kills, {len(acknowledged)} acknowledged writes, 0 lost")


@pytest.fixture
def server(engine_folder: Path) -> Iterator[PostgresServer]:
    """A server that syncs, to be killed. What it has not written goes with it: its buffers are slow to be written."""
    made = PostgresServer(engine_folder / "ledger-killed", {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"})
    made.start()
    try:
        yield made
    finally:
        made.kill()


async def killed_under(server: PostgresServer, url: str, name: str, how: signal.Signals, durability: str) -> set[str]:
    """Writes that were acknowledged before the server was killed and started anew."""
    child = await started(url, name, durability)
    found = await told(child, 200)
    server.stop(how) if how is signal.SIGQUIT else server.kill(how)
    acknowledged = await rest(child, found)
    server.start()
    return acknowledged


@pytest.mark.engine
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.soak)])
async def test_no_acknowledged_write_is_lost_when_the_server_is_killed(server: PostgresServer, kills: int) -> None:
    url, acknowledged = empty_database(server.url()), set[str]()
    for number in range(kills):
        how = signal.SIGQUIT if number % 2 else signal.SIGKILL
        acknowledged |= await killed_under(server, url, str(number), how, "LEDGER")
        lost = acknowledged - await kept(url)
        assert not lost, f"{len(lost)} acknowledged writes lost by kill {number}"
    print(f"{kills} kills of the server, {len(acknowledged)} acknowledged writes, 0 lost")


@pytest.mark.engine
async def test_the_same_kills_do_lose_what_is_written_as_the_store_is(server: PostgresServer) -> None:
    """What the test above is worth."""
    url = empty_database(server.url())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    acknowledged = await killed_under(server, url, "0", signal.SIGKILL, "STORE")
    with psycopg.connect(url) as connection:
        there = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'ledger_used_token'").fetchone()
    assert there == (0,) or acknowledged - await kept(url)
