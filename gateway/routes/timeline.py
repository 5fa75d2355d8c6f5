"""``/people/{person}/timeline``: a page, and the same as a stream.

A page costs one indexed query and builds nothing: the store holds entries as they are served, and out their bytes go.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.http.direct import router, services
from gateway.http.documented import JSON, READS, Says, answers, shape
from gateway.routes.people import PERSON
from gateway.shapes import TimelineEntry, TimelinePage
from gateway.uses import live
from gateway.uses.parameters import in_header
from gateway.uses.question import LIVE, PAGE, question
from gateway.uses.services import Services
from gateway.uses.timeline_page import joined
from gateway.uses.values import CURSOR
from schemas.errors import InvalidRequest, NotFound
from schemas.identifiers import PersonId

EVENT_STREAM = "text/event-stream"
_STREAM_HEADERS = {"x-accel-buffering": "no"}
"""Reverse proxies would hold events back."""
_LAST_EVENT_ID = in_header(
    "Last-Event-ID",
    CURSOR,
    "Id of the last event seen: the stream goes on after it. Without it, with what is learned from now on.",
)
_EVENT = {
    "type": "string",
    "contentMediaType": JSON,
    "contentSchema": shape(TimelineEntry),
    "description": "Events named `entry`, with a TimelineEntry as data, which take the place of an entry of the same id; and "
    'events named `gone`, with `{"id": …}` as data: the entry of that id, if there is one, is no longer on the timeline. '
    "It was replaced or withdrawn, or the record it belongs to became another person's. Each event has an id to go on from; "
    "comments keep the stream open.",
}

routes = router("people")


@routes.get(
    "/people/{person}/timeline",
    summary="A person's timeline, a page of it",
    responses=answers({200: Says("The page, newest first unless asked.", shape(TimelinePage))}, *READS),
    openapi_extra=PAGE.documented(PERSON.documented()),
)
async def timeline(request: Request) -> Response:
    known, asked = services(request), PAGE.read(request)
    person = PersonId(PERSON.read(request))
    page = await known.timeline.page(question(person, asked, known.sources))
    if not page.sources:
        await _exists(known, person)
    return Response(joined(person, page, known.freshness.snapshot), media_type=JSON)


async def _exists(known: Services, person: PersonId) -> None:
    """Asked when no source holds a record of the person. Raises `NotFound`."""
    if await known.people.current(person) is None:
        raise NotFound("there is no such person", where="path, person")


@routes.get(
    "/people/{person}/timeline/live",
    summary="The timeline as it grows, as server-sent events",
    responses=answers({200: Says("Entries as they are learned.", _EVENT, EVENT_STREAM)}, *READS),
    openapi_extra=LIVE.documented(PERSON.documented(), _LAST_EVENT_ID),
)
async def timeline_live(request: Request) -> Response:
    known, asked = services(request), LIVE.read(request)
    person = PersonId(PERSON.read(request))
    await _exists(known, person)
    resumed = last_event_id(request)
    wanted = question(person, asked | resumed, known.sources)
    try:
        first = await known.timeline.changes(wanted)
    except InvalidRequest as error:
        raise (_no_event_id() if resumed else error) from None
    stream = live.events(known.timeline, wanted, first, known.stopping)
    return StreamingResponse(stream, headers=_STREAM_HEADERS, media_type=EVENT_STREAM)


def last_event_id(request: Request) -> dict[str, str]:
    """Where to go on, as the header says. A browser sends an empty one when it has none."""
    sent = request.headers.get("last-event-id", "")
    if not sent:
        return {}
    try:
        return {"after": CURSOR.read(sent)}
    except ValueError:
        raise _no_event_id() from None


def _no_event_id() -> InvalidRequest:
    cure = "Send the id of the last event seen, unchanged, or none."
    return InvalidRequest("this is no id of an event of this stream", where="header Last-Event-ID", cure=cure)
