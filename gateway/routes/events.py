"""``/events``: CloudEvents over HTTP, in the structured, the binary and the batched mode.

An event's ``source`` says whose it is: the URN of a declared source. A batch may be of several (`gateway.routes.event_batch`):
each has a receipt of its own.

Source: CloudEvents 1.0.2 HTTP Protocol Binding §3.1 (binary), §3.2 (structured), §3.3 (batched); JSON Event Format §3.
"""

from __future__ import annotations

import base64
import io
import re
from codecs import BOM_UTF8
from typing import Any
from urllib.parse import unquote

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from adapters.intake.receive import Delivery
from gateway.http.body import media_type, whole
from gateway.http.dependencies import Known
from gateway.http.direct import DirectRoute
from gateway.http.documented import answers, body
from gateway.routes import answers as receipts
from gateway.routes.event_batch import BATCH_TYPE, NOT_KEPT, sort_out, source_of, take_in_lot
from gateway.routes.intake import ERRORS, traceparent
from gateway.settings.values import Door
from schemas.catalogue import CATALOGUE
from schemas.errors import WrongMediaType
from schemas.event import CONTENT_TYPE
from schemas.identifiers import SOURCE_URN

_PREFIX = "ce-"

_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "pattern": f"^{SOURCE_URN}"},
        "type": {"enum": list(CATALOGUE)},
    },
}
"""Each type's own schema is under ``/schemas``."""
_BODY = body(
    "One event, a batch of events, or in the binary mode the data, with the attributes in `ce-` headers. Each event of a batch "
    "is judged by itself. An event sent again is the same in any of them; another under its id is flagged `event-id-reused`.",
    {CONTENT_TYPE: _EVENT, BATCH_TYPE: {"type": "array", "items": _EVENT}, "application/fhir+json": {}, "application/json": {}},
    required=False,
)


direct = APIRouter(route_class=DirectRoute, tags=["intake"])


@direct.post(
    "/events",
    summary="Take in CloudEvents: one, a batch, or in the binary mode",
    responses=answers(receipts.ANSWERS_EACH, *ERRORS),
    openapi_extra=_BODY,
    response_class=Response,
)
async def take_in_events(request: Request, known: Known) -> Response:
    content, kind = structured(request, await whole(request))
    trace = traceparent(request)
    lots = sort_out(content, known.declared) if kind == BATCH_TYPE else []
    if len(lots) > 1:
        return receipts.answer_each(request, [await take_in_lot(known.taking_in, lot, trace) for lot in lots])
    source = lots[0].source if lots else known.declared(source_of(content.removeprefix(BOM_UTF8))).source
    delivery = Delivery(source, Door.HTTP, io.BytesIO(content), kind, traceparent=trace)
    return receipts.answer(request, await known.taking_in.receive(delivery))


def structured(request: Request, content: bytes) -> tuple[bytes, str]:
    """The event or the batch in JSON, with its media type: as it came, or made from the headers of the binary mode."""
    kind = media_type(request)
    if kind in (CONTENT_TYPE, BATCH_TYPE):
        return content, kind
    attributes = {name[len(_PREFIX) :]: _header(value) for name, value in request.headers.items() if name.startswith(_PREFIX)}
    if not attributes:
        cure = f"Send {CONTENT_TYPE} or {BATCH_TYPE}, or the attributes in `ce-` headers. {NOT_KEPT}"
        raise WrongMediaType("this is no CloudEvent", where="header Content-Type", cure=cure)
    event: dict[str, Any] = dict(sorted(attributes.items()))  # in one order: the same event again has the same bytes
    event |= {"datacontenttype": request.headers["content-type"]} if "content-type" in request.headers else {}
    return msgspec.json.encode(event | _data(content, kind)), CONTENT_TYPE


def _data(content: bytes, kind: str) -> dict[str, Any]:
    """The data as JSON where it is; what says it is JSON and is not stays whole, for quarantine."""
    if not content:
        return {}
    if kind.endswith(("/json", "+json")) and _is_json(content):
        return {"data": msgspec.Raw(content)}
    return {"data_base64": base64.b64encode(content).decode()}


def _is_json(content: bytes) -> bool:
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def _header(value: str) -> str:
    """An attribute as text (HTTP Protocol Binding §3.1.3.2): quotes and then percent-encoding undone."""
    quoted = _QUOTED.fullmatch(value.strip())
    return unquote(re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value)
