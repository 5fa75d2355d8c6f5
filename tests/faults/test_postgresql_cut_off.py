"""PostgreSQL cut off without a word: every wait has an end, and afterwards nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import literal_column, select, text

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.database.statement import SqlStatement
from schemas.errors import StoreUnavailable
from tests.faults.silent_line import SilentLine, silent_line
from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually, pass_time
from tests.stores import empty_database

pytestmark = pytest.mark.engine

SECOND = timedelta(seconds=1)
END_S = 30.0
"""By then a wait must have ended: the limits below sum up to 2 s, and psycopg takes ten more to let go."""
_SEVEN = SqlStatement(select(literal_column("7")))


@pytest.fixture
def line(postgres_url: str) -> Iterator[tuple[SilentLine, str]]:
    """A line to an empty database, and the store's URL over it."""
    with silent_line(empty_database(postgres_url)) as (made, url):
        yield made, url


def connected(url: str) -> Database:
    return Database.connect(
        url, ConnectionSettings(pool=2, statement_timeout=SECOND, connect_timeout=SECOND, pool_timeout=SECOND)
    )


@pytest.mark.asyncio
async def test_a_read_over_a_line_that_fell_silent_has_an_end(line: tuple[SilentLine, str]) -> None:
    relay, url = line
    database = connected(url)
    assert (await database.fetch("SELECT 7", ()))[0][0] == 7
    relay.cut()
    for _ in range(3):  # over a connection of the pool, then over new ones
        async with asyncio.timeout(END_S):
            with pytest.raises(StoreUnavailable, match="the store does not answer"):
                await database.fetch("SELECT 7", ())
    relay.mend()
    assert (await database.fetch("SELECT 7", ()))[0][0] == 7
    await database.close()


@pytest.mark.asyncio
async def test_a_transaction_over_a_line_that_falls_silent_has_an_end_wherever_it_is(line: tuple[SilentLine, str]) -> None:
    relay, url = line
    database = connected(url)
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE told (number INTEGER PRIMARY KEY)"))

    async def tell(number: int, cut_at: str) -> None:
        async with database.writing() as connection:
            if cut_at.startswith("statement"):
                relay.cut()
            if cut_at == "statement of the driver's own":
                await _SEVEN.tuples(connection, {})
            await connection.execute(text(f"INSERT INTO told VALUES ({number})"))
            if cut_at == "commit":
                relay.cut()

    for number, cut_at in enumerate(["statement", "statement of the driver's own", "commit"]):
        async with asyncio.timeout(END_S):
            with pytest.raises(StoreUnavailable, match="the store does not answer"):
                await tell(number, cut_at)
        async with asyncio.timeout(END_S):
            with pytest.raises(StoreUnavailable, match="the store does not answer"):
                await tell(number, "it is cut already")
        relay.mend()
    async with asyncio.timeout(END_S):
        await tell(9, "nowhere")
    assert 9 in {number for (number,) in await database.fetch("SELECT number FROM told", ())}
    await database.close()


@pytest.mark.asyncio
async def test_what_is_computed_between_two_statements_may_take_its_time(line: tuple[SilentLine, str]) -> None:
    _, url = line
    short = timedelta(milliseconds=250)
    database = Database.connect(url, ConnectionSettings(statement_timeout=short, connect_timeout=short))
    async with database.writing() as connection:
        await connection.execute(text("SELECT 1"))
        await pass_time(3 * short.total_seconds())  # longer than a statement may take
        assert (await connection.execute(text("SELECT 2"))).scalar_one() == 2
    await database.close()


def test_a_server_whose_store_is_cut_off_says_so_and_loses_and_doubles_nothing(
    line: tuple[SilentLine, str], tmp_path: Path
) -> None:
    relay, url = line
    limits = {f"BACKBONE_POSTGRESQL_{name}": "1 second" for name in ("STATEMENT", "CONNECT", "POOL_WAIT")}
    settings = {"BACKBONE_STORE": url, "BACKBONE_KEY_SECRET": "0123456789abcdef" * 2, **limits}
    first, *others = hospital_messages()
    backbone = Backbone(tmp_path, settings)
    try:
        backbone.start().mllp(first)
        person = eventually(lambda: backbone.timeline() and backbone.person())
        before = [entry["id"] for entry in backbone.timeline()]
        relay.cut()
        refused = backbone.http.get(f"/people/{person}/timeline", timeout=END_S)
        assert (refused.status_code, refused.json()["code"]) == (503, "store-unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*others)), "taking in needs the log alone"
        eventually(lambda: relay.held >= 3)
        relay.mend()
        eventually(lambda: len(backbone.timeline()) == 4)
        after = [entry["id"] for entry in backbone.timeline()]
        assert len(set(after)) == 4
        assert set(before) <= set(after)
        health = eventually(lambda: backbone.having("gateway").asked("/health/ready"))
        assert not any(health["parked"].values())
    finally:
        relay.mend()
        backbone.close()
