"""``/people/{person}/timeline``: a page, and the same as a stream.

A page costs one indexed query and builds nothing: the store holds entries as they are served, and out their bytes go.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.routes.direct import router, services
from gateway.routes.documented import JSON, READS, Says, answers, shape
from gateway.routes.people import PERSON
from gateway.routes.question import PAGE, question
from gateway.shapes import TimelineEntry, TimelinePage
from schemas.identifiers import PersonId

EVENT_STREAM = "text/event-stream"
_STREAM_HEADERS = {"x-accel-buffering": "no"}
"""Reverse proxies would hold events back."""
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Id of the last event seen: the stream goes on after it. Without it, with what is learned from now on.",
    "schema": {"type": "string"},
}
_EVENT = {
    "type": "string",
    "contentMediaType": JSON,
    "contentSchema": shape(TimelineEntry),
    "description": "Events named `entry`, each with an id and as data a TimelineEntry; comments in between keep it open.",
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
    wanted = question(PersonId(PERSON.read(request)), asked, known.sources)
    page = await known.timeline.page(wanted)
    if page.next is None and not page.sources:
        await _known(request, wanted)
    return Response(joined(wanted.person, page, known.freshness.snapshot), media_type=JSON)
