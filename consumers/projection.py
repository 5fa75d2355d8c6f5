"""The port of every read model: log records in, rows out, in the same transaction that moves the position.

A read model is one value, `ReadModel`, and `consumers.models` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from schemas.log import Record
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source


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


class Surroundings(Protocol):
    """What read models may be made with. Each takes what it needs, and nothing else is made for it."""

    @property
    def pseudonyms(self) -> Pseudonyms:
        """Keys made with the backbone's secret. Raises `schemas.errors.NotFound` when there is none."""
        ...

    @property
    def sources(self) -> Mapping[str, Source]:
        """The declared sources, by id."""
        ...


Query_co = TypeVar("Query_co", covariant=True)


class ReadModel(NamedTuple, Generic[Query_co]):
    """All that the rest of the backbone has to know of one read model."""

    name: str
    """Names its positions for ever, for example ``timeline``."""
    topics: tuple[str, ...]
    """What it is made from."""
    projection: Callable[[Surroundings], Projection]
    """Makes what writes it."""
    query: Callable[[Database, Surroundings], Query_co]
    """Makes what answers from it."""
