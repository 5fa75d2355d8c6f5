"""``/events``: CloudEvents over HTTP, in the structured, the binary and the batched mode.

An event's ``source`` says whose it is: the URN of a declared source. A batch is of one source, so that it has one receipt.

Source: CloudEvents 1.0.2 HTTP Protocol Binding §3.1 (binary), §3.2 (structured), §3.3 (batched); JSON Event Format §3.
"""

from __future__ import annotations

import base64
import io
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from adapters.intake import Delivery
from gateway.routes import receipts
from gateway.routes.body import media_type, whole
from gateway.routes.direct import router, services
from gateway.routes.documented import answers, body
from gateway.routes.intake import ERRORS, traceparent
from gateway.settings.shapes import Door
from schemas.catalogue import CATALOGUE
from schemas.errors import InvalidRequest, UnknownSource, WrongMediaType
from schemas.event import CONTENT_TYPE
from schemas.identifiers import SOURCE_URN

BATCH_TYPE = "application/cloudevents-batch+json"
_PREFIX = "ce-"
_NOT_KEPT = "Nothing was kept, because nothing says whose it is: correct it and send it again."

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
    "One event, a batch of events of one source, or in the binary mode the data, with the attributes in `ce-` headers. An "
    "event sent again is the same in any of them; another one under the same id is taken in, and flagged `event-id-reused`.",
    {CONTENT_TYPE: _EVENT, BATCH_TYPE: {"type": "array", "items": _EVENT}, "application/fhir+json": {}, "application/json": {}},
    required=False,
)


class _Attributes(msgspec.Struct):
    """What is read here; the translator reads the rest."""

    source: str


_ONE = msgspec.json.Decoder(_Attributes)
_BATCH = msgspec.json.Decoder(list[_Attributes])

routes = router("intake")


@routes.post(
    "/events",
    summary="Take in CloudEvents: one, a batch, or in the binary mode",
    responses=answers(receipts.ANSWERS, *ERRORS),
    openapi_extra=_BODY,
)
async def take_in_events(request: Request) -> Response:
    content, kind = structured(request, await whole(request))
    source = services(request).declared(_source_id(_sources(content, kind))).source
    delivery = Delivery(source, Door.HTTP, io.BytesIO(content), kind, traceparent=traceparent(request))
    return receipts.answer(request, await services(request).taking_in.receive(delivery))


def structured(request: Request, content: bytes) -> tuple[bytes, str]:
    """The event or the batch in JSON, with its media type: as it came, or made from the headers of the binary mode."""
    kind = media_type(request)
    if kind in (CONTENT_TYPE, BATCH_TYPE):
        return content, kind
    attributes = {name[len(_PREFIX) :]: _header(value) for name, value in request.headers.items() if name.startswith(_PREFIX)}
    if not attributes:
        cure = f"Send {CONTENT_TYPE} or {BATCH_TYPE}, or the attributes in `ce-` headers. {_NOT_KEPT}"
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


def _sources(content: bytes, kind: str) -> Iterable[str]:
    """The ``source`` of each event."""
    text = content.removeprefix(BOM_UTF8)
    try:
        if kind == BATCH_TYPE:
            return {event.source for event in _BATCH.decode(text)}
        return {_ONE.decode(text).source}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("this is not JSON, or an event has no source", where="body", cure=_NOT_KEPT) from None


def _source_id(sources: Iterable[str]) -> str:
    """The id of the one source all events are of."""
    urns = tuple(sources)
    if not urns:
        raise InvalidRequest("the batch is empty", where="body", cure="Send at least one event.")
    if len(urns) != 1:
        raise InvalidRequest("a batch is of one source", where="body, source", cure="Send a batch for each source.")
    if not urns[0].startswith(SOURCE_URN):
        raise UnknownSource(where="body, source", cure=f"Set `source` to {SOURCE_URN} followed by the id of a declared source.")
    return urns[0][len(SOURCE_URN) :]
