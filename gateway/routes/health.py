"""``/health`` and ``/metrics``: for operators, load balancers and supervisors. Nothing here is about a person."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from gateway.http.dependencies import Operating
from gateway.http.documented import JSON, Says, answers, shape
from gateway.http.strict_route import StrictRoute
from gateway.routes.readiness import EITHER, READING, TAKING_IN, health_of
from gateway.shapes import Health
from gateway.uses.asked import Asked
from gateway.uses.values import one_of
from gateway.watching.telemetry import EXPOSITION_TYPE


class ReadyAsked(Asked):
    """What of this server is asked about."""

    part: Annotated[str | None, one_of((TAKING_IN, READING, EITHER))] = None
    """What has to work: taking in needs a log that takes what is appended, reading one that is read, and the store; either, one
    of the two. Without it, both, and room for what is made of it."""


routes = APIRouter(route_class=StrictRoute, tags=["operating"], default_response_class=Response)


@routes.get(
    "/health/live",
    summary="Whether this process answers",
    responses=answers({200: Says("It does.", {"type": "object"})}),
)
async def live() -> Response:
    return Response(b'{"status":"live"}', media_type=JSON)


@routes.get(
    "/health/ready",
    summary="Whether what this server needs answers, and how far what is read is behind",
    responses=answers({200: Says("Ready.", shape(Health)), 503: Says("Not ready: something does not answer.", shape(Health))}),
)
async def ready(known: Operating, asked: Annotated[ReadyAsked, Query()]) -> Response:
    health = await health_of(known, asked.part or "")
    return Response(msgspec.json.encode(health), 200 if health.status == "ready" else 503, media_type=JSON)


@routes.get(
    "/metrics",
    summary="Everything counted in this server",
    responses=answers({200: Says("Prometheus text format.", {"type": "string"}, "text/plain")}),
)
async def metrics(known: Operating) -> Response:
    counted = known.metrics.exposition() if known.siblings is None else await known.siblings.exposition()
    return Response(counted, headers={"content-type": EXPOSITION_TYPE})
