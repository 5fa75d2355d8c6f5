"""Says what became of an arrival, and when each source was last heard from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from consumers.database.database import Database
from consumers.database.statement import SqlStatement
from consumers.receipts.tables import RECEIPTS_TABLES
from schemas.arrival.receipt import Refusal, decode, encode

_RECEIPT, _PART, _ACTIVITY = RECEIPTS_TABLES
_ACCOUNT = SqlStatement(select(_RECEIPT.c.account).where(_RECEIPT.c.id == bindparam("its_id")))
_PARTS = SqlStatement(
    select(_PART.c.events, _PART.c.refusals, _PART.c.flags).where(_PART.c.id == bindparam("its_id")).order_by(_PART.c.part)
)
_ALL_ACTIVITY = SqlStatement(select(_ACTIVITY).order_by(_ACTIVITY.c.source))

_IDS = msgspec.json.Decoder(list[str])
_REFUSALS = msgspec.json.Decoder(list[Refusal])


class Activity(NamedTuple):
    """What one source has sent so far: received = accepted + rejected (promise P10)."""

    source: str
    last_at: str
    """RFC 3339 in UTC: when something from it last arrived."""
    receipts: int
    received: int
    accepted: int
    rejected: int


class ReceiptsQuery:
    """Answers from the receipts projection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receipt(self, receipt_id: str) -> bytes | None:
        """The receipt as JSON (`schemas.arrival.receipt.Receipt`), with the lists of all its parts joined; ``None`` if there
        is none.

        Raises `StoreUnavailable`.
        """
        async with self._database.reading() as connection:
            found = await _ACCOUNT.rows(connection, {"its_id": receipt_id})
            if not found:
                return None
            account = found[0].account.encode()
            parts = await _PARTS.rows(connection, {"its_id": receipt_id})
        if not parts:
            return bytes(account)
        receipt = decode(account)
        for events, refusals, flags in parts:
            receipt.events.extend(_IDS.decode(events))
            receipt.refusals.extend(_REFUSALS.decode(refusals))
            receipt.flags.extend(_IDS.decode(flags))
        return encode(receipt)

    async def accounts(self) -> list[Activity]:
        """What each source has sent so far, by source id. Raises `StoreUnavailable`."""
        async with self._database.reading() as connection:
            return [Activity(*row) for row in await _ALL_ACTIVITY.rows(connection)]

    async def activity(self) -> Mapping[str, datetime]:
        """When each source was last heard from, without sources that never sent anything. Raises `StoreUnavailable`."""
        return {one.source: datetime.fromisoformat(one.last_at) for one in await self.accounts()}
