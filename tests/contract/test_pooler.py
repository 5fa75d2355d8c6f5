"""The store behind a pooler that shares the server's connections between transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, select, update

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.database.migration.history import Schema
from consumers.models import migrate
from schemas.errors import StoreUnavailable
from tests.command_line import Backbone
from tests.contract.pooler import PROGRAM, pooled
from tests.stores import empty_database

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer: Debian's package pgbouncer; no wheel has it"),
]

METADATA = MetaData()
COUNT = Table("count", METADATA, Column("key", Text, primary_key=True), Column("number", Integer, nullable=False))


@pytest.fixture
def pooler_url(postgres_url: str, engine_folder: Path) -> Iterator[str]:
    folder = engine_folder / "pooler"
    folder.mkdir(exist_ok=True)
    with pooled(empty_database(postgres_url), folder, connections=2) as url:
        yield url


@pytest.mark.asyncio
async def test_many_tasks_share_few_connections_and_nothing_is_lost(pooler_url: str) -> None:
    database = Database.connect(pooler_url, ConnectionSettings(pool=4, pooler=True))
    assert await migrate(database) is Schema.EMPTY
    async with database.writing() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(COUNT.insert().values(key="a", number=0))

    async def count() -> None:
        for _ in range(25):  # more often than a driver needs to prepare a statement of its own accord
            async with database.writing() as connection:
                found = (await connection.execute(select(COUNT.c.number).with_for_update())).scalar_one()
                await connection.execute(update(COUNT).values(number=found + 1))

    async def read() -> None:
        for number in range(50):
            assert (await database.fetch("SELECT %s, number FROM count", (number,)))[0][0] == number

    await asyncio.gather(*(count() for _ in range(6)), *(read() for _ in range(6)))
    assert (await database.fetch("SELECT number FROM count", ()))[0][0] == 150
    await database.close()


@pytest.mark.asyncio
async def test_a_transaction_has_the_limits_that_a_session_cannot_be_given(pooler_url: str) -> None:
    settings = ConnectionSettings(pooler=True, statement_timeout=timedelta(seconds=7), idle_timeout=timedelta(seconds=9))
    database = Database.connect(pooler_url, settings)
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
    async with database.writing() as connection:
        found = [(await connection.exec_driver_sql(f"SHOW {name}")).scalar_one() for name in names]
    assert found == ["7s", "9s", "off"]
    await database.close()


@pytest.mark.asyncio
async def test_without_the_setting_the_pooler_refuses_at_the_first_connection(pooler_url: str) -> None:
    database = Database.connect(pooler_url, ConnectionSettings())
    with pytest.raises(StoreUnavailable, match=r"postgresql\.pooler"):
        await database.fetch("SELECT 1", ())
    await database.close()


@pytest.mark.parametrize("limited", [False, True])
def test_the_doctor_warns_of_a_role_whose_single_reads_have_no_limit(
    limited: bool, postgres_url: str, engine_folder: Path, tmp_path: Path
) -> None:
    server, folder = empty_database(postgres_url), engine_folder / f"pooler-limited-{limited}"
    folder.mkdir()
    if limited:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET statement_timeout = 30000')
    with pooled(server, folder, connections=2) as url:
        settings = {
            "BACKBONE_STORE": url,
            "BACKBONE_POSTGRESQL_POOLER": "transaction",
            "BACKBONE_KEY_SECRET": "0123456789abcdef" * 2,
        }
        told = Backbone(tmp_path, settings)("doctor").out
    assert "its tables are made at the first start" in told
    assert ("a single read may take for ever" in told) is not limited
