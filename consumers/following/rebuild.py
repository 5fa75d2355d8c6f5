"""Rebuilds a projection from the log, into copies of its tables beside the live ones, and then swaps them in one transaction.

The live projection carries on meanwhile. While events keep coming it is always a little ahead: what is left, no more than a
batch, is applied in the transaction that swaps them, so that nobody sees a timeline go back. At the swap the live runner loses
its positions, finds those of the rebuilt one, and continues from there. Nothing is sent to anybody (promise P3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, MetaData, Table, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import quoted_name

from consumers.database.database import Database
from consumers.following.applier import Applier
from consumers.following.runner import BATCH
from consumers.projection import Projection
from consumers.store.outbox import Change, Happening, Outbox
from consumers.store.tables import PARKED, POSITION
from schemas.log import EventLog, Record

SUFFIX = "_rebuilt"
"""Suffix of the copies' names, and of the projection's own name while it is being rebuilt."""
TRIES = 20
"""How many times the rebuilt projection tries to get near the live one. After that it is swapped as it is, and the
live runner makes up what is left when the next record comes."""
REST = BATCH
"""Most records applied while the live projection stands still for the swap: a batch, a few tenths of a second."""
REST_S = 1.0
"""Longest wait for the log to give them, in seconds: whoever reads the tables waits as well."""

_Ahead = Mapping[tuple[str, int], tuple[int, int]]
"""By topic and partition: from where the rebuilt projection is to where the live one is."""


async def rebuild(
    projection: Projection,
    log: EventLog,
    database: Database,
    clock: Callable[[], datetime],
    progress: Callable[[int], None] = lambda applied: None,
    tries: int = TRIES,
    rest: int = REST,
) -> int:
    """Rebuild ``projection``, put it in the place of the live one, and return how many records it was made from.

    ``progress`` is told the number of records so far. Whatever an interrupted rebuild left behind is thrown away first. Raises
    `schemas.errors.EngineUnavailable`, and then the live projection is untouched.
    """
    copies = _copies(projection.tables)
    async with database.writing() as connection:
        await connection.run_sync(_make, copies)
        await _forget(connection, projection.name + SUFFIX)
    work = _Work(log, Applier([_Shadow(projection, copies)], database, "rebuild", clock), progress)
    for left in reversed(range(tries)):
        await work.catch_up()
        with suppress(_NotYetError):
            async with database.writing() as connection:
                await _keep_out(connection, projection.tables)
                if left:
                    await work.make_up(await _ahead(connection, projection.name), rest, connection)
                await connection.run_sync(_swap, projection.tables, copies)
                await _take_positions(connection, projection.name)
                await Outbox().put([Change(Happening.REBUILT, cause=0, record="")], connection)
            break
    return work.applied


class _NotYetError(Exception):
    """What is left cannot be applied within the swap: roll back, and catch up first, where every error has its remedy."""


class _Shadow:
    """The same projection under another name, on the copies."""

    def __init__(self, projection: Projection, tables: Sequence[Table]) -> None:
        self.name = projection.name + SUFFIX
        self.topics = projection.topics
        together: Any = type(projection.tables)
        self.tables: tuple[Table, ...] = together(*tables)
        self._copy = projection.onto(self.tables)

    def onto(self, tables: Any) -> Self:
        """Not supported: a rebuild is never itself rebuilt."""
        raise TypeError

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """As the projection's own."""
        await self._copy.apply(records, connection)


class _Work:
    """Reads the log from its start."""

    def __init__(self, log: EventLog, applier: Applier, progress: Callable[[int], None]) -> None:
        self._log = log
        self._applier = applier
        self._progress = progress
        self.applied = 0

    async def catch_up(self) -> None:
        """Apply everything up to the current end of the log."""
        for topic in self._applier.topics:
            ends = await self._log.ends(topic)
            claimed = await self._applier.claim(topic, await self._log.starts(topic))
            for positions in claimed.values():
                for partition, position in positions.items():
                    await self._read(topic, partition, position, ends[partition])

    async def make_up(self, ahead: _Ahead, most: int, connection: AsyncConnection) -> None:
        """Apply what the live projection is ahead by, in the transaction of the swap. Raises `_NotYetError`."""
        if sum(end - start for start, end in ahead.values()) > most:
            raise _NotYetError
        try:
            async with asyncio.timeout(REST_S):
                records = [record for partition, span in ahead.items() for record in await self._between(*partition, *span)]
            await self._applier.apply_within(records, connection)
        except Exception as error:
            raise _NotYetError from error
        self.applied += len(records)

    async def _between(self, topic: str, partition: int, position: int, end: int) -> list[Record]:
        found: list[Record] = []
        while position < end:
            records = await self._log.read(topic, partition, position, end - position)
            if not records:
                break
            found += [record for record in records if record.offset < end]
            position = records[-1].offset + 1
        return found

    async def _read(self, topic: str, partition: int, position: int, end: int) -> None:
        while position < end:
            records = await self._log.read(topic, partition, position, BATCH)
            if not records:
                return
            await self._applier.apply(records)
            position = records[-1].offset + 1
            self.applied += len(records)
            self._progress(self.applied)


