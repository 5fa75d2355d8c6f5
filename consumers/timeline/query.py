"""Reads a person's timeline: a page of it, and its changes since a cursor.

A page is one statement. Entries are stored as the JSON they are served as, and are not parsed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, literal_column, select, union, union_all

from consumers.database.database import Database
from consumers.database.statement import Among, SqlStatement, listed
from consumers.people.tables import PEOPLE_TABLES
from consumers.timeline.ask import among, is_asked, shape_of, stands, statement, types_of, values_of
from consumers.timeline.cursor import PageEnd, read_changes, read_page, write_changes, write_page
from consumers.timeline.follow import FollowedVersion, Seen, TimelineState, all_seen, settled, still_true, tell, unseen
from consumers.timeline.follow import gone as gone_entries
from consumers.timeline.tables import TIMELINE_TABLES
from consumers.timeline.versions.version import State
from schemas.identifiers import PersonId
from schemas.timeline import Question

_RECORD, _FORMER, _VERSION = PEOPLE_TABLES.record, PEOPLE_TABLES.former, TIMELINE_TABLES.version
CHANGES_MOST = 500
"""Most entries in one answer to a reader who follows; the rest comes with the next."""

_ASKED: BindParameter[str] = bindparam("its_person")
_EARLIER = SqlStatement(
    union(
        select(_RECORD.c.key, _RECORD.c.person).where(_RECORD.c.own_person == _ASKED, _RECORD.c.own_person != _RECORD.c.person),
        select(_RECORD.c.key, _RECORD.c.person)
        .join(_FORMER, _FORMER.c.record == _RECORD.c.key)
        .where(_FORMER.c.person == _ASKED),
    ).order_by("key")
)
"""The persons who now have the records of a former person id."""


class PageRows(NamedTuple):
    """The rows of a page."""

    rows: Sequence[tuple[str, str | None]]
    """Each entry as JSON, and its Bundle as JSON if it was asked for."""
    next: str | None
    """As in `Page`."""
    sources: tuple[str, ...]
    """As in `Page`."""


class Page(NamedTuple):
    """A page, ready to be served."""

    entries_json: bytes
    """A JSON array of entries (`schemas.timeline.Entry`) in the order asked."""
    next: str | None
    """Cursor of the page after it; ``None`` at the end."""
    sources: tuple[str, ...]
    """Ids of the sources that hold a record of the person; empty when nobody does."""


class Changes(NamedTuple):
    """How a person's timeline changed since a reader last looked."""

    entries: Sequence[tuple[str, bytes]]
    """New entries, each with the cursor to continue after it. They are sent after ``gone``."""
    after: str
    """Cursor after all these changes."""
    known: frozenset[int] = frozenset()
    """Places of the current entries that the reader has been sent; any other that is current later is new to them."""
    gone: Sequence[tuple[str, str]] = ()
    """Ids of entries that are no longer current, each with the cursor to continue after it."""
    person: PersonId = PersonId("")
    """Whose timeline it is: somebody else's than was asked for when that is a former id."""


