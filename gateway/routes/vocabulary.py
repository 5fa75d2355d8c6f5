"""The words, for machines: catalogue, schemas, AsyncAPI, OpenAPI. The same for everybody, and so may be cached."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.documented import JSON, Says, answers
from gateway.http.strict_route import StrictRoute
from schemas import asyncapi as described
from schemas.catalogue import CATALOGUE, CATALOGUE_VERSION
from schemas.errors import NotFound
from schemas.event import SCHEMA_URN

CACHED_S = 300
"""Seconds these documents may be kept: they change with the version of the backbone alone."""
SCHEMA_TYPE = "application/schema+json"
EventType = Annotated[
    str,
    Path(description="name of an event type", json_schema_extra={"pattern": "^[a-z][a-z-]{0,60}-[0-9]{1,3}$"}),
]

_HEADERS = {"cache-control": f"public, max-age={CACHED_S}"}
_OBJECT = {"type": "object"}

routes = APIRouter(route_class=StrictRoute, tags=["words"], default_response_class=Response)


@routes.get(
    "/catalogue",
    summary="Every event type: payload, kind, character, sensitivity, title",
    responses=answers({200: Says("The catalogue.", _OBJECT)}),
)
async def catalogue() -> Response:
    return Response(_catalogue(), headers=_HEADERS, media_type=JSON)


@routes.get(
    "/schemas/{type}.json",
    summary="JSON Schema of an event type",
    responses=answers({200: Says("The schema.", _OBJECT, SCHEMA_TYPE)}, NotFound),
)
async def schema(type: EventType) -> Response:
    return Response(_schema(type), headers=_HEADERS, media_type=SCHEMA_TYPE)


@routes.get(
    "/asyncapi.json",
    summary="The topics and their messages, as AsyncAPI 3",
    responses=answers({200: Says("The document.", _OBJECT)}),
)
async def asyncapi() -> Response:
    return Response(_asyncapi(), headers=_HEADERS, media_type=JSON)


@routes.get(
    "/openapi.json",
    summary="This interface, as OpenAPI 3.1",
    responses=answers({200: Says("The document.", _OBJECT)}),
)
async def openapi(request: Request) -> Response:
    return Response(request.app.state.openapi(), headers=_HEADERS, media_type=JSON)


@cache
def _catalogue() -> bytes:
    rows = [
        {
            "type": row.name,
            "focus": row.focus,
            "kind": row.kind,
            "character": row.character,
            "movement": row.movement,
            "sensitivity": row.sensitivity,
            "title": row.title,
            "dataschema": SCHEMA_URN + row.name,
            "schema": f"/schemas/{row.name}.json",
        }
        for row in CATALOGUE.values()
    ]
    return orjson.dumps({"version": CATALOGUE_VERSION, "types": rows})


@cache
def _schema(name: str) -> bytes:
    """A name the catalogue does not have raises `NotFound` and is not cached."""
    return orjson.dumps(described.event_schema(name))


@cache
def _asyncapi() -> bytes:
    return orjson.dumps(described.asyncapi())
