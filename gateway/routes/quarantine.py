"""``/quarantine``: what was not understood. Listed without its content; shown with it on request; sent through again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from adapters.intake.receive import KeptItem
from consumers.quarantine.query import STATUSES, QuarantinedItem
from gateway.http.direct import router, services
from gateway.http.documented import JSON, READS, Says, answers, shape
from gateway.http.spool import spooled
from gateway.routes import answers as receipts
from gateway.routes.intake import RECEIPT
from gateway.shapes import QuarantineItem, QuarantinePage
from gateway.uses.content import chunks, in_base64
from gateway.uses.lately import recent
from gateway.uses.parameters import InPath, Parameter, Parameters
from gateway.uses.services import Services
from gateway.uses.values import SOURCE, one_of, text, whole
from schemas.errors import NotFound, UnknownSource
from schemas.log import EventLog
from schemas.source import Source

ITEM = InPath("id", RECEIPT.pattern, "id of a quarantine item")
LIMIT, LIMIT_MOST = 50, 500
"""Items on a page unless asked, and at most."""
CONTENT = "content"
QUARANTINE = "quarantine"
"""Name of the projection that items are read from."""

_AFTER = text(r"[0-9T:.-]{23}Z~" + ITEM.pattern, "the `next` of the page before, unchanged")
LIST = Parameters(
    Parameter("status", one_of(STATUSES, STATUSES[0]), "Still to be mended, or taken in when it was sent through again."),
    Parameter("source", SOURCE, "Under which source they are kept."),
    Parameter("limit", whole(1, LIMIT_MOST, LIMIT), "Items on a page."),
    Parameter("after", _AFTER, "The `next` of the page before: the page that follows it."),
)
SHOW = Parameters(
    Parameter("include", one_of((CONTENT,)), "`content`: the raw bytes, in base64."),
)
REDRIVE = Parameters(
    Parameter("source", SOURCE, "Whose it is, when its sender was not known on arrival."),
)

routes = router("quarantine")


@routes.get(
    "/quarantine",
    summary="What was not understood, oldest first, without its content",
    responses=answers({200: Says("A page of items.", shape(QuarantinePage))}, *READS),
    openapi_extra=LIST.documented(),
)
async def items(request: Request) -> Response:
    asked = LIST.read(request)
    limit, after = asked.get("limit", LIMIT), asked.get("after", "~").partition("~")
    status, source = asked.get("status", STATUSES[0]), asked.get("source")
    found = await services(request).quarantine.items(status, source, (after[0], after[2]), limit + 1)
    following = f"{found[limit - 1].received_at}~{found[limit - 1].id}" if len(found) > limit else None
    page = QuarantinePage(items=found[:limit], next=following)
    return Response(msgspec.json.encode(page), media_type=JSON)


@routes.get(
    "/quarantine/{id}",
    summary="One item: why it was not understood, and what came of each new try",
    responses=answers({200: Says("The item.", shape(QuarantineItem))}, *READS),
    openapi_extra=SHOW.documented(ITEM.documented()),
)
async def show(request: Request) -> Response:
    known, asked = services(request), SHOW.read(request)
    item = await _item(known, ITEM.read(request))
    shown = msgspec.json.encode(QuarantineItem(**asdict(item.summary), trials=item.trials))
    if asked.get("include") != CONTENT:
        return Response(shown, media_type=JSON)
    return StreamingResponse(await _begun(_with_content(shown, known.log, item)), media_type=JSON)


@routes.post(
    "/quarantine/{id}/redrive",
    summary="Send an item through again, once the mapping or the settings are mended",
    responses=answers(receipts.ANSWERS, *READS, UnknownSource),
    openapi_extra=REDRIVE.documented(ITEM.documented()),
)
async def redrive(request: Request) -> Response:
    known, asked = services(request), REDRIVE.read(request)
    item = await _item(known, ITEM.read(request))
    source, intake = _source(known, asked.get("source", item.summary.source)), known.taking_in
    async with spooled(chunks(known.log, item.parts)) as content:
        row = item.summary
        kept = KeptItem(row.id, row.source, row.door, row.media_type, row.name, content)
        return receipts.answer(request, await intake.redrive(kept, source))


async def _item(known: Services, item_id: str) -> QuarantinedItem:
    """The item. Raises `NotFound`."""
    found = await recent(known, QUARANTINE, lambda: known.quarantine.item(item_id))
    if found is None:
        raise NotFound("there is no such item in quarantine", where="path, id")
    return found


def _source(known: Services, source: str) -> Source:
    """The source to send it through as. Raises `UnknownSource`."""
    row = known.sources.get(source)
    if row is None:
        cure = "Declare it as a [[source]] in backbone.toml, or name one that is declared: ?source=…"
        raise UnknownSource("the source it is kept under is not declared", where="parameter source", cure=cure)
    return row.source


async def _with_content(shown: bytes, log: EventLog, item: QuarantinedItem) -> AsyncIterator[bytes]:
    """The item's JSON object with one member more."""
    pieces = in_base64(chunks(log, item.parts))
    first = await anext(pieces)
    yield shown[:-1] + b',"content":"' + first
    async for piece in pieces:
        yield piece
    yield b'"}'


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``pieces``, the first of them made before the answer begins: what is wrong at the start is then an error's own answer."""
    first = await anext(pieces)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()
