"""``/intake``: content of any registered format, and the receipts of what arrived."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from adapters.intake.receive import Delivery
from adapters.registry import FORMATS
from gateway.http.body import received
from gateway.http.dependencies import Asking, Known
from gateway.http.direct import DirectRoute
from gateway.http.documented import READS, answers, body, refusals
from gateway.http.strict_route import StrictRoute
from gateway.routes import answers as receipt_answers
from gateway.settings.values import Door
from gateway.shapes import ReceiptView
from gateway.uses import receipts
from gateway.uses.receipts import RECEIPT_ID
from gateway.uses.values import SOURCE
from schemas.arrival.receipt import Receipt
from schemas.errors import DoorClosed, EngineUnavailable, NotFound, TooLarge, TooSlow, UnknownSource, WrongMediaType

SourceInPath = Annotated[str, Path(description="id of a declared source", json_schema_extra=dict(SOURCE.schema))]
ReceiptId = Annotated[str, Path(description="id of a receipt", json_schema_extra={"pattern": f"^{RECEIPT_ID}$"})]

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2, version 00: anything else is not passed on."""

ERRORS = (NotFound, UnknownSource, DoorClosed, TooLarge, TooSlow, WrongMediaType, EngineUnavailable)
"""What any path that takes in may come to."""
_BINARY = {"type": "string", "format": "binary"}
_BODY = body("Content in a format that the source or its mapping reads.", {name or "*/*": _BINARY for name in FORMATS}, False)

routes = APIRouter(route_class=StrictRoute, tags=["intake"])
direct = APIRouter(route_class=DirectRoute, tags=["intake"])


@direct.post(
    "/intake/{source}",
    summary="Take in what a source sends: messages, rows, Bundles, events",
    responses=answers(receipt_answers.ANSWERS, *ERRORS),
    openapi_extra=_BODY,
    response_class=Response,
)
async def take_in(request: Request, known: Known, source: SourceInPath) -> Response:
    declared, intake = known.declared(source), known.taking_in
    async with received(request) as content:
        delivery = Delivery(declared.source, Door.HTTP, content, content_type(request), traceparent=traceparent(request))
        return receipt_answers.answer(request, await intake.receive(delivery))


@routes.get(
    "/intake/receipts/{receipt}",
    summary="What became of something that arrived",
    response_description="The receipt.",
    response_model=ReceiptView,
    responses=refusals(*READS),
)
async def receipt(caller: Asking, known: Known, receipt: ReceiptId) -> Receipt:
    return await receipts.receipt(caller, known.receipts, known.freshness, receipt)


def content_type(request: Request) -> str:
    """The whole Content-Type: its parameters (``charset``) matter to a translator."""
    return request.headers.get("content-type", "")[:200]


def traceparent(request: Request) -> str:
    """The sender's trace context, if it is one."""
    sent = request.headers.get("traceparent", "")
    return sent if _TRACEPARENT.fullmatch(sent) else ""
