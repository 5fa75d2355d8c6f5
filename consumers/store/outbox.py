"""The outbox: what the projections changed, written in the transaction that changes it, for those who follow.

The people and the timeline projection know nothing of each other, and each writes its own kinds of change here. A rebuild's
copies write none, and the swap says one thing: `Happening.REBUILT`.

A row bears the place in the log that caused it. The rows of one projection that one partition caused are numbered in the order
of the log, as their transactions come one after the other (`consumers.store.positions`); only a parked record that is tried
again comes late. Across partitions, numbers become visible in any order on PostgreSQL (`consumers.timeline.feed`).

Only the newest `KEPT` rows are kept. Whoever missed some compares what they have with what is stored, as after a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, cast, delete, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.bulk import Rows, given_objects
from consumers.database.insertion import insert
from consumers.database.statement import SqlStatement
from consumers.store.tables import CHANGE

KEPT = 100_000
"""Rows that are kept: at the pace of a backlog half a minute, where a reader looks ten times a second; some 15 MB."""
PRUNED_EVERY = 5_000
"""Rows that are written between two prunings, each of which then takes a few milliseconds."""


class Happening(StrEnum):
    """What happened to an entry or a record."""

    NEW = "new"
    """The entry is the newest version of its fact: it was just learned, or an older one that was judged again."""
    WITHDRAWN = "withdrawn"
    """The entry is a withdrawal, and the newest version of its fact."""
    REPLACED = "replaced"
    """The entry, or the withdrawal, has a newer version."""
    SILENCED = "silenced"
    """The entry turned out to say nothing new."""
    MOVED = "moved"
    """The record, with all its entries, belongs to another person now, or is new."""
    NAMED = "named"
    """An id of a person that somebody else's records may have had leads to the record, too."""
    REBUILT = "rebuilt"
    """A read model was made anew: anything may have changed."""


class Change(NamedTuple):
    """A row of the outbox, but for its numbers; its fields are in the order of the columns."""

    what: Happening
    cause: int
    """Place of the event that caused it (`consumers.place`): of several in one transaction, the last about the same."""
    record: str
    entry: int | None = None
    """Place of the entry; ``None`` when it is about the whole record."""
    was: str | None = None
    """Id of the person the record belonged to, or that leads to it; ``None`` for a new record."""
    person: str | None = None
    """Id of the person the record belongs to now, where that changed."""


def _add(sqlite: bool) -> ClauseElement:
    columns = {name: CHANGE.c[name].type for name in Change._fields}
    added: ClauseElement
    if sqlite:
        given: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
        added = insert(CHANGE, sqlite).values(written=literal_column("0"), **given)
        return added
    transaction = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    rows = given_objects(columns)
    added = insert(CHANGE, sqlite).from_select(["written", *columns], select(transaction, *rows.c))
    return added


def _prune(sqlite: bool) -> ClauseElement:
    """Rows that another process is pruning at the moment are left to it."""
    head = select(func.max(CHANGE.c.number)).scalar_subquery()
    old = select(CHANGE.c.number).where(CHANGE.c.number <= head - bindparam("kept"))
    return delete(CHANGE).where(CHANGE.c.number.in_(old if sqlite else old.with_for_update(skip_locked=True)))


_PRUNE = SqlStatement(_prune)


class Outbox:
    """Takes the changes of one projection."""

    def __init__(self, kept: int = KEPT, pruned_every: int = PRUNED_EVERY) -> None:
        self._rows = Rows(Change._fields, _add)
        self._kept, self._pruned_every = kept, pruned_every
        self._unpruned = 0

    async def put(self, changes: Sequence[Change], connection: AsyncConnection) -> None:
        """Write ``changes`` within the transaction of ``connection``, in their order, and now and then prune."""
        await self._rows.write(connection, changes)
        self._unpruned += len(changes)
        if self._unpruned >= self._pruned_every:
            self._unpruned = 0
            await _PRUNE.changed(connection, {"kept": self._kept})
