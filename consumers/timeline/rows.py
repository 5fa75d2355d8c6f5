"""The SQL statements with which the timeline projection reads and writes its tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Table, Text, and_, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.insertion import Insertion, replace
from consumers.database.revision import Revision
from consumers.database.statement import Among, SqlStatement, given, given_rows, listed
from consumers.timeline.tables import TimelineTables
from consumers.timeline.versions.fold import RankedVersion
from consumers.timeline.versions.known import KnownSubject
from consumers.timeline.versions.version import COLUMNS, WITHDRAWALS, Version
from schemas.errors import StoreUnavailable

_KNOWN = msgspec.json.Decoder(KnownSubject)
_IDENTITY = ("record", "occurred_at", "tie")
"""The columns that identify an event, all in one index (there is no index on the event's id)."""
_CHANGING = ("known_until", "state", "version", "fact", "latest", "named", "entry")
"""The columns that may change when a version is judged again; the others come from its event alone."""


class TimelineRows:
    """Reads and writes ``tables``; contains no rules."""

    def __init__(self, tables: TimelineTables) -> None:
        table, known = tables.version, tables.known
        facts, records = Among(table.c.fact, "facts"), Among(table.c.record, "records")
        stays = Among(table.c.correlation, "stays")
        stray, stay = table.c.named.is_not(None), (table.c.record, table.c.correlation)
        self._seen = SqlStatement(lambda sqlite: _seen(table, sqlite))
        self._newest = SqlStatement(lambda sqlite: _newest(table, sqlite))
        self._lock = SqlStatement(select(table.c.place).where(facts).order_by(table.c.place).with_for_update())
        self._versions = SqlStatement(select(*_without(table, "resource")).where(facts))
        self._of_records = SqlStatement(select(table).where(records))
        self._of_stays = SqlStatement(select(table).where(records, stays))
        self._strays = SqlStatement(select(*stay).where(stray, records, stays))
        self._naming = SqlStatement(select(*stay).where(stray, Among(table.c.named, "facts")))
        self._stated = SqlStatement(select(table.c.fact).distinct().where(facts, ~_withdraws(table)))
        self._insert = Insertion(table)
        self._demote = Revision(table, ["known_until", "state", "latest"], ["place", "latest"])
        self._unnumber = SqlStatement(update(table).where(Among(table.c.place, "places", "BIGINT")).values(version=None))
        self._restate = Revision(table, _CHANGING, ["place"])
        self._known = SqlStatement(select(known).where(Among(known.c.subject, "subjects")))
        self._note = Insertion(known, replace)

    async def seen(self, versions: Sequence[Version], connection: AsyncConnection) -> set[str]:
        """Ids of the events of ``versions`` that are already stored."""
        rows = [(version.record, version.occurred_at, version.tie) for version in versions]
        found = await self._seen.tuples(connection, given_rows(rows, _IDENTITY, connection.dialect))
        return {event for (event,) in found}

    async def newest(self, facts: Collection[str], connection: AsyncConnection) -> dict[str, Version]:
        """The newest version of each of ``facts`` that has one, without its entry and resource."""
        asked = given_rows([(fact,) for fact in facts], ("fact",), connection.dialect)
        versions = (Version(*row) for row in await self._newest.tuples(connection, asked))
        return {version.fact: version for version in versions}

    async def versions(self, facts: Collection[str], connection: AsyncConnection) -> list[Version]:
        """Every version of ``facts``, locked against other writers until this transaction ends."""
        asked = {"facts": listed(facts, connection.dialect)}
        if connection.dialect.name != "sqlite":
            await self._lock.tuples(connection, asked)
        return [Version(*row) for row in await self._versions.tuples(connection, asked)]

    async def history(self, records: Collection[str], stays: Collection[str], connection: AsyncConnection) -> list[Version]:
        """Every version of ``records`` or, when ``stays`` are given, of those stays of theirs."""
        asked = {"records": listed(records, connection.dialect), "stays": listed(stays, connection.dialect)}
        statement = self._of_stays if stays else self._of_records
        return [Version(*row) for row in await statement.tuples(connection, asked)]

    async def strays(self, versions: Iterable[Version], connection: AsyncConnection) -> set[tuple[str, str]]:
        """The stays (record, correlation) that need judging because of ``versions``.

        These are stays of theirs with a stray withdrawal, and stays with a stray withdrawal that names a fact of theirs.
        """
        stays = {(version.record, version.correlation) for version in versions if version.correlation}
        asked = {
            "records": listed({record for record, _ in stays}, connection.dialect),
            "stays": listed({stay for _, stay in stays}, connection.dialect),
            "facts": listed({version.fact for version in versions}, connection.dialect),
        }
        near = {(record, stay) for record, stay in await self._strays.tuples(connection, asked)} & stays
        return near | {(record, stay) for record, stay in await self._naming.tuples(connection, asked)}

    async def stated(self, facts: Collection[str], connection: AsyncConnection) -> set[str]:
        """Those of ``facts`` that have a version which is not a withdrawal."""
        found = await self._stated.tuples(connection, {"facts": listed(facts, connection.dialect)})
        return {fact for (fact,) in found}

    async def known(self, subjects: Collection[str], connection: AsyncConnection) -> dict[str, KnownSubject]:
        """What is known of each of ``subjects``; only those of which snapshots were sent are included."""
        found = await self._known.tuples(connection, {"subjects": listed(subjects, connection.dialect)})
        return {subject: _KNOWN.decode(state) for subject, state in found}

    async def note(self, known: dict[str, KnownSubject], connection: AsyncConnection) -> None:
        """Store what is known of each subject."""
        rows = [(subject, msgspec.json.encode(state).decode()) for subject, state in sorted(known.items())]
        await self._note.put(connection, rows)

    async def insert(self, versions: Sequence[Version], connection: AsyncConnection) -> None:
        """Add new versions."""
        await self._insert.put(connection, [msgspec.structs.astuple(version) for version in versions])

    async def demote(self, changed: Iterable[RankedVersion], connection: AsyncConnection) -> None:
        """Update versions that were the newest when they were read.

        Raises `StoreUnavailable` when another process changed one in between: try the transaction again.
        """
        rows = [(one.known_until, one.state, one.latest, one.version.place, one.version.latest) for one in changed]
        if await self._demote.make(connection, rows) != len(rows):
            raise StoreUnavailable("another process wrote to the same fact at the same time")

    async def restate(self, versions: Sequence[Version], connection: AsyncConnection) -> None:
        """Rewrite stored versions. All their numbers are cleared first, as no two versions of a fact may share one."""
        if versions:
            places = listed((version.place for version in versions), connection.dialect)
            await self._unnumber.changed(connection, {"places": places})
        rows = [(*(getattr(version, name) for name in _CHANGING), version.place) for version in versions]
        await self._restate.make(connection, rows)


def _without(table: Table, *unread: str) -> list[ColumnElement[Any]]:
    """Every column, with ``""`` in place of the ``unread`` ones, so that long values nobody needs are not fetched."""
    return [literal_column("''").label(name) if name in unread else table.c[name] for name in COLUMNS]


def _seen(table: Table, sqlite: bool) -> ClauseElement:
    """The ids of the given events that are in the table."""
    asked = given(sqlite, record=Text(), occurred_at=BigInteger(), tie=BigInteger())
    same = and_(*(table.c[name] == asked.c[name] for name in _IDENTITY))
    return select(table.c.event).select_from(asked.join(table, same))


def _newest(table: Table, sqlite: bool) -> ClauseElement:
    """The version with the highest number of each given fact."""
    asked, other = given(sqlite, fact=Text()), table.alias()
    number = select(func.max(other.c.version)).where(other.c.fact == asked.c.fact).scalar_subquery()
    joined = asked.join(table, (table.c.fact == asked.c.fact) & (table.c.version == number))
    return select(*_without(table, "entry", "resource")).select_from(joined)


def _withdraws(table: Table) -> ColumnElement[bool]:
    return table.c.type.in_([literal_column(f"'{name}'") for name in sorted(WITHDRAWALS)])
