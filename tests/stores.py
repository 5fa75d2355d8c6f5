"""Empty stores for tests: SQLite in the test's folder, and a PostgreSQL database of its own on the session's server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import MetaData, Table
from sqlalchemy.engine import make_url

from consumers.database.database import Database
from consumers.models import METADATA
from consumers.store.positions import reached

ENGINES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.engine),
]
"""What every store is tried on."""


@pytest.fixture(params=ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty store of each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    made = empty_database(server)
    yield made
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{make_url(made).database}" WITH (FORCE)')


def empty_database(server: str) -> str:
    """URL of a new database on the PostgreSQL server at ``server``."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest_asyncio.fixture
async def empty_store(store_url: str) -> AsyncIterator[Database]:
    """A store without tables."""
    database = Database.connect(store_url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def store(empty_store: Database) -> Database:
    """A store with its tables, all empty."""
    async with empty_store.writing() as connection:
        await connection.run_sync(METADATA.create_all)
    return empty_store


@pytest_asyncio.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Database]:
    """A store with its tables in a file: for what the contract suites hold every engine to already."""
    database = Database.connect(f"sqlite:///{tmp_path / 'store.db'}")
    async with database.writing() as connection:
        await connection.run_sync(METADATA.create_all)
    yield database
    await database.close()


async def clear(database: Database, metadata: MetaData = METADATA) -> None:
    """Empty every table."""
    async with database.writing() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(table.delete())


async def rows(database: Database, *tables: Table) -> dict[str, list[tuple[object, ...]]]:
    """Every row of ``tables``, sorted, by table."""
    async with database.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(table.select())), key=repr) for table in tables
        }


async def positions(database: Database, projection: str) -> dict[tuple[str, int], int]:
    """The next offset wanted from each (topic, partition) that ``projection`` has begun."""
    return {place: at.next for place, at in (await reached(database, projection)).items()}
