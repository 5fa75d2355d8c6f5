"""``/people/{person}/timeline``: a page, and the same as a stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from gateway.http.dependencies import Asking, Known
from gateway.http.direct import DirectRoute
from gateway.http.documented import JSON, READS, Says, answers, shape
from gateway.http.strict_route import StrictRoute
from gateway.routes.people import PersonInPath
from gateway.shapes import TimelineEntry, TimelinePage
from gateway.uses import timeline
from gateway.uses.timeline import EntriesAsked, PageAsked
from gateway.uses.values import CURSOR

EVENT_STREAM = "text/event-stream"
_STREAM_HEADERS = {"x-accel-buffering": "no"}
"""Reverse proxies would hold events back."""
_EVENT = {
    "type": "string",
    "contentMediaType": JSON,
    "contentSchema": shape(TimelineEntry),
    "description": "Events named `entry`, with a TimelineEntry as data, which take the place of an entry of the same id; and "
    'events named `gone`, with `{"id": …}` as data: the entry of that id, if there is one, is no longer on the timeline. '
    "It was replaced or withdrawn, or the record it belongs to became another person's. Each event has an id to go on from; "
    "comments keep the stream open.",
}
LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        description="Id of the last event seen: the stream goes on after it. Without it, with what is learned from now on.",
        json_schema_extra=dict(CURSOR.schema),
    ),
]
"""A browser sends an empty one when it has none."""

routes = APIRouter(route_class=StrictRoute, tags=["people"])
direct = APIRouter(route_class=DirectRoute, tags=["people"])


@direct.get(
    "/people/{person}/timeline",
    summary="A person's timeline, a page of it",
    response_class=Response,
    responses=answers({200: Says("The page, newest first unless asked.", shape(TimelinePage))}, *READS),
)
async def page(caller: Asking, known: Known, person: PersonInPath, asked: Annotated[PageAsked, Query()]) -> Response:
    made = await timeline.page(caller, known.timeline, known.people, known.freshness, known.sources, person, asked)
    return Response(made, media_type=JSON)


@routes.get(
    "/people/{person}/timeline/live",
    summary="The timeline as it grows, as server-sent events",
    response_class=Response,
    responses=answers({200: Says("Entries as they are learned.", _EVENT, EVENT_STREAM)}, *READS),
)
async def live(
    caller: Asking,
    known: Known,
    person: PersonInPath,
    asked: Annotated[EntriesAsked, Query()],
    last_event_id: LastEventId = "",
) -> Response:
    made = await timeline.stream(caller, known.timeline, known.people, known.sources, person, asked, last_event_id, known.news)
    return StreamingResponse(made, headers=_STREAM_HEADERS, media_type=EVENT_STREAM)
