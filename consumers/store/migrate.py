"""Brings the store's tables to this program's version: once, by whichever process starts first.

A new store is made directly from `consumers.store.tables` and stamped. An older one is upgraded by Alembic, which takes most
of a second to import and is imported only then. A store of a newer version is refused, as an older program would write it
wrongly. A process that is running during an upgrade loses its positions, and finds out when it claims them again.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database, durably
from consumers.store.tables import METADATA, POSITION
from schemas.errors import SettingsError, StoreUnavailable

VERSIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every version so far, oldest first; the file names in ``migrations/versions`` begin with them."""
HEAD = VERSIONS[-1]
"""The version of `consumers.store.tables`."""

_STAMP = "alembic_version"
"""Alembic's own table of one row."""
_LOCK = 0x6361726562626E65
"""Number of the PostgreSQL advisory lock for upgrades: any number that nobody else uses."""


NEWER = "the store's tables are of a newer version of the backbone"
NEWER_CURE = "Start the version that made them, or a newer one; nothing was written."
OLDER = "the store's tables are of an older version of the backbone"
OLDER_CURE = "Start `backbone serve` with projections among its roles, of this version: it brings them up, and nothing is lost."
EMPTY_CURE = "`backbone serve` with projections among its roles makes them."


class Schema(StrEnum):
    """How a store's tables compare with those this program knows."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


async def schema(database: Database) -> Schema:
    """How the store's tables compare with this program's. Raises `StoreUnavailable`."""
    async with database.reading() as connection:
        return await connection.run_sync(_schema)


async def migrate(database: Database) -> Schema:
    """Bring the store's tables to `HEAD` and return what they were before. Processes that start together wait for the first.

    Raises `SettingsError` for a store of a newer version, `StoreUnavailable`.
    """
    async with database.writing() as connection:
        if not database.is_sqlite:  # SQLite's writer has the only lock there is already
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        await durably(connection)
        return await connection.run_sync(_migrate)


def _schema(connection: Connection) -> Schema:
    if not inspect(connection).has_table(_STAMP):
        return Schema.EMPTY
    found = connection.execute(text(f"SELECT version_num FROM {_STAMP}")).scalar()  # noqa: S608 # nosec B608 - a constant
    if found == HEAD:
        return Schema.CURRENT
    return Schema.OLDER if found in VERSIONS else Schema.NEWER


async def hold(connection: AsyncConnection) -> None:
    """Refuse to write to tables of another version. Runs in the transaction of ``connection``.

    An upgrade takes all positions from their owners, who call this before they claim them again. Unstamped tables pass. Raises
    `SettingsError`.
    """
    await connection.run_sync(_hold)


def _hold(connection: Connection) -> None:
    found = _schema(connection)
    if found is Schema.NEWER:
        raise SettingsError(NEWER, where="store", cure=NEWER_CURE)
    if found is Schema.OLDER:
        raise SettingsError(OLDER, where="store", cure=OLDER_CURE)


async def answering(database: Database) -> None:
    """Check that the store can be read: it answers, and its tables are not older than this program.

    Newer tables are read as far as possible, so that old processes go on answering while a new version is rolled out. Raises
    `StoreUnavailable` with the cure.
    """
    found = await schema(database)
    if found is Schema.EMPTY:
        raise StoreUnavailable("the store has no tables yet", cure=EMPTY_CURE)
    if found is Schema.OLDER:
        raise StoreUnavailable(OLDER, cure=OLDER_CURE)


def _migrate(connection: Connection) -> Schema:
    found = _schema(connection)
    if found is Schema.NEWER:
        raise SettingsError(NEWER, where="store", cure=NEWER_CURE)
    if found is Schema.EMPTY:
        METADATA.create_all(connection)
        connection.execute(text(f"CREATE TABLE {_STAMP} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"INSERT INTO {_STAMP} VALUES (:head)"), {"head": HEAD})  # noqa: S608 # nosec B608 - a constant
    if found is Schema.OLDER:
        alembic(connection, "upgrade", HEAD)
        connection.execute(update(POSITION).values(owner=f"migrated to {HEAD}"))
    return found


def alembic(connection: Connection, command: str, revision: str) -> None:
    """Run Alembic's ``upgrade`` or ``downgrade`` to ``revision`` within the transaction of ``connection``."""
    import alembic.command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    run: Any = getattr(alembic.command, command)
    run(config, revision)
