"""The store's tables: made once, whoever starts first; brought up and down by Alembic; refused when they are newer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from consumers.store.database import Database
from consumers.store.migrate import HEAD, VERSIONS, Schema, alembic, migrate, schema
from consumers.store.tables import METADATA
from schemas.errors import SettingsError

pytestmark = pytest.mark.asyncio


def described(connection: Connection) -> Any:
    """Every table with its columns, keys and indexes."""
    found = inspect(connection)
    return {
        name: (
            [(one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(name)],
            found.get_pk_constraint(name),
            sorted(_index(one) for one in found.get_indexes(name)),
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def _index(found: Any) -> tuple[str, ...]:
    where = {name: str(option) for name, option in found.get("dialect_options", {}).items()}
    return str(found["name"]), str(found["column_names"]), str(bool(found["unique"])), str(where)


def differences(connection: Connection) -> list[Any]:
    """What would have to be done to make the tables those of `consumers.store.tables`."""
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA)
    return found


async def test_the_migrations_make_exactly_the_tables_and_can_be_undone(empty_store: Database) -> None:
    async with empty_store.writing() as connection:
        await connection.run_sync(alembic, "upgrade", "head")
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(described)
    assert await schema(empty_store) is Schema.CURRENT
    async with empty_store.writing() as connection:
        await connection.run_sync(alembic, "downgrade", "base")
        assert await connection.run_sync(described) == {}
        await connection.run_sync(METADATA.create_all)
        assert await connection.run_sync(described) == migrated


async def test_a_new_store_is_made_and_known_again(empty_store: Database) -> None:
    assert await schema(empty_store) is Schema.EMPTY
    assert await migrate(empty_store) is Schema.EMPTY
    assert await schema(empty_store) is Schema.CURRENT
    assert await migrate(empty_store) is Schema.CURRENT
    async with empty_store.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_processes_that_start_together_make_the_tables_once(empty_store: Database, store_url: str) -> None:
    others = [Database.connect(store_url) for _ in range(4)]
    found = await asyncio.gather(*(migrate(database) for database in (empty_store, *others)))
    for database in others:
        await database.close()
    assert sorted(found) == [Schema.CURRENT] * 4 + [Schema.EMPTY]


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(empty_store: Database) -> None:
    await migrate(empty_store)
    async with empty_store.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await schema(empty_store) is Schema.NEWER
    with pytest.raises(SettingsError) as raised:
        await migrate(empty_store)
    assert "newer" in str(raised.value)
    async with empty_store.reading() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "9999"


async def test_every_version_has_its_file_and_the_last_is_the_head() -> None:
    folder = Path(sys.modules["consumers.store.migrate"].__file__ or "").with_name("migrations") / "versions"
    assert sorted(path.name[:4] for path in folder.glob("[0-9]*.py")) == list(VERSIONS)
    assert VERSIONS[-1] == HEAD


async def test_a_start_with_current_tables_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from consumers.store.database import Database\n"
        "from consumers.store.migrate import migrate\n"
        "async def main():\n"
        f"    database = Database.connect('sqlite:///{tmp_path / 'store.db'}')\n"
        "    await migrate(database); await migrate(database); await database.close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program]
    done = await asyncio.to_thread(subprocess.run, command, check=True, cwd=root, capture_output=True)
    assert done.stdout == b"False\n"
