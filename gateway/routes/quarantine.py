"""``/quarantine``: what was not understood. Listed without its content; shown with it on request; sent through again."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.http.dependencies import Asking, Known
from gateway.http.documented import JSON, READS, answers, refusals
from gateway.http.strict_route import StrictRoute
from gateway.routes import answers as receipts
from gateway.shapes import QuarantineItem, QuarantinePage
from gateway.uses import quarantine
from gateway.uses.asked import Asked
from gateway.uses.quarantine import ItemsAsked
from gateway.uses.receipts import RECEIPT_ID
from gateway.uses.values import SOURCE, one_of
from schemas.errors import UnknownSource

CONTENT = "content"

ItemId = Annotated[str, Path(description="id of a quarantine item", json_schema_extra={"pattern": f"^{RECEIPT_ID}$"})]


class ItemAsked(Asked):
    """What of an item is asked for."""

    include: Annotated[str | None, one_of((CONTENT,))] = None
    """`content`: the raw bytes, in base64."""


class RedriveAsked(Asked):
    """How an item is sent through again."""

    source: Annotated[str | None, SOURCE] = None
    """Whose it is, when its sender was not known on arrival."""


routes = APIRouter(route_class=StrictRoute, tags=["quarantine"])


@routes.get(
    "/quarantine",
    summary="What was not understood, oldest first, without its content",
    response_description="A page of items.",
    responses=refusals(*READS),
)
async def items(caller: Asking, known: Known, asked: Annotated[ItemsAsked, Query()]) -> QuarantinePage:
    return await quarantine.items(caller, known.quarantine, asked)


@routes.get(
    "/quarantine/{id}",
    summary="One item: why it was not understood, and what came of each new try",
    response_description="The item.",
    response_model=QuarantineItem,
    response_model_exclude_unset=True,
    responses=refusals(*READS),
)
async def show(
    caller: Asking, known: Known, id: ItemId, asked: Annotated[ItemAsked, Query()]
) -> QuarantineItem | StreamingResponse:
    found = await quarantine.item(caller, known.quarantine, known.freshness, id)
    shown = quarantine.shown(found)
    if asked.include is None:
        return shown
    content = quarantine.content(caller, known.log, found.parts)
    return StreamingResponse(await _begun(_with_content(shown, content)), media_type=JSON)


@routes.post(
    "/quarantine/{id}/redrive",
    summary="Send an item through again, once the mapping or the settings are mended",
    responses=answers(receipts.ANSWERS, *READS, UnknownSource),
    response_class=Response,
)
async def redrive(
    request: Request, caller: Asking, known: Known, id: ItemId, asked: Annotated[RedriveAsked, Query()]
) -> Response:
    found = await quarantine.item(caller, known.quarantine, known.freshness, id)
    made = await quarantine.redrive(caller, known.log, known.taking_in, known.sources, found, asked.source or "")
    return receipts.answer(request, made)


async def _with_content(shown: QuarantineItem, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The item's JSON object with one member more: the content in base64 (RFC 4648 §4), as one text, in constant memory."""
    yield shown.model_dump_json(exclude_unset=True).encode()[:-1] + b',"content":"'
    rest = b""
    async for chunk in content:
        rest += chunk
        whole = len(rest) - len(rest) % 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest) + b'"}'


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``pieces``, two made before the answer begins: what is wrong at the start is then an error's own answer."""
    first = await anext(pieces) + await anext(pieces)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()
