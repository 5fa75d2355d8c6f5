"""The port of every read model: log records in, rows out, in the same transaction that moves the position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.log import Record


class Projection(Protocol):
    """One read model, made from the log and from nothing else.

    ``apply`` keeps three rules, held by ``tests/contract/test_projections.py``:

    * a record applied twice changes nothing the second time;
    * any interleaving of partitions, and any order of a fact's versions, ends in the same rows;
    * it does no I/O except through the given connection, and never commits.
    """

    @property
    def name(self) -> str:
        """Names its position for ever, for example ``timeline``."""
        ...

    @property
    def topics(self) -> tuple[str, ...]:
        """What it reads."""
        ...

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables it writes, as a named tuple. Nobody else writes them."""
        ...

    def onto(self, tables: Any) -> Self:
        """The same projection writing to ``tables``, which are copies of its own in the same named tuple."""
        ...

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """Write what ``records`` state. Records of one partition come in offset order.

        Raises on a record it cannot apply: the runner rolls back, finds the one at fault and parks it.
        """
        ...
