"""What may be asked of a timeline, as a table; and the question that a query makes. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from gateway.uses.parameters import Parameter, Parameters
from gateway.uses.values import CURSOR, MOMENT, SOURCE, one_of, whole
from schemas.catalogue import CATALOGUE, Kind
from schemas.errors import InvalidRequest
from schemas.identifiers import PersonId
from schemas.source import Sector
from schemas.timeline import LIMIT, LIMIT_MOST, Order, Question

RESOURCE, WITHDRAWN = "resource", "withdrawn"
_NONE: frozenset[str] = frozenset()

FILTERS = (
    Parameter("kind", one_of(Kind), "What the entries are about.", many=True),
    Parameter("sector", one_of(Sector), "The part of health and care they come from.", many=True),
    Parameter("type", one_of(CATALOGUE), "Event types; `/catalogue` lists them.", many=True),
    Parameter("source", SOURCE, "Who stated them.", many=True),
)
INCLUDE = Parameter(
    "include",
    one_of((RESOURCE, WITHDRAWN)),
    "`resource`: each entry's FHIR Bundle; `withdrawn`: entries that were taken back.",
    many=True,
)
PAGE = Parameters(
    Parameter("since", MOMENT, "Entries that happened then or later; a day begins in Europe/London."),
    Parameter("until", MOMENT, "Entries that happened before this time."),
    *FILTERS,
    Parameter("as_of", MOMENT, "The timeline as it was known at this time."),
    Parameter("order", one_of(Order, Order.NEWEST), "Which entries come first."),
    Parameter("limit", whole(1, LIMIT_MOST, LIMIT), "Entries on a page."),
    Parameter("after", CURSOR, "The `next` of the page before: the page that follows it."),
    INCLUDE,
)
LIVE = Parameters(
    *FILTERS,
    Parameter("after", CURSOR, "Id of the last event seen, for a client that cannot set `Last-Event-ID`."),
    INCLUDE,
)


def question(person: PersonId, asked: Mapping[str, Any], sources: Container[str]) -> Question:
    """The question that ``asked`` (of `PAGE`, or `LIVE`) puts about ``person``.

    Raises `InvalidRequest` when a source is asked for that is not in ``sources``: an empty page would say it stated nothing.
    """
    include, wanted = asked.get("include", _NONE), asked.get("source", _NONE)
    if any(source not in sources for source in wanted):
        cure = "`backbone source list` shows those that are."
        raise InvalidRequest("no such source is declared", where="parameter source", cure=cure)
    return Question(
        person=person,
        since=asked.get("since"),
        until=asked.get("until"),
        kinds=asked.get("kind", _NONE),
        sectors=asked.get("sector", _NONE),
        types=asked.get("type", _NONE),
        sources=wanted,
        as_of=asked.get("as_of"),
        order=Order(asked.get("order", Order.NEWEST)),
        limit=asked.get("limit", LIMIT),
        after=asked.get("after"),
        resources=RESOURCE in include,
        withdrawn=WITHDRAWN in include,
    )
