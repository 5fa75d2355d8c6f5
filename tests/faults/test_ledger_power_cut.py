"""Power cuts below the ledger: whatever a caller was told is there afterwards, and nothing is there that nobody wrote.

Everything is production's own, from the group commit to the settings of the connection; only the driver beneath it is another
build of SQLite, on a disk that loses, keeps or tears what was not synced. After each cut the files are opened by the usual
driver on a real disk and compared; then the power goes on again.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest
from sqlalchemy import event

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings, engines
from consumers.database.use import LEDGER, STORE, DatabaseUse
from consumers.ledger.migrate import HISTORY
from consumers.ledger.used_tokens import use
from consumers.ledger.write import LedgerWriter
from schemas.errors import LedgerUnavailable, StoreUnavailable
from tests.faults.cut_disk import CutDisk

pytestmark = pytest.mark.asyncio

CUTS_IN_A_LIFE = 10
MOST_OPERATIONS = 250
"""Of the disk between two cuts."""
CALLERS = 8
CHECKPOINT_EVERY = 3
"""Transactions between two checkpoints, instead of hundreds, so that many cuts fall into one."""
EXPIRES_AT = datetime(2026, 12, 1, tzinfo=UTC)


class CutCursor:
    """What SQLAlchemy and ours use of a cursor, over that of the other build."""

    lastrowid = None

    def __init__(self, connection: CutConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1

    def execute(self, words: str, values: Sequence[Any] = ()) -> CutCursor:
        cursor = self._connection.below.cursor()
        cursor.exec_trace = self._begun
        try:
            cursor.execute(words, tuple(values))
            self._rows = cursor.fetchall()
        except apsw.Error as error:
            raise sqlite3.OperationalError(type(error).__name__) from error
        self.rowcount = self._connection.below.changes()
        return self

    def _begun(self, cursor: apsw.Cursor, *_: Any) -> bool:
        """Told of each statement before its first row, while its columns are known even if there will be no row."""
        described = cursor.get_description()
        self.description = [(name, *[None] * 6) for name, _ in described] or None
        return True

    def fetchall(self) -> list[Any]:
        found, self._rows = self._rows, []
        return found

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def close(self) -> None:
        self._rows = []

    async def _async_soft_close(self) -> None:
        """As of `consumers.database.inline_sqlite.InlineCursor`."""


class CutConnection:
    """A connection of the other build to the file ``ledger.db`` on ``disk``."""

    begins = "BEGIN IMMEDIATE"
    isolation_level: str | None = None

    def __init__(self, disk: CutDisk) -> None:
        try:
            self.below = apsw.Connection("ledger.db", vfs=disk.name)
        except apsw.Error as error:
            raise sqlite3.OperationalError(type(error).__name__) from error
        self.below.pragma("locking_mode", "exclusive")  # this disk has no memory for processes to share

    def cursor(self, *_: Any) -> CutCursor:
        return CutCursor(self)

    def execute(self, words: str, values: Sequence[Any] = ()) -> CutCursor:
        return self.cursor().execute(words, values)

    def commit(self) -> None:
        if self.below.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.below.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        with suppress(apsw.Error):
            self.below.close(True)


class Outcome(NamedTuple):
    """What a run of cuts came to."""

    cuts: int
    acknowledged: int
    losses: list[str]


class Uncounted:
    def kept(self, parts: int, seconds: float) -> None:
        """Not counted."""


class Life:
    """A ledger on a disk whose power is cut again and again."""

    def __init__(self, seed: int, folder: Path, durability: DatabaseUse) -> None:
        self.chance = random.Random(seed)
        self.folder, self._durability = folder, durability
        self._disk = CutDisk(f"ledger-{seed}-{durability.name}", self.chance)
        self._looks = self._names = 0
        self._open: list[CutConnection] = []
        self.acknowledged: set[str] = set()
        self._asked: set[str] = set()

    def _connected(self) -> Database:
        made = engines("sqlite:////no/such/folder/ledger.db", ConnectionSettings(), self._durability)
        for engine in made:
            event.listen(engine.sync_engine, "do_connect", lambda *_: self._connect())
        return Database(made, ConnectionSettings(), self._durability)

    def _connect(self) -> CutConnection:
        self._open.append(CutConnection(self._disk))
        return self._open[-1]

    async def until_the_next_cut(self) -> None:
        """Open the ledger, write for several callers until the power fails, and let the disk lose what it will."""
        self._disk.switch_on(self.chance.randrange(MOST_OPERATIONS))
        database = self._connected()

        async def ready(one: Database) -> None:
            await HISTORY.migrate(one)  # and reads nothing over another connection, which this disk cannot share

        writer = LedgerWriter(database, ready, Uncounted(), checkpoint_every=CHECKPOINT_EVERY)
        await asyncio.gather(*(self._call_again_and_again(writer, database) for _ in range(CALLERS)))
        self._disk.cut()
        await writer.close()
        while self._open:  # also those whose opening the cut interrupted
            self._open.pop().close()

    async def _call_again_and_again(self, writer: LedgerWriter, database: Database) -> None:
        with suppress(LedgerUnavailable, StoreUnavailable):
            while True:
                self._names += 1
                name = f"{self._names}-".ljust(self.chance.choice((8, 64, 3000)), ".")
                self._asked.add(name)
                assert await writer.write(lambda connection, name=name: use(connection, name, EXPIRES_AT))  # type: ignore[misc]
                self.acknowledged.add(name)

    def look(self) -> None:
        """Open what the cut left with the usual driver, and compare. Raises ``AssertionError``, ``sqlite3.Error``."""
        self._looks += 1
        folder = self.folder / f"look-{self._looks}"
        folder.mkdir(parents=True)
        self._disk.save(folder)
        with closing(sqlite3.connect(folder / "ledger.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'ledger_used_token'").fetchone()
            found = {name for (name,) in connection.execute("SELECT digest FROM ledger_used_token")} if tables[0] else set()
        assert self.acknowledged <= found <= self._asked
        self.acknowledged = found  # what was under way and is there stays there
        if self.chance.random() < 0.5:  # go on with what the usual driver made of it; else with what the cut left
            self._disk.load(folder)


async def cut_again_and_again(cuts: int, folder: Path, durability: DatabaseUse = LEDGER) -> Outcome:
    """``cuts`` power cuts, ten to a ledger; a ledger that lost something is left."""
    done = acknowledged = 0
    losses: list[str] = []
    while done < cuts:
        life = Life(done, folder / f"life-{done}", durability)
        for _ in range(CUTS_IN_A_LIFE):
            await life.until_the_next_cut()
            done += 1
            try:
                life.look()
            except (AssertionError, sqlite3.Error) as error:
                losses.append(f"cut {done}: {type(error).__name__}")
                break
        acknowledged += len(life.acknowledged)
        shutil.rmtree(life.folder)
    return Outcome(done, acknowledged, losses)


@pytest.mark.parametrize("cuts", [60, pytest.param(2000, marks=pytest.mark.soak)])
async def test_nothing_that_was_acknowledged_is_lost_in_power_cuts(cuts: int, tmp_path: Path) -> None:
    outcome = await cut_again_and_again(cuts, tmp_path)
    print(f"{outcome.cuts} power cuts, {outcome.acknowledged} acknowledged writes, {len(outcome.losses)} losses")
    assert outcome.acknowledged > cuts  # or nothing was put to the test
    assert outcome.losses == []


async def test_the_same_cuts_do_lose_what_is_written_as_the_store_is(tmp_path: Path) -> None:
    """What the test above is worth: the store's settings report commits before they are on the disk."""
    outcome = await cut_again_and_again(60, tmp_path, STORE)
    print(f"{outcome.cuts} power cuts, {outcome.acknowledged} acknowledged writes, {len(outcome.losses)} losses")
    assert len(outcome.losses) > 10
