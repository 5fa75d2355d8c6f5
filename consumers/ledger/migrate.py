"""The history of the ledger's tables, and how a ledger is opened: the right one, at this program's version."""

from __future__ import annotations

import uuid
from pathlib import Path

from sqlalchemy import Connection, select

from consumers.database.database import Database
from consumers.database.migration.history import Schema, TableHistory
from consumers.database.use import LEDGER
from consumers.ledger.tables import IDENTITY, METADATA
from schemas.errors import LedgerMismatch, LedgerUnavailable

GONE = "the ledger that was used so far is gone"


def _name(connection: Connection) -> None:
    connection.execute(IDENTITY.insert().values(id=1, identity=str(uuid.uuid4())))


HISTORY = TableHistory(
    use=LEDGER,
    metadata=METADATA,
    folder=Path(__file__).parent / "migrations" / "versions",
    stamp="ledger_version",
    lock=0x636172656C656467,
    maker="gateway",
    made=_name,
)


async def prepare(database: Database, known: str = "") -> str:
    """Make the tables of a new ledger, or bring them to this program's version, and return the ledger's identity.

    ``known`` is the identity of the ledger used so far: one that is empty or another is refused and left as it is, because
    going on with it would forget what was promised and disclosed. Raises `LedgerMismatch`, `LedgerUnavailable`, and
    `SettingsError` when the tables are of a newer version.
    """
    if known and await made(database) is Schema.EMPTY:
        raise LedgerMismatch(GONE, where=LEDGER.name)
    await HISTORY.migrate(database)
    return await _require(database, known)


async def made(database: Database) -> Schema:
    """How its tables compare with this program's; a file that is not there is empty, and is not made."""
    return Schema.EMPTY if database.is_missing else await HISTORY.schema(database)


async def answering(database: Database, known: str = "") -> None:
    """Check that the ledger used so far can be read, by tables that are not older than this program; nothing is made.

    Raises `LedgerMismatch`, `LedgerUnavailable` with the cure.
    """
    if known and await made(database) is Schema.EMPTY:
        raise LedgerMismatch(GONE, where=LEDGER.name)
    if database.is_missing:
        cure = "`backbone serve` with gateway among its roles makes it."
        raise LedgerUnavailable("the ledger's file is not there yet", cure=cure)
    await HISTORY.answering(database)
    await _require(database, known)


async def _require(database: Database, known: str) -> str:
    found = await identity(database)
    if known not in ("", found):
        raise LedgerMismatch(f"the ledger used so far was {known}, this one is {found}", where=LEDGER.name)
    return found


async def identity(database: Database) -> str:
    """What tells this ledger from every other. Raises `LedgerUnavailable`."""
    async with database.reading() as connection:
        return str((await connection.execute(select(IDENTITY.c.identity))).scalar_one())
