"""Receipts: what became of something that arrived."""

from __future__ import annotations

import re

from consumers.receipts.query import ReceiptsQuery
from gateway.uses.caller import Caller
from gateway.uses.recent import recent
from gateway.watching.freshness import Freshness
from schemas.arrival.receipt import Receipt, decode
from schemas.errors import NotFound

RECEIPT_ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Of a receipt, and of a quarantine item."""
PROJECTION = "receipts"
"""What receipts are read from."""


async def receipt(caller: Caller, receipts: ReceiptsQuery, freshness: Freshness, receipt_id: str) -> Receipt:
    """One receipt, which may have been given a moment ago. Raises `NotFound`, `EngineUnavailable`."""
    named = re.fullmatch(RECEIPT_ID, receipt_id, re.ASCII)
    found = await recent(freshness, PROJECTION, lambda: receipts.receipt(receipt_id)) if named else None
    if found is None:
        raise NotFound("there is no such receipt", where="receipt")
    return decode(found)
