"""The store's tables: made once, whoever starts first; brought up and down by Alembic; refused when they are newer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from consumers.database.database import Database
from consumers.database.migration.history import Schema
from consumers.following.projecting import projecting
from consumers.models import METADATA, answering, migrate, schema
from consumers.store.migrate import HISTORY
from consumers.store.positions import Step, advance, claim
from consumers.store.tables import POSITION
from consumers.timeline.project import TimelineProjection
from consumers.timeline.tables import TIMELINE_TABLES
from schemas.errors import PositionLost, SettingsError, StoreUnavailable
from schemas.event import encode
from schemas.log import EVENTS, NewRecord
from tests.consumers.build import SOURCES, START, said, stay
from tests.memory_log import MemoryLog
from tests.patience import until
from tests.stores import empty_database, rows

pytestmark = pytest.mark.asyncio

ROOT = Path(__file__).parents[2]
VERSION_FILES = sorted((ROOT / "consumers" / "store" / "migrations" / "versions").glob("[0-9]*.py"))


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
    """What would have to be done to make the tables those of `consumers.models`."""
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA)
    return found


async def test_the_migrations_make_exactly_the_tables_and_can_be_undone(empty_store: Database) -> None:
    async with empty_store.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "upgrade", "head")
        assert await connection.run_sync(differences) == []
        migrated = await connection.run_sync(described)
    assert await schema(empty_store) is Schema.CURRENT
    async with empty_store.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "downgrade", "base")
        assert await connection.run_sync(described) == {}
        await connection.run_sync(METADATA.create_all)
        assert await connection.run_sync(described) == migrated


@pytest.mark.engine
async def test_long_values_are_compressed_where_the_engine_can_and_resources_stand_beside_the_rows(
    postgres_url: str,
) -> None:
    database = Database.connect(empty_database(postgres_url))
    async with database.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "upgrade", "head")
    assert await _stored(database) == (await _offered(database), ["toast_tuple_target=1024"])
    async with database.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "downgrade", "0003")
    assert await _stored(database) == ({""}, None)
    async with database.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "downgrade", "base")
        await connection.run_sync(METADATA.create_all)
    assert await _stored(database) == (await _offered(database), ["toast_tuple_target=1024"])
    await database.close()


async def _stored(database: Database) -> tuple[set[str], list[str] | None]:
    """The ways of compressing texts, as PostgreSQL calls them ("" leaves it to the engine), and the timeline's parameters."""
    of_texts = "SELECT DISTINCT attcompression FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid "
    ours = "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND atttypid = 'text'::regtype"
    ways = {way.strip("\0") for (way,) in await database.fetch(of_texts + ours, ())}
    [[parameters]] = await database.fetch("SELECT reloptions FROM pg_class WHERE relname = 'timeline_version'", ())
    return ways, parameters


async def _offered(database: Database) -> set[str]:
    [[ways]] = await database.fetch("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'", ())
    return {"l" if "lz4" in ways else ""}


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


async def newer(database: Database) -> None:
    """What a newer version does to a store: other tables, and nobody keeps a position."""
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(text("UPDATE position SET owner = 'migrated to 9999'"))


async def test_a_process_that_runs_while_the_store_is_brought_up_writes_nothing_more(empty_store: Database) -> None:
    await migrate(empty_store)
    log, clock = MemoryLog(), lambda: START
    await log.append(events(0, 10))
    runner = projecting([TimelineProjection(SOURCES)], log, empty_store, "older", clock)
    running = asyncio.create_task(runner.run(asyncio.Event()))

    async def all_there() -> bool:
        return len(await entries(empty_store)) == 10

    await until(all_there)
    await newer(empty_store)
    await log.append(events(10, 20))
    with pytest.raises(SettingsError, match="newer version"):
        await asyncio.wait_for(running, 30)
    assert len(await entries(empty_store)) == 10


