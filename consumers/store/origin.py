"""Remembers which log a store was filled from. Positions in one log mean nothing in another: a mistake would mix two
histories.

Source: KIP-78 (a cluster's id).
"""

from __future__ import annotations

from sqlalchemy import select

from consumers.database.database import Database
from consumers.database.insertion import insert
from consumers.store.tables import ORIGIN
from schemas.errors import OtherLogError

_KNOWN = select(ORIGIN.c.log)


async def remember(database: Database, identity: str) -> None:
    """Note that the store is filled from the log with this identity (`schemas.log.EventLog.identity`); an empty one is not
    noted.

    Raises `OtherLogError` when it was filled from another one, `schemas.errors.StoreUnavailable`.
    """
    async with database.writing() as connection:
        known = (await connection.execute(_KNOWN)).scalar()
        if known is None and identity:
            await connection.execute(insert(ORIGIN, database.is_sqlite).values(id=1, log=identity).on_conflict_do_nothing())
            known = (await connection.execute(_KNOWN)).scalar()
        _require(known, identity)


async def require(database: Database, identity: str) -> None:
    """Check that the store was filled from no other log. Raises `OtherLogError`, `schemas.errors.StoreUnavailable`."""
    async with database.reading() as connection:
        _require((await connection.execute(_KNOWN)).scalar(), identity)


async def require_none(database: Database, shown: str) -> None:
    """Check that the store was filled from no log, as the one at the address ``shown`` is yet to be made.

    Raises `OtherLogError`, `schemas.errors.StoreUnavailable`.
    """
    async with database.reading() as connection:
        known = (await connection.execute(_KNOWN)).scalar()
    if known is not None:
        raise OtherLogError(f"the store was filled from {known}, there is no log at {shown}", where="store")


def _require(known: str | None, identity: str) -> None:
    if known is not None and known != identity:
        raise OtherLogError(
            f"the store was filled from {known}, this log is {identity or 'one without identity'}", where="store"
        )