def _copies(tables: Sequence[Table]) -> list[Table]:
    """Tables of the same shape with other names, as have their indexes."""
    beside = MetaData()
    copies = [table.to_metadata(beside, name=table.name + SUFFIX) for table in tables]
    for copy in copies:
        if copy.primary_key.name:
            copy.primary_key.name = quoted_name(f"{copy.primary_key.name}{SUFFIX}", quote=None)
        for index in copy.indexes:
            index.name = quoted_name(f"{index.name}{SUFFIX}", quote=None)
    return copies


def _make(connection: Connection, copies: Sequence[Table]) -> None:
    for copy in copies:
        copy.drop(connection, checkfirst=True)
        copy.create(connection)


async def _forget(connection: AsyncConnection, name: str) -> None:
    for table in (POSITION, PARKED):
        await connection.execute(delete(table).where(table.c.projection == name))


async def _keep_out(connection: AsyncConnection, tables: Sequence[Table]) -> None:
    """Wait until nobody is working on ``tables``, and let nobody start until this transaction ends.

    The live projection takes its tables first and its positions last; in any other order here, each would wait for the other.
    SQLite has only one writer anyway.
    """
    if connection.dialect.name != "sqlite":
        names = ", ".join(f'"{table.name}"' for table in tables)
        await connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))


async def _ahead(connection: AsyncConnection, name: str) -> _Ahead:
    """What the live projection has applied and the rebuilt one has not. From here on neither can move."""
    live, rebuilt = await _positions(connection, name), await _positions(connection, name + SUFFIX)
    spans = {partition: (rebuilt.get(partition, 0), position) for partition, position in live.items()}
    return {partition: (start, end) for partition, (start, end) in spans.items() if start < end}


async def _positions(connection: AsyncConnection, name: str) -> dict[tuple[str, int], int]:
    """The positions of ``name``, locked until this transaction ends."""
    wanted = select(POSITION.c.topic, POSITION.c.partition, POSITION.c.next).where(POSITION.c.projection == name)
    rows = await connection.execute(wanted.order_by(POSITION.c.topic, POSITION.c.partition).with_for_update())
    return {(topic, partition): position for topic, partition, position in rows}


def _swap(connection: Connection, tables: Sequence[Table], copies: Sequence[Table]) -> None:
    """Put the copies in the place of the live tables, under their names."""
    for table, copy in zip(tables, copies, strict=True):
        table.drop(connection)
        _rename(connection, "TABLE", copy.name, table.name)
        if connection.dialect.name == "sqlite":
            _index_anew(connection, table, copy)
        else:
            _rename(connection, "INDEX", str(copy.primary_key.name), str(table.primary_key.name))
            for index in copy.indexes:
                _rename(connection, "INDEX", str(index.name), str(index.name).removesuffix(SUFFIX))


def _index_anew(connection: Connection, table: Table, copy: Table) -> None:
    """Recreate an index, as SQLite cannot rename one. The live projection waits: a second for a million rows."""
    for index in copy.indexes:
        connection.execute(text(f'DROP INDEX "{index.name}"'))
    for index in table.indexes:
        index.create(connection)


def _rename(connection: Connection, kind: str, name: str, to: str) -> None:
    connection.execute(text(f'ALTER {kind} "{name}" RENAME TO "{to}"'))


async def _take_positions(connection: AsyncConnection, name: str) -> None:
    """Give the live projection the positions and parked records of the rebuilt one, which voids its runner's claim."""
    await _forget(connection, name)
    for table in (POSITION, PARKED):
        await connection.execute(update(table).where(table.c.projection == name + SUFFIX).values(projection=name))
