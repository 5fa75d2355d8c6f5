"""The tables of the receipts read model."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Table

from consumers.store.columns import count, key, part, table, text_column
from schemas.log import RECEIPTS

NAME = "receipts"
"""Names the read model's positions for ever."""
TOPICS = (RECEIPTS,)
"""What it is made from."""


class ReceiptsTables(NamedTuple):
    """What the receipts projection writes."""

    receipt: Table
    part: Table
    """The further lists of a long arrival's receipt, beyond its first record."""
    activity: Table
    """One row per source: when something last arrived, and the sums of its receipts."""


RECEIPTS_TABLES = ReceiptsTables(
    table("receipt", key("id", primary_key=True), key("source"), key("received_at"), text_column("account")),
    table(
        "receipt_part",
        key("id", primary_key=True),
        part(),
        text_column("events"),
        text_column("refusals"),
        text_column("flags"),
    ),
    table(
        "source_activity",
        key("source", primary_key=True),
        key("last_at"),
        *(count(name) for name in ("receipts", "received", "accepted", "rejected")),
    ),
)
