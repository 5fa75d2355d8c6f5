"""``/health`` and ``/metrics``: for operators, load balancers and supervisors. Nothing here is about a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.routes.direct import router
from gateway.routes.documented import JSON, Says, answers, shape
from gateway.routes.parameters import Parameter, Parameters
from gateway.routes.values import one_of
from gateway.services import Operated
from gateway.shapes import Health, Reached
from gateway.telemetry import EXPOSITION_TYPE
from schemas.errors import BackboneError, EngineUnavailable
from schemas.log import EVENTS

ANSWER_WITHIN_S = 2.0
"""How long an engine may take to answer before it counts as not reachable: supervisors ask again after 5 to 10 seconds."""

TAKING_IN, READING = "taking-in", "reading"
READY = Parameters(
    Parameter(
        "part",
        one_of((TAKING_IN, READING)),
        "What has to work: taking in needs the log alone, reading the store as well. Without it, both.",
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
    summary="Whether what this process needs answers, and how far what is read is behind",
    responses=answers({200: Says("Ready.", shape(Health)), 503: Says("Not ready: something does not answer.", shape(Health))}),
    openapi_extra=READY.documented(),
)
async def ready(request: Request) -> Response:
    health = await _health(_operated(request), READY.read(request).get("part", ""))
    return Response(msgspec.json.encode(health), 200 if health.status == "ready" else 503, media_type=JSON)


@routes.get(
    "/metrics",
    summary="Everything counted in this process",
    responses=answers({200: Says("Prometheus text format.", {"type": "string"}, "text/plain")}),
)
async def metrics(request: Request) -> Response:
    return Response(_operated(request).metrics.exposition(), headers={"content-type": EXPOSITION_TYPE})


def _operated(request: Request) -> Operated:
    """What the application was made with (`gateway.app`)."""
    found: Operated = request.app.state.operated
    return found


async def _health(known: Operated, part: str) -> Health:
    asking = [_reached(known.log.ends(EVENTS))]
    if known.store is not None:
        asking.append(_reached(known.store()))
    log, *others = await asyncio.gather(*asking)
    needed = (log,) if part == TAKING_IN else (log, *others)
    return Health(
        status="ready" if all(engine.reachable for engine in needed) else "not ready",
        log=log,
        store=others[0] if others else None,
        taking_in=known.taking_in,
        behind=known.freshness.behind if known.freshness else {},
        parked=known.freshness.parked if known.freshness else {},
    )


async def _reached(asking: Awaitable[Any]) -> Reached:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asking
    except TimeoutError:
        return Reached(reachable=False, code=EngineUnavailable.code, cure=f"It did not answer within {ANSWER_WITHIN_S:g} s.")
    except BackboneError as error:
        return Reached(reachable=False, code=error.code, cure=error.cure)
    return Reached(reachable=True)
