"""Brings the store's tables to the version this program knows, once, whoever starts first.

A new store is made at once from `consumers.store.tables` and stamped; an older one is brought up by Alembic, which takes most
of a second to import and so is imported only then. A store of a newer version is refused: an older program would write it
wrong.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from consumers.store.database import Database, durably
from consumers.store.tables import METADATA
from schemas.errors import SettingsError

VERSIONS = ("0001",)
"""Every version there has been, oldest first: the file names in ``migrations/versions`` begin with them."""
HEAD = VERSIONS[-1]
"""The version of `consumers.store.tables`."""

_STAMP = "alembic_version"
"""Alembic's own table of one row."""
_LOCK = 0x6361726562626E65
"""Number of PostgreSQL's advisory lock for this: any number that nobody else uses."""


class Schema(StrEnum):
    """How a store's tables stand to those this program knows."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


async def schema(database: Database) -> Schema:
    """How the store's tables stand. Raises `StoreUnavailable`."""
    async with database.reading() as connection:
        return await connection.run_sync(_schema)


async def migrate(database: Database) -> Schema:
    """Make the store's tables those of `HEAD`; what they were before. Processes that start together wait for the first.

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


def _migrate(connection: Connection) -> Schema:
    found = _schema(connection)
    if found is Schema.NEWER:
        cure = "Start the version of the backbone that made it, or a newer one; nothing was written."
        raise SettingsError("the store was made by a newer version of the backbone", where="store", cure=cure)
    if found is Schema.EMPTY:
        METADATA.create_all(connection)
        connection.execute(text(f"CREATE TABLE {_STAMP} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"INSERT INTO {_STAMP} VALUES (:head)"), {"head": HEAD})  # noqa: S608 # nosec B608 - a constant
    if found is Schema.OLDER:
        alembic(connection, "upgrade", HEAD)
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
