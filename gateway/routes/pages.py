"""``/`` and ``/pages``: for people who open this server in a browser."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import groupby
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.dependencies import Asking, Known
from gateway.http.documented import JSON
from gateway.http.strict_route import StrictRoute
from gateway.pages import render
from gateway.pages.reference import subjects
from gateway.routes.readiness import health_of
from schemas.catalogue import CATALOGUE, CATALOGUE_VERSION
from schemas.errors import NotAcceptable

_HTML = frozenset({"text/html", "application/xhtml+xml", "text/*", "*/*"})
_INDEX = {
    "name": "Care Backbone",
    "reference": "/openapi.json",
    "catalogue": "/catalogue",
    "asyncapi": "/asyncapi.json",
    "fhir": "/fhir/metadata",
    "health": "/health/ready",
}

routes = APIRouter(route_class=StrictRoute, include_in_schema=False)
"""Pages are no part of the interface that programs may rely on, and so are not in its description."""


@routes.get("/")
async def front(request: Request, caller: Asking, known: Known, accept: Annotated[str, Header()] = "*/*") -> Response:
    ranges = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
    if ranges & _HTML:
        health = await health_of(known.operated)
        answer = render.page(render.content("front", title="Overview", here="/", health=health))
    elif {JSON, "application/*"} & ranges:
        answer = Response(orjson.dumps(_INDEX | {"version": request.app.version}), media_type=JSON)
    else:
        raise NotAcceptable("this page is to be had as HTML or JSON", where="header Accept", cure="Ask for text/html.")
    answer.headers["vary"] = "Accept"
    return answer


@routes.get(render.STYLESHEET)
async def style() -> Response:
    return Response(render.stylesheet(), headers=render.CACHED, media_type="text/css")


@routes.get("/pages/reference")
async def reference(request: Request) -> Response:
    return render.page(_reference(request.app.state.openapi()), kept=True)


@lru_cache(1)
def _reference(document: bytes) -> str:
    described = orjson.loads(document)
    shown = {"document": described, "subjects": subjects(described)}
    return render.content("reference", title="API reference", here="/pages/reference", **shown)


@routes.get("/pages/catalogue")
async def catalogue() -> Response:
    return render.page(_catalogue(), kept=True)


@cache
def _catalogue() -> str:
    rows = sorted(CATALOGUE.values(), key=lambda row: row.kind)
    kinds = {str(kind): list(of_kind) for kind, of_kind in groupby(rows, lambda row: row.kind)}
    shown = {"kinds": kinds, "catalogue_version": CATALOGUE_VERSION}
    return render.content("catalogue", title="Event types", here="/pages/catalogue", **shown)
