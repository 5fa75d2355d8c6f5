"""``/intake``: content of any registered format, and the receipts of what arrived."""

from __future__ import annotations

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from adapters.intake.receive import Delivery
from adapters.registry import FORMATS
from gateway.http.body import received
from gateway.http.direct import router, services
from gateway.http.documented import JSON, READS, Says, answers, body, shape
from gateway.routes import answers as receipts
from gateway.settings.shapes import Door
from gateway.shapes import ReceiptView, view
from gateway.uses.lately import recent
from gateway.uses.parameters import NONE, InPath
from schemas.arrival.receipt import decode
from schemas.errors import DoorClosed, EngineUnavailable, NotFound, TooLarge, TooSlow, UnknownSource, WrongMediaType

SOURCE = InPath("source", "[a-z0-9-]{1,64}", "id of a declared source")
RECEIPT = InPath("receipt", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "id of a receipt")

RECEIPTS = "receipts"
"""Name of the projection that receipts are read from."""

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2, version 00: anything else is not passed on."""

ERRORS = (NotFound, UnknownSource, DoorClosed, TooLarge, TooSlow, WrongMediaType, EngineUnavailable)
"""What any path that takes in may come to."""
_BINARY = {"type": "string", "format": "binary"}
_BODY = body("Content in a format that the source or its mapping reads.", {name or "*/*": _BINARY for name in FORMATS}, False)

routes = router("intake")


@routes.post(
    "/intake/{source}",
    summary="Take in what a source sends: messages, rows, Bundles, events",
    responses=answers(receipts.ANSWERS, *ERRORS),
    openapi_extra=NONE.documented(SOURCE.documented()) | _BODY,
)
async def take_in(request: Request) -> Response:
    declared = services(request).declared(SOURCE.read(request))
    intake = services(request).taking_in
    async with received(request) as content:
        delivery = Delivery(declared.source, Door.HTTP, content, content_type(request), traceparent=traceparent(request))
        return receipts.answer(request, await intake.receive(delivery))


@routes.get(
    "/intake/receipts/{receipt}",
    summary="What became of something that arrived",
    responses=answers({200: Says("The receipt.", shape(ReceiptView))}, *READS),
    openapi_extra=NONE.documented(RECEIPT.documented()),
)
async def receipt(request: Request) -> Response:
    known, receipt_id = services(request), RECEIPT.read(request)
    content = await recent(known, RECEIPTS, lambda: known.receipts.receipt(receipt_id))
    if content is None:
        raise NotFound("there is no such receipt", where="path, receipt")
    return Response(msgspec.json.encode(view(decode(content))), media_type=JSON)


def content_type(request: Request) -> str:
    """The whole Content-Type: its parameters (``charset``) matter to a translator."""
    return request.headers.get("content-type", "")[:200]


def traceparent(request: Request) -> str:
    """The sender's trace context, if it is one."""
    sent = request.headers.get("traceparent", "")
    return sent if _TRACEPARENT.fullmatch(sent) else ""
