"""Tells whose timelines changed since it was last asked, from the outbox (`consumers.store.outbox`).

On SQLite, with its one writer, what is new has a greater number. On PostgreSQL several transactions write at once: the one that
took the smaller number may commit last, and whoever goes on after the greatest number would miss its rows. So the feed asks for
the rows of transactions that were open, or had not begun, in the snapshot in which it last looked. It misses none and gets each
once, and a transaction that stays open holds up nobody.

Source: PostgreSQL §9.27.7 (``pg_current_snapshot``, ``pg_current_xact_id``).
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, cast, func, literal_column, or_, select, true

from consumers.database.database import Database
from consumers.database.statement import Among, SqlStatement, listed
from consumers.people.tables import PEOPLE_TABLES
from consumers.store.outbox import KEPT, Happening
from consumers.store.tables import CHANGE
from schemas.identifiers import PersonId

_RECORD = PEOPLE_TABLES.record


class Looked(NamedTuple):
    """When the outbox was last looked at."""

    server: str
    """When PostgreSQL was started: another one may be a copy of an earlier moment. ``""`` of SQLite, whose file is known."""
    number: int
    """The greatest number seen."""
    unbegun: int = 0
    """The first transaction that had not begun."""
    open: tuple[int, ...] = ()
    """The transactions that were open."""

    @property
    def least(self) -> int:
        """The first transaction whose rows may be new, so that an index finds them."""
        return min([self.unbegun, *self.open])


class ChangeFeed:
    """Reads the outbox of ``database``, of which the newest ``kept`` rows are there. It belongs to one event loop."""

    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept
        self._looked: Looked | None = None

    async def changed(self) -> frozenset[PersonId] | None:
        """Ids of the persons whose timelines may have changed since the last call; of a former id, of who has the records now.

        ``None``, which means everybody, at the first call, after one that failed, after a rebuild, and when rows may have been
        missed. What is committed after a call is told by a later one. Raises `StoreUnavailable`.
        """
        before, self._looked = self._looked, None
        dialect, asked = self._database.dialect, before or Looked("", 0)
        values = {"number": asked.number, "unbegun": asked.unbegun, "open": listed(asked.open, dialect), "least": asked.least}
        composed = (_HEAD if before is None else _NEWS).on(dialect)
        rows = await self._database.fetch(composed.text, composed.bind(values))
        server, snapshot, head = rows[0][:3]
        self._looked = looked = _looked(server, snapshot, head or 0)
        if before is None or looked.server != before.server or not 0 <= looked.number - before.number <= self._kept:
            return None
        if any(row[3] == Happening.REBUILT for row in rows):
            return None
        return frozenset(PersonId(person) for row in rows for person in row[4:] if person is not None)


def _looked(server: str, snapshot: str, number: int) -> Looked:
    if not snapshot:
        return Looked(server, number)
    _, unbegun, still_open = snapshot.split(":")
    return Looked(server, number, int(unbegun), tuple(int(one) for one in still_open.split(",") if one))


def _moment(sqlite: bool) -> Select[tuple[str, str, int]]:
    """One row: server, snapshot, the greatest number."""
    number = CHANGE.c.number
    head = select(func.max(number)).where(number > literal_column("0")).scalar_subquery().label("head")
    if sqlite:
        return select(literal_column("''").label("server"), literal_column("''").label("snapshot"), head)
    server, snapshot = cast(func.pg_postmaster_start_time(), Text), cast(func.pg_current_snapshot(), Text)
    return select(server.label("server"), snapshot.label("snapshot"), head)


def _news(sqlite: bool) -> Select[tuple[object, ...]]:
    """Rows: as `_moment`, then of each change what happened, the person before and after, and who has the record now."""
    moment = _moment(sqlite).subquery("moment")
    change = CHANGE.outerjoin(_RECORD, _RECORD.c.key == CHANGE.c.record)
    told = select(CHANGE.c.number, CHANGE.c.what, CHANGE.c.was, CHANGE.c.person, _RECORD.c.person.label("now"))
    news = told.select_from(change).where(_unseen(sqlite)).subquery("news")
    return select(*moment.c, *news.c[1:]).select_from(moment.outerjoin(news, true()))


def _unseen(sqlite: bool) -> ColumnElement[bool]:
    if sqlite:
        return CHANGE.c.number > bindparam("number")
    written = CHANGE.c.written
    unseen = or_(written >= bindparam("unbegun"), Among(written, "open", "BIGINT"))
    return and_(written > literal_column("0"), written >= bindparam("least"), unseen)


_HEAD, _NEWS = SqlStatement(_moment), SqlStatement(_news)
