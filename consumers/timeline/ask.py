"""Builds the SQL statement for a timeline query. Each combination of filters (`QueryShape`) is composed once and kept.

The statement first finds which entries are on the page, from one index and without reading an entry, and then reads only those.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, or_, select, tuple_
from sqlalchemy.engine.interfaces import Dialect

from consumers.database.statement import Among, SqlStatement, listed
from consumers.people.tables import PEOPLE_TABLES
from consumers.timeline.cursor import PageEnd
from consumers.timeline.tables import TIMELINE_TABLES
from consumers.timeline.versions.version import WITHDRAWALS, State
from schemas.catalogue import CATALOGUE
from schemas.timeline import Order, Question

_RECORD, _VERSION = PEOPLE_TABLES.record, TIMELINE_TABLES.version
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANK = (_VERSION.c.occurred_at, _VERSION.c.tie, _VERSION.c.place)
_STATED, _WITHDRAWN = (State.CURRENT, State.PAST), (State.WITHDRAWN, State.PAST_WITHDRAWAL)


class QueryShape(NamedTuple):
    """Which filters and options a statement has. Only a few of the possible combinations are ever used."""

    order: Order
    since: bool
    until: bool
    types: bool
    sectors: bool
    sources: bool
    as_of: bool
    after: bool
    resources: bool
    withdrawn: bool


def shape_of(question: Question, after: PageEnd | None) -> QueryShape:
    """The shape of ``question``."""
    return QueryShape(
        order=question.order,
        since=question.since is not None,
        until=question.until is not None,
        types=bool(question.types or question.kinds),
        sectors=bool(question.sectors),
        sources=bool(question.sources),
        as_of=question.as_of is not None,
        after=after is not None,
        resources=question.resources,
        withdrawn=question.withdrawn,
    )


def values_of(question: Question, after: PageEnd | None, dialect: Dialect) -> dict[str, Any]:
    """The parameters of the statement for ``question``. Lists are only built for filters that the question uses."""
    asked = {
        "its_person": question.person,
        "since": _microseconds(question.since),
        "until": _microseconds(question.until),
        "as_of": _microseconds(question.as_of),
        "many": question.limit + 1,  # the extra row shows whether there is a next page
    }
    if question.types or question.kinds:
        asked["types"] = listed(types_of(question), dialect)
    if question.sectors:
        asked["sectors"] = listed(question.sectors, dialect)
    if question.sources:
        asked["sources"] = listed(question.sources, dialect)
    if after:
        asked |= {"after_at": after.occurred_at, "after_tie": after.tie, "after_place": after.place}
    return asked


def types_of(question: Question) -> list[str]:
    """The event types asked for, by name or by kind."""
    return [
        row.name
        for row in CATALOGUE.values()
        if (not question.types or row.name in question.types) and (not question.kinds or row.kind in question.kinds)
    ]


@lru_cache(256)
def statement(shape: QueryShape) -> SqlStatement:
    """Rows: entry, resource (or NULL), occurred_at, tie, place, and the ids of all sources that hold a record of the person."""
    ranked = [part.desc() if shape.order is Order.NEWEST else part.asc() for part in _RANK]
    mine = select(_RECORD.c.key, _RECORD.c.source).where(_RECORD.c.person == bindparam("its_person")).cte("mine")
    joined = mine.join(_VERSION, _VERSION.c.record == mine.c.key)
    found = select(*_RANK).select_from(joined).where(*_conditions(shape)).order_by(*ranked)
    page = limited(found, bindparam("many")).subquery("page")
    resource = _VERSION.c.resource if shape.resources else literal_column("NULL")

    def compose(sqlite: bool) -> Select[Any]:
        each = mine.c.source.distinct()
        joined_ids = func.group_concat(each) if sqlite else func.string_agg(each, literal_column("','"))
        held_by = select(joined_ids).scalar_subquery().label("held_by")
        whole = select(_VERSION.c.entry, resource, *_RANK, held_by)
        return whole.select_from(page.join(_VERSION, _VERSION.c.place == page.c.place)).order_by(*ranked)

    return SqlStatement(compose)


def limited(rows: Select[Any], most: ColumnElement[int]) -> Select[Any]:
    """``rows``, limited to ``most``. The offset is a literal, as SQLite's dialect adds a parameter for a missing one."""
    return rows.limit(most).offset(literal_column("0"))


def _conditions(shape: QueryShape) -> Iterator[ColumnElement[bool]]:
    yield stands(shape.withdrawn, shape.as_of)
    if shape.since:
        yield _VERSION.c.occurred_at >= bindparam("since")
    if shape.until:
        yield _VERSION.c.occurred_at < bindparam("until")
    if shape.as_of:
        until = _VERSION.c.known_until
        yield and_(_VERSION.c.recorded_at <= bindparam("as_of"), or_(until.is_(None), until > bindparam("as_of")))
    if shape.after:
        last = tuple_(bindparam("after_at"), bindparam("after_tie"), bindparam("after_place"))
        yield tuple_(*_RANK) < last if shape.order is Order.NEWEST else tuple_(*_RANK) > last
    yield from among(shape.types, shape.sectors, shape.sources)


def stands(withdrawn: bool, past: bool) -> ColumnElement[bool]:
    """The condition for versions that are shown.

    These are the newest versions; with ``past``, also those that have been replaced; with ``withdrawn``, also withdrawals.
    """
    states = [state for states in (_STATED, _WITHDRAWN)[: 1 + withdrawn] for state in states[: 1 + past]]
    return _VERSION.c.state.in_([literal_column(str(int(state))) for state in states])


def among(types: bool, sectors: bool, sources: bool) -> Iterator[ColumnElement[bool]]:
    """The conditions on an entry's type, sector and source."""
    for wanted, name in ((types, "type"), (sectors, "sector"), (sources, "source")):
        if wanted:
            yield Among(_VERSION.c[name], f"{name}s")


def is_asked(question: Question, type_: str, sector: str, source: str) -> bool:
    """Whether ``question`` asks for entries of this type, sector and source, current or not."""
    return (
        (question.withdrawn or type_ not in WITHDRAWALS)
        and (not (question.types or question.kinds) or type_ in types_of(question))
        and (not question.sectors or sector in question.sectors)
        and (not question.sources or source in question.sources)
    )


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