def events(start: int, end: int) -> list[NewRecord]:
    made = [said("contact-made-1", f"contact {n}", n, local_id=f"L{n}", focus=stay()) for n in range(start, end)]
    return [NewRecord(EVENTS, event.partitionkey, encode(event)) for event in made]


async def entries(database: Database) -> list[Any]:
    return (await rows(database, TIMELINE_TABLES.version))["timeline_version"]


async def test_an_older_store_is_brought_up_once_and_its_owners_have_to_claim_anew(empty_store: Database) -> None:
    async with empty_store.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "upgrade", HISTORY.versions[0])
        await connection.execute(POSITION.insert().values(projection="people", topic="t", partition=0, next=7, owner="me"))
    with pytest.raises(StoreUnavailable, match="backbone serve"):
        await answering(empty_store)
    with pytest.raises(SettingsError, match="older version"):
        await claim(empty_store, "people", "me", "t", {0: 0})
    assert await migrate(empty_store) is Schema.OLDER
    assert await schema(empty_store) is Schema.CURRENT
    with pytest.raises(PositionLost):
        async with empty_store.writing() as connection:
            await advance(connection, "me", [Step("people", "t", 0, 7, 8)])
    assert (await claim(empty_store, "people", "me", "t", {0: 0}))[0].next == 7
    async with empty_store.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_store_that_cannot_be_read_says_what_to_run(empty_store: Database) -> None:
    with pytest.raises(StoreUnavailable, match="backbone serve"):
        await answering(empty_store)
    await migrate(empty_store)
    await answering(empty_store)
    await newer(empty_store)
    await answering(empty_store)  # old processes go on answering while a new version is rolled out


async def test_real_processes_that_start_together_make_the_tables_once(empty_store: Database, store_url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from consumers.database.database import Database\n"
        "from consumers.models import migrate\n"
        "async def main():\n"
        "    database = Database.connect(sys.argv[1])\n"
        "    print('here', flush=True); sys.stdin.readline()\n"
        "    print(await migrate(database)); await database.close()\n"
        "asyncio.run(main())\n"
    )
    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, "-c", program, store_url)
    processes = [await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdin=pipe, stdout=pipe) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
    found = [out.decode().strip() for out, _ in await asyncio.gather(*(process.communicate(b"go\n") for process in processes))]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(found) == ["current"] * 3 + ["empty"]
    async with empty_store.reading() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("version", HISTORY.versions)
async def test_a_version_can_be_undone_or_says_that_it_cannot(empty_store: Database, version: str) -> None:
    """A version that cannot be undone has ``irreversible = True``, and its downgrade says what to restore instead."""
    [module] = [
        import_module(f"consumers.store.migrations.versions.{name.stem}")
        for name in VERSION_FILES
        if name.stem.startswith(version)
    ]
    before = module.down_revision or "base"
    async with empty_store.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "upgrade", before) if before != "base" else None
        earlier = await connection.run_sync(described)
        await connection.run_sync(HISTORY.alembic, "upgrade", version)
        if getattr(module, "irreversible", False):
            with pytest.raises(SettingsError):
                await connection.run_sync(HISTORY.alembic, "downgrade", before)
        else:
            await connection.run_sync(HISTORY.alembic, "downgrade", before)
            assert await connection.run_sync(described) == earlier


async def test_every_version_has_its_file_and_the_last_is_the_head() -> None:
    assert [path.name[:4] for path in VERSION_FILES] == HISTORY.versions
    assert HISTORY.versions[-1] == HISTORY.head


async def test_a_start_with_current_tables_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from consumers.database.database import Database\n"
        "from consumers.models import migrate\n"
        "async def main():\n"
        f"    database = Database.connect('sqlite:///{tmp_path / 'store.db'}')\n"
        "    await migrate(database); await migrate(database); await database.close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    done = await asyncio.to_thread(subprocess.run, command, check=True, cwd=ROOT, capture_output=True)
    assert done.stdout == b"False\n"