class TimelineQuery:
    """Answers from the timeline projection, and from the people projection for whose each record is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, question: Question) -> Page:
        """The page asked for. A former person id leads to the person who has its records now.

        Raises `InvalidRequest` when the cursor is not one of this question's, `StoreUnavailable`.
        """
        found = await self.rows(question)
        texts = [_entry(*row) for row in found.rows] if question.resources else [entry for entry, _ in found.rows]
        return Page(f"[{','.join(texts)}]".encode(), found.next, found.sources)

    async def rows(self, question: Question) -> PageRows:
        """Like `page`, with each entry and its Bundle apart."""
        after = read_page(question.after, question.order) if question.after else None
        rows = await self._fetch_page(question, after)
        if not rows:
            return await self._empty(question)
        shown = rows[: question.limit]
        last = PageEnd(question.order, *shown[-1][2:5])
        following = write_page(last) if len(rows) > question.limit else None
        return PageRows([row[:2] for row in shown], following, tuple(rows[0][-1].split(",")))

    async def _fetch_page(self, question: Question, after: PageEnd | None) -> Sequence[Any]:
        dialect = self._database.dialect
        composed = statement(shape_of(question, after)).on(dialect)
        return await self._database.fetch(composed.text, composed.bind(values_of(question, after, dialect)))

    async def _empty(self, question: Question) -> PageRows:
        """The page when no entry matches: the id may be a former one, or its records may have no entry that was asked for."""
        sources = await self._fetch(_SOURCES, {"its_person": question.person})
        if sources:
            return PageRows((), None, tuple(source for (source,) in sources))
        now = await self._now(question.person)
        return PageRows((), None, ()) if now is None else await self.rows(replace(question, person=now))

    async def _now(self, person: PersonId) -> PersonId | None:
        moved = await self._fetch(_EARLIER, {"its_person": person})
        return PersonId(moved[0][1]) if moved and moved[0][1] != person else None

    async def changes(self, question: Question, known: frozenset[int] | None = None) -> Changes:
        """The changes after the cursor ``question.after``; without one, no changes and the current cursor.

        An entry is new also when its event is old but was judged again (an old snapshot turns out to say something) or when
        its record became the person's. An entry is gone when it was replaced or withdrawn, or when its record is another
        person's now. A caller who passes ``known`` from the previous changes gets each change once. A caller who returns with
        a cursor alone misses none, but gets all entries of a record again when one of them was judged again. While no source
        holds a record of the person there are no changes.

        The order and the times of ``question`` are ignored. Raises `InvalidRequest` for an invalid cursor, `StoreUnavailable`.
        """
        seen: Seen | None = read_changes(question.after) if question.after else None
        if known is not None:
            places = await self._places(question)
            if places and places == known:
                return Changes((), question.after or "", places, person=question.person)
        standing = TimelineState(await self._rows_of(_standing, question))
        if not standing.shown and not await self._fetch(_SOURCES, {"its_person": question.person}):
            now = await self._now(question.person)
            nothing = Changes((), question.after or write_changes({}), known or frozenset(), person=question.person)
            return nothing if now is None else await self.changes(replace(question, person=now), known)
        if seen is None:
            return Changes((), write_changes(all_seen(standing)), standing.places, person=question.person)
        lost = await self._lost(question, seen, standing, known)
        if known is None:
            seen = still_true(seen, standing)
            known = standing.places.difference(unseen(seen, standing))
        known &= standing.places
        fresh = standing.places - known
        marks = settled(seen, standing, fresh) if lost else seen
        gone = list(zip([*[question.after or ""] * (len(lost) - 1), write_changes(marks)], lost, strict=False))
        told = list(islice(tell(marks, standing, fresh), CHANGES_MOST))
        entries = await self._entries([place for place, _ in told], question.resources)
        cursors = [write_changes(marks) for _, marks in told]
        after = cursors[-1] if cursors else gone[-1][0] if gone else question.after or ""
        told_now = known.union(place for place, _ in told)
        return Changes(list(zip(cursors, entries, strict=True)), after, told_now, gone, question.person)

    async def _lost(self, question: Question, seen: Seen, standing: TimelineState, known: frozenset[int] | None) -> list[str]:
        """Ids of the entries that the reader may have and that are no longer current."""
        dialect = self._database.dialect
        if known is not None:
            places = sorted(known - standing.places)
            found = await self._fetch(_IDS, {"places": listed(places, dialect)}) if places else ()
            return [entry for (entry,) in found]
        rows = await self._fetch(_STATED, {"records": listed(sorted(seen), dialect)}) if seen else ()
        versions = [
            FollowedVersion(record, place, entry, fact, number, is_asked(question, *of))
            for record, place, entry, fact, number, *of in rows
        ]
        return gone_entries(seen, standing, versions)

    async def _entries(self, places: Sequence[int], resources: bool) -> list[bytes]:
        """The entries at ``places``, in order."""
        asked = {"places": listed(places, self._database.dialect)}
        found = await self._fetch(_WITH_RESOURCE if resources else _BARE, asked)
        return [_entry(entry, resource).encode() for _, entry, resource in found]

    async def _places(self, question: Question) -> frozenset[int]:
        """Places of the current entries that are asked for."""
        return frozenset(place for _, place, _ in await self._rows_of(_shown, question))

    async def _rows_of(self, statement: Callable[..., SqlStatement], question: Question) -> Sequence[Any]:
        """The rows of ``statement`` when built for the filters of ``question``."""
        dialect = self._database.dialect
        values = {
            "its_person": question.person,
            "types": listed(types_of(question), dialect),
            "sectors": listed(question.sectors, dialect),
            "sources": listed(question.sources, dialect),
        }
        wanted = (bool(question.types or question.kinds), bool(question.sectors), bool(question.sources))
        return await self._fetch(statement(question.withdrawn, *wanted), values)

    async def _fetch(self, asked: SqlStatement, values: dict[str, Any]) -> Sequence[Any]:
        composed = asked.on(self._database.dialect)
        return await self._database.fetch(composed.text, composed.bind(values))


def _entry(entry: str, resource: str | None) -> str:
    """The entry as it is served, with its Bundle, if asked for, as the last member."""
    return f'{entry[:-1]},"resource":{resource}}}' if resource else entry


_HELD = _RECORD.join(_VERSION, _VERSION.c.record == _RECORD.c.key)
_MINE = _RECORD.c.person == bindparam("its_person")


@lru_cache(16)
def _shown(withdrawn: bool, types: bool, sectors: bool, sources: bool) -> SqlStatement:
    return SqlStatement(_of_shown(withdrawn, types, sectors, sources))


def _of_shown(withdrawn: bool, types: bool, sectors: bool, sources: bool) -> Select[Any]:
    """Rows: record, place, NULL."""
    conditions = (_MINE, stands(withdrawn, past=False), *among(types, sectors, sources))
    return select(_RECORD.c.key, _VERSION.c.place, literal_column("NULL")).select_from(_HELD).where(*conditions)


@lru_cache(16)
def _standing(withdrawn: bool, types: bool, sectors: bool, sources: bool) -> SqlStatement:
    """The rows for `consumers.timeline.follow.TimelineState`, in one statement so that all are of one moment."""
    of = (_RECORD.c.key, _VERSION.c.place)
    hidden = select(*of, literal_column("''")).where(_MINE, _VERSION.c.state == literal_column(str(int(State.HIDDEN))))
    withdrawals: list[ColumnElement[str]] = [
        literal_column(str(int(state))) for state in (State.WITHDRAWN, State.PAST_WITHDRAWAL)
    ]
    withdrawing = select(*of, _VERSION.c.fact).where(_MINE, _VERSION.c.state.in_(withdrawals))
    quiet = (one.select_from(_HELD) for one in (hidden, withdrawing))
    return SqlStatement(union_all(_of_shown(withdrawn, types, sectors, sources), *quiet))


def _learned(resource: Any) -> SqlStatement:
    chosen = Among(_VERSION.c.place, "places", "BIGINT")
    return SqlStatement(select(_VERSION.c.place, _VERSION.c.entry, resource).where(chosen).order_by(_VERSION.c.place))


_BARE, _WITH_RESOURCE = _learned(literal_column("NULL")), _learned(_VERSION.c.resource)
_IDS = SqlStatement(select(_VERSION.c.event).where(Among(_VERSION.c.place, "places", "BIGINT")).order_by(_VERSION.c.place))
_STATED = SqlStatement(
    select(*(_VERSION.c[name] for name in ("record", "place", "event", "fact", "version", "type", "sector", "source"))).where(
        Among(_VERSION.c.record, "records")
    )
)
_SOURCES = SqlStatement(select(_RECORD.c.source).distinct().where(_RECORD.c.person == bindparam("its_person")))
