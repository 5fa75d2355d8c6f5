"""A person's timeline: a page of it, and what has been learned since.

A page is one statement; its entries are stored as they are served, and nothing is built of them here.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import BindParameter, bindparam, literal_column, select, union

from consumers.place import partition_of
from consumers.store.database import Database
from consumers.store.statement import Among, Statement, listed
from consumers.store.tables import PEOPLE, TIMELINE
from consumers.timeline.ask import among, shape_of, stands, statement, types_of, values_of
from consumers.timeline.cursor import Here, read_changes, read_page, write_changes, write_page
from schemas.identifiers import PersonId
from schemas.timeline import Question

_RECORD, _FORMER, _VERSION = PEOPLE.record, PEOPLE.former, TIMELINE.version
CHANGES_MOST = 500
"""Entries given at once to a reader who follows; the rest comes at the next look."""

_ASKED: BindParameter[str] = bindparam("its_person")
_EARLIER = Statement(
    union(
        select(_RECORD.c.key, _RECORD.c.person).where(_RECORD.c.own_person == _ASKED, _RECORD.c.own_person != _RECORD.c.person),
        select(_RECORD.c.key, _RECORD.c.person)
        .join(_FORMER, _FORMER.c.record == _RECORD.c.key)
        .where(_FORMER.c.person == _ASKED),
    ).order_by("key")
)
"""Who has the records of an id that was given out once and is nobody's now."""


class Page(NamedTuple):
    """A page, ready to be served."""

    entries_json: bytes
    """A JSON array of entries (`schemas.timeline.Entry`) in the order asked."""
    next: str | None
    """Cursor of the page after it; ``None`` at the end."""
    sources: tuple[str, ...]
    """Ids of the sources that hold a record of the person; empty when nobody does."""


class Changes(NamedTuple):
    """What was learned of a person since a reader last looked."""

    entries: Sequence[tuple[str, bytes]]
    """Each with the cursor to go on from after it."""
    after: str
    """Cursor of all that was looked through."""
    known: frozenset[int] = frozenset()
    """Places of what stands on the timeline and has been told: what stands there beside them later on is new to the reader."""


class TimelineQuery:
    """Answers from the timeline projection and from who the records' persons are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, question: Question) -> Page:
        """The page asked for. An id that was given out once leads to the person who has its records now.

        Raises `InvalidRequest` for a cursor that is none of this question's, `StoreUnavailable`.
        """
        after = read_page(question.after, question.order) if question.after else None
        rows = await self._rows(question, after)
        if not rows:
            return await self._empty(question)
        shown, held_by = rows[: question.limit], rows[0][-1]
        last = Here(question.order, *shown[-1][2:5])
        texts = [_entry(row[0], row[1]) for row in shown] if question.resources else [row[0] for row in shown]
        entries = f"[{','.join(texts)}]".encode()
        return Page(entries, write_page(last) if len(rows) > question.limit else None, tuple(held_by.split(",")))

    async def _rows(self, question: Question, after: Here | None) -> Sequence[Any]:
        dialect = self._database.dialect
        composed = statement(shape_of(question, after)).on(dialect)
        return await self._database.fetch(composed.text, composed.bind(values_of(question, after, dialect)))

    async def _empty(self, question: Question) -> Page:
        """Nothing stands under this id: it may be another's now, or have records that state nothing of what was asked."""
        sources = await self._fetch(_SOURCES, {"its_person": question.person})
        if sources:
            return Page(b"[]", None, tuple(source for (source,) in sources))
        moved = await self._fetch(_EARLIER, {"its_person": question.person})
        if not moved or moved[0][1] == question.person:
            return Page(b"[]", None, ())
        return await self.page(replace(question, person=PersonId(moved[0][1])))

    async def changes(self, question: Question, known: frozenset[int] | None = None) -> Changes:
        """What was learned after the cursor ``question.after``; without one nothing, and the cursor of now.

        Who says what is ``known`` from the changes before is given all that stands on the page since, what is judged anew (an
        old snapshot that turns out to say something) and the entries of a record that became the person's included. The cursor
        alone knows of what came into the log after it and no more: a reader that was away asks for the page as well.

        Order and times of ``question`` are not looked at. Raises `InvalidRequest` for what is no cursor, `StoreUnavailable`.
        """
        dialect = self._database.dialect
        values = {
            "its_person": question.person,
            "types": listed(types_of(question), dialect),
            "sectors": listed(question.sectors, dialect),
            "sources": listed(question.sources, dialect),
        }
        wanted = (bool(question.types or question.kinds), bool(question.sectors), bool(question.sources))
        places = sorted(place for (place,) in await self._fetch(_places(question.withdrawn, *wanted), values))
        if question.after is None:
            return Changes((), write_changes({partition_of(place): place for place in places}), frozenset(places))
        seen = read_changes(question.after)
        later = [place for place in places if place > seen.get(partition_of(place), -1)]
        old = set(places).difference(later) if known is None else known.intersection(places)
        fresh = [place for place in places if place not in old][:CHANGES_MOST]
        return (
            await self._learned(fresh, seen, old, question.resources) if fresh else Changes((), question.after, frozenset(old))
        )

    async def _learned(self, fresh: Sequence[int], seen: dict[int, int], old: Set[int], resources: bool) -> Changes:
        asked = {"places": listed(fresh, self._database.dialect)}
        entries = []
        for place, entry, resource in await self._fetch(_WITH_RESOURCE if resources else _BARE, asked):
            part = partition_of(place)
            seen[part] = max(place, seen.get(part, -1))
            entries.append((write_changes(seen), _entry(entry, resource).encode()))
        return Changes(entries, write_changes(seen), frozenset(old).union(fresh))

    async def _fetch(self, asked: Statement, values: dict[str, Any]) -> Sequence[Any]:
        composed = asked.on(self._database.dialect)
        return await self._database.fetch(composed.text, composed.bind(values))


def _entry(entry: str, resource: str | None) -> str:
    """The entry as it is served; its Bundle, if asked for, goes in as its last member."""
    return f'{entry[:-1]},"resource":{resource}}}' if resource else entry


@lru_cache(16)
def _places(withdrawn: bool, types: bool, sectors: bool, sources: bool) -> Statement:
    joined = _RECORD.join(_VERSION, _VERSION.c.record == _RECORD.c.key)
    mine = _RECORD.c.person == bindparam("its_person")
    conditions = (mine, stands(withdrawn, past=False), *among(types, sectors, sources))
    return Statement(select(_VERSION.c.place).select_from(joined).where(*conditions))


def _learned(resource: Any) -> Statement:
    chosen = Among(_VERSION.c.place, "places", "BIGINT")
    return Statement(select(_VERSION.c.place, _VERSION.c.entry, resource).where(chosen).order_by(_VERSION.c.place))


_BARE, _WITH_RESOURCE = _learned(literal_column("NULL")), _learned(_VERSION.c.resource)
_SOURCES = Statement(select(_RECORD.c.source).distinct().where(_RECORD.c.person == bindparam("its_person")))
