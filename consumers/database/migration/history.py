"""The history of a database's tables, which are brought to this program's version once, by whichever process starts first.

New tables are made directly from their definitions and stamped. Older ones are upgraded by Alembic, which takes most of a
second to import and is imported only then. Those of a newer version are refused: an older program would write them wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database, durably
from consumers.database.use import DatabaseUse
from schemas.errors import SettingsError

NEWER_CURE = "Start the version that made them, or a newer one; nothing was written."


class Schema(StrEnum):
    """How tables compare with those this program knows."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def _nothing(_: Connection) -> None:
    """Does nothing: for histories whose new tables need nothing more."""


@dataclass(frozen=True, kw_only=True)
class TableHistory:
    """Every version of the tables of one database."""

    use: DatabaseUse
    metadata: MetaData
    """The tables, as of the newest version."""
    folder: Path
    """Of Alembic's versions: their file names begin with the version."""
    stamp: str
    """The table of one row that says of which version they are; two histories may share a database."""
    lock: int
    """Number of the PostgreSQL advisory lock for upgrades: any number that nobody else uses."""
    maker: str
    """Which role of ``backbone serve`` makes and upgrades them, for cures."""
    made: Callable[[Connection], None] = _nothing
    """Called when the tables were made, in the same transaction."""
    upgraded: Callable[[Connection], None] = _nothing
    """Called when they were upgraded, in the same transaction."""

    @cached_property
    def versions(self) -> Sequence[str]:
        """Every version so far, oldest first."""
        return sorted(file.name.partition("_")[0] for file in self.folder.glob("[0-9]*_*.py"))

    @property
    def head(self) -> str:
        """The newest version."""
        return self.versions[-1]

    @property
    def newer(self) -> str:
        """What is wrong with newer tables."""
        return f"the {self.use.name}'s tables are of a newer version of the backbone"

    @property
    def older(self) -> str:
        """What is wrong with older tables."""
        return f"the {self.use.name}'s tables are of an older version of the backbone"

    @property
    def older_cure(self) -> str:
        """What to do about older tables."""
        serve = f"Start `backbone serve` with {self.maker} among its roles, of this version"
        return f"{serve}: it brings them up, and nothing is lost."

    async def schema(self, database: Database) -> Schema:
        """How the tables compare with this program's. Raises `DatabaseUse.unavailable`."""
        async with database.reading() as connection:
            return await connection.run_sync(self._schema)

    async def migrate(self, database: Database) -> Schema:
        """Bring the tables to the newest version and return what they were before. Processes that start together wait for the
        first.

        Raises `SettingsError` for tables of a newer version, `DatabaseUse.unavailable`.
        """
        async with database.writing() as connection:
            if not database.is_sqlite:  # SQLite's writer has the only lock there is already
                await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": self.lock})
            await durably(connection)
            return await connection.run_sync(self._migrate)

    async def hold(self, connection: AsyncConnection) -> None:
        """Refuse to write to tables of another version. Runs in the transaction of ``connection``.

        Unstamped tables pass. Raises `SettingsError`.
        """
        await connection.run_sync(self._hold)

    async def answering(self, database: Database) -> None:
        """Check that the database can be read: it answers, and its tables are not older than this program.

        Newer tables are read as far as possible, so that old processes go on answering while a new version is rolled out.
        Raises `DatabaseUse.unavailable` with the cure.
        """
        found = await self.schema(database)
        if found is Schema.EMPTY:
            cure = f"`backbone serve` with {self.maker} among its roles makes them."
            raise self.use.unavailable(f"the {self.use.name} has no tables yet", cure=cure)
        if found is Schema.OLDER:
            raise self.use.unavailable(self.older, cure=self.older_cure)

    def alembic(self, connection: Connection, command: str, revision: str) -> None:
        """Run Alembic's ``upgrade`` or ``downgrade`` to ``revision`` within the transaction of ``connection``."""
        import alembic.command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(self.folder))
        config.attributes.update(connection=connection, metadata=self.metadata, stamp=self.stamp)
        run: Any = getattr(alembic.command, command)
        run(config, revision)

    def _schema(self, connection: Connection) -> Schema:
        if not inspect(connection).has_table(self.stamp):
            return Schema.EMPTY
        found = connection.execute(text(f"SELECT version_num FROM {self.stamp}")).scalar()  # noqa: S608 # nosec B608 - a constant
        if found == self.head:
            return Schema.CURRENT
        return Schema.OLDER if found in self.versions else Schema.NEWER

    def _hold(self, connection: Connection) -> None:
        found = self._schema(connection)
        if found is Schema.NEWER:
            raise SettingsError(self.newer, where=self.use.name, cure=NEWER_CURE)
        if found is Schema.OLDER:
            raise SettingsError(self.older, where=self.use.name, cure=self.older_cure)

    def _migrate(self, connection: Connection) -> Schema:
        found = self._schema(connection)
        if found is Schema.NEWER:
            raise SettingsError(self.newer, where=self.use.name, cure=NEWER_CURE)
        if found is Schema.EMPTY:
            self.metadata.create_all(connection)
            connection.execute(text(f"CREATE TABLE {self.stamp} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text(f"INSERT INTO {self.stamp} VALUES (:head)"), {"head": self.head})  # noqa: S608 # nosec B608 - a constant
            self.made(connection)
        if found is Schema.OLDER:
            self.alembic(connection, "upgrade", self.head)
            self.upgraded(connection)
        return found
