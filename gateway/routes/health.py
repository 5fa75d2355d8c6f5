"""``/health`` and ``/metrics``: for operators, load balancers and supervisors. Nothing here is about a person."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.direct import router
from gateway.http.documented import JSON, Says, answers, shape
from gateway.routes.readiness import EITHER, READING, TAKING_IN, health_of
from gateway.shapes import Health
from gateway.uses.parameters import Parameter, Parameters
from gateway.uses.services import Operated
from gateway.uses.values import one_of
from gateway.watching.telemetry import EXPOSITION_TYPE

READY = Parameters(
    Parameter(
        "part",
        one_of((TAKING_IN, READING, EITHER)),
        "What has to work: taking in needs a log that takes what is appended, reading one that is read, and the store; "
        "either, one of the two. Without it, both, and room for what is made of it.",
    )
)


routes = router("operating")


@routes.get(
    "/health/live",
    summary="Whether this process answers",
    responses=answers({200: Says("It does.", {"type": "object"})}),
)
async def live(_request: Request) -> Response:
    return Response(b'{"status":"live"}', media_type=JSON)


@routes.get(
    "/health/ready",
    summary="Whether what this server needs answers, and how far what is read is behind",
    responses=answers({200: Says("Ready.", shape(Health)), 503: Says("Not ready: something does not answer.", shape(Health))}),
    openapi_extra=READY.documented(),
)
async def ready(request: Request) -> Response:
    health = await health_of(_operated(request), READY.read(request).get("part", ""))
    return Response(msgspec.json.encode(health), 200 if health.status == "ready" else 503, media_type=JSON)


@routes.get(
    "/metrics",
    summary="Everything counted in this server",
    responses=answers({200: Says("Prometheus text format.", {"type": "string"}, "text/plain")}),
)
async def metrics(request: Request) -> Response:
    known = _operated(request)
    counted = known.metrics.exposition() if known.siblings is None else await known.siblings.exposition()
    return Response(counted, headers={"content-type": EXPOSITION_TYPE})


def _operated(request: Request) -> Operated:
    """What the application was made with (`gateway.app`)."""
    found: Operated = request.app.state.operated
    return found
