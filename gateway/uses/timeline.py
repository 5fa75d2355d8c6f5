"""A person's timeline: what may be asked of it, a page of it, and the same as a stream.

A page costs one indexed query and builds nothing: the store holds entries as they are served, and out their bytes go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from gateway.uses.asked import COMMAS, Asked
from gateway.uses.caller import Caller
from gateway.uses.people import nobody, person_id
from gateway.uses.values import CURSOR, MOMENT, SOURCE, one_of, whole
from schemas.catalogue import CATALOGUE, Kind
from schemas.errors import InvalidRequest
from schemas.identifiers import PersonId
from schemas.source import Sector
from schemas.timeline import LIMIT, LIMIT_MOST, Order, Question

if TYPE_CHECKING:
    from consumers.people.query import PeopleQuery
    from consumers.timeline.query import PageRows, TimelineQuery
    from gateway.uses.live import News
    from gateway.watching.freshness import Freshness

RESOURCE, WITHDRAWN = "resource", "withdrawn"


class EntriesAsked(Asked):
    """Which entries are asked for: of a live stream, all that can be said."""

    kind: Annotated[tuple[Annotated[str, one_of(Kind)], ...], COMMAS] = ()
    """What the entries are about."""
    sector: Annotated[tuple[Annotated[str, one_of(Sector)], ...], COMMAS] = ()
    """The part of health and care they come from."""
    type: Annotated[tuple[Annotated[str, one_of(CATALOGUE)], ...], COMMAS] = ()
    """Event types; `/catalogue` lists them."""
    source: Annotated[tuple[Annotated[str, SOURCE], ...], COMMAS] = ()
    """Who stated them."""
    after: Annotated[str | None, CURSOR] = None
    """Of a page, the `next` of the page before; of a stream, the id of the last event seen, where no header can say it."""
    include: Annotated[tuple[Annotated[str, one_of((RESOURCE, WITHDRAWN))], ...], COMMAS] = ()
    """`resource`: each entry's FHIR Bundle; `withdrawn`: entries that were taken back."""

    def question(self, person: PersonId, sources: Container[str]) -> Question:
        """The question it puts about ``person``.

        Raises `InvalidRequest` when one is asked for that is not in ``sources``: an empty page would say it stated nothing.
        """
        if any(source not in sources for source in self.source):
            cure = "`backbone source list` shows those that are."
            raise InvalidRequest("no such source is declared", where="parameter source", cure=cure)
        return Question(
            person=person,
            kinds=frozenset(self.kind),
            sectors=frozenset(self.sector),
            types=frozenset(self.type),
            sources=frozenset(self.source),
            after=self.after,
            resources=RESOURCE in self.include,
            withdrawn=WITHDRAWN in self.include,
        )


class PageAsked(EntriesAsked):
    """What is asked of a page beyond that."""

    since: Annotated[datetime | None, MOMENT] = None
    """Entries that happened then or later; a day begins in Europe/London."""
    until: Annotated[datetime | None, MOMENT] = None
    """Entries that happened before this time."""
    as_of: Annotated[datetime | None, MOMENT] = None
    """The timeline as it was known at this time."""
    order: Annotated[str, one_of(Order)] = Order.NEWEST
    """Which entries come first."""
    limit: Annotated[int, whole(1, LIMIT_MOST)] = LIMIT
    """Entries on a page."""

    def question(self, person: PersonId, sources: Container[str]) -> Question:
        return msgspec.structs.replace(
            super().question(person, sources),
            since=self.since,
            until=self.until,
            as_of=self.as_of,
            order=Order(self.order),
            limit=self.limit,
        )


async def page(
    caller: Caller,
    timeline: TimelineQuery,
    people: PeopleQuery,
    freshness: Freshness,
    sources: Container[str],
    person: str,
    asked: PageAsked,
) -> bytes:
    """A page in JSON, with who has fallen silent and how far it is behind, as ``freshness`` last measured it.

    Raises `InvalidRequest`, `NotFound`, `StoreUnavailable`.
    """
    wanted = asked.question(person_id(person), sources)
    found = await timeline.page(wanted)
    if not found.sources:
        await _exists(people, wanted.person)
    return b'{"person":"%b","entries":%b,"next":%b,"missing":%b,"behind":%b}' % (
        wanted.person.encode(),  # has no character that JSON escapes
        found.entries_json,
        msgspec.json.encode(found.next),
        freshness.snapshot.missing(found.sources),
        freshness.snapshot.behind,
    )


async def rows(caller: Caller, timeline: TimelineQuery, question: Question) -> PageRows:
    """The rows of a page, each entry apart from its payload. Raises `InvalidRequest`, `StoreUnavailable`."""
    return await timeline.rows(question)


async def _exists(people: PeopleQuery, person: PersonId) -> None:
    """Asked when no source holds a record of the person. Raises `NotFound`."""
    if await people.current(person) is None:
        raise nobody()


async def stream(
    caller: Caller,
    timeline: TimelineQuery,
    people: PeopleQuery,
    sources: Container[str],
    person: str,
    asked: EntriesAsked,
    last_event_id: str,
    news: News,
) -> AsyncIterator[bytes]:
    """The timeline as it grows, after the event of ``last_event_id`` (else after the cursor asked, else from now on).

    Raises, before it begins, `InvalidRequest`, `NotFound`, `StoreUnavailable`.
    """
    from gateway.uses.live import events

    resumed = asked.model_copy(update={"after": _event_id(last_event_id)}) if last_event_id else asked
    wanted = resumed.question(person_id(person), sources)
    await _exists(people, wanted.person)
    try:
        first = await timeline.changes(wanted)
    except InvalidRequest as error:
        raise (_no_event_id() if last_event_id else error) from None
    return events(timeline, wanted, first, news)


def _event_id(sent: str) -> str:
    try:
        return str(CURSOR.read(sent))
    except ValueError:
        raise _no_event_id() from None


def _no_event_id() -> InvalidRequest:
    cure = "Send the id of the last event seen, unchanged, or none."
    return InvalidRequest("this is no id of an event of this stream", where="header Last-Event-ID", cure=cure)
