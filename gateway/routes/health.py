"""``/health`` and ``/metrics``: for operators, load balancers and supervisors. Nothing here is about a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.direct import router
from gateway.http.documented import JSON, Says, answers, shape
from gateway.shapes import EngineHealth, Health, Works
from gateway.uses.parameters import Parameter, Parameters
from gateway.uses.services import Operated
from gateway.uses.values import one_of
from gateway.watching.disk_space import short
from gateway.watching.telemetry import EXPOSITION_TYPE
from schemas.errors import BackboneError, EngineUnavailable
from schemas.log import EVENTS

ANSWER_WITHIN_S = 2.0
"""How long an engine may take to answer before it counts as not reachable: supervisors ask again after 5 to 10 seconds."""
_LATE = f"It did not answer within {ANSWER_WITHIN_S:g} s. See that it runs; `backbone doctor` looks for the cause."

TAKING_IN, READING, EITHER = "taking-in", "reading", "either"
READY = Parameters(
    Parameter(
        "part",
        one_of((TAKING_IN, READING, EITHER)),
        "What has to work: taking in needs a log that takes what is appended, reading one that is read, and the store; "
        "either, one of the two. Without it, both, and room for what is made of it.",
    )
)


class Trouble(Protocol):
    """What is wrong, and what to do about it."""

    @property
    def code(self) -> str: ...

    @property
    def cure(self) -> str: ...


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
    health = await health_of(_operated(request), READY.read(request).get("part", ""))
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


async def health_of(known: Operated, part: str = "") -> Health:
    """What works of what this process needs; ``part`` as in the query of `/health/ready`."""
    log, store, ledger, appends, disk = await asyncio.gather(
        _reached(known.log.ends(EVENTS)),
        _reached(known.store()) if known.store is not None else _nothing(),
        _reached(known.ledger()) if known.ledger is not None else _nothing(),
        _works(known.log.trouble) if known.taking_in else _nothing(),
        _works(lambda: short(known.folders)),
    )
    takes = log.reachable and (appends is None or appends.works)
    reads = log.reachable and (store is None or store.reachable)
    ready = {TAKING_IN: takes, READING: reads, EITHER: takes or reads}.get(part, takes and reads and disk.works)
    return Health(
        status="ready" if ready else "not ready",
        log=log,
        appends=appends,
        disk=disk,
        store=store,
        ledger=ledger,
        taking_in=known.taking_in,
        behind=known.freshness.behind if known.freshness else {},
        parked=known.freshness.parked if known.freshness else {},
    )


async def _nothing() -> None:
    """What a process does not need is not asked."""


async def _works(look: Callable[[], Trouble | None]) -> Works:
    """What ``look`` finds, in a thread of its own: a disk that hangs must not hold up who asks."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            found = await asyncio.to_thread(look)
    except TimeoutError:
        return Works(works=False, code=EngineUnavailable.code, cure=_LATE)
    return Works(works=True) if found is None else Works(works=False, code=found.code, cure=found.cure)


async def _reached(asking: Awaitable[Any]) -> EngineHealth:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asking
    except TimeoutError:
        return EngineHealth(reachable=False, code=EngineUnavailable.code, cure=_LATE)
    except BackboneError as error:
        return EngineHealth(reachable=False, code=error.code, cure=error.cure)
    return EngineHealth(reachable=True)
