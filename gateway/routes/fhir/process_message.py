"""``/fhir/$process-message``: FHIR message Bundles, in the manner of the Booking and Referral Standard.

Whose message it is says its MessageHeader, by ``source.endpoint``: the ``endpoint`` in a source's settings, or the URN of a
declared source; a sender that can set neither names the source in the query. The same message again has the same answer;
another one under a used ``X-Request-Id``, or ``MessageHeader.id`` where there is none, is taken in and flagged.

Source: FHIR R4 Messaging §2.4.4.1 (``$process-message``); BaRS 1.4 transport headers.
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from adapters.intake.receive import Delivery
from gateway.http.body import expect, whole
from gateway.http.dependencies import Known
from gateway.http.documented import JSON, Says, answers, body, resource
from gateway.http.problems import FHIR_TYPE
from gateway.http.strict_route import StrictRoute
from gateway.routes import answers as receipts
from gateway.routes.fhir.negotiation import FormatAsked, agree
from gateway.routes.intake import ERRORS, traceparent
from gateway.settings.shapes import SourceSettings
from gateway.settings.values import Door
from gateway.uses.values import SOURCE
from schemas.errors import InvalidRequest, NotAcceptable, UnknownSource
from schemas.identifiers import SOURCE_URN

ID_MOST = 200
"""Characters of a message's id that are kept: a UUID has 36."""


class MessageAsked(FormatAsked):
    """How a message is taken in."""

    source: Annotated[str | None, SOURCE] = None
    """Whose message it is; else its header says so."""


RequestId = Annotated[
    str,
    Header(
        alias="X-Request-Id",
        description="The sender's own id of this message. Used again for another message, that one is flagged.",
        json_schema_extra={"maxLength": ID_MOST},
    ),
]
_OUTCOME = resource("OperationOutcome")
_ANSWERS = {status: Says(row.description, _OUTCOME, FHIR_TYPE) for status, row in receipts.ANSWERS.items()}
_BUNDLE = body("A Bundle of type `message`, MessageHeader first.", dict.fromkeys((FHIR_TYPE, JSON), resource("Bundle")))

routes = APIRouter(route_class=StrictRoute, tags=["fhir"])


class _Endpoint(msgspec.Struct):
    endpoint: str = ""


class _Header(msgspec.Struct, rename="camel"):
    """What is read of a MessageHeader here."""

    resource_type: str = ""
    id: str = ""
    source: _Endpoint = msgspec.field(default_factory=_Endpoint)


class _Entry(msgspec.Struct):
    resource: _Header = msgspec.field(default_factory=_Header)


class _Message(msgspec.Struct, rename="camel"):
    """What is read of a message Bundle here; the translator reads the rest."""

    resource_type: str = ""
    type: str = ""
    entry: list[_Entry] = []


_MESSAGE = msgspec.json.Decoder(_Message)
_NOT_KEPT = "Nothing was kept, as nothing says whose it is: correct it, or name the source in the query, and send it again."


@routes.post(
    "/fhir/$process-message",
    summary="Take in a FHIR message",
    responses=answers(_ANSWERS, *ERRORS, NotAcceptable, fhir=True),
    openapi_extra=_BUNDLE,
    response_class=Response,
)
async def process_message(
    request: Request, known: Known, asked: Annotated[MessageAsked, Query()], request_id: RequestId = ""
) -> Response:
    agree(request, asked)
    expect(request, FHIR_TYPE, JSON)
    content = await whole(request)
    source = known.declared(asked.source or source_of(content, known.sources)).source
    control = (request_id or message_id(content))[:ID_MOST]
    delivery = Delivery(source, Door.HTTP, io.BytesIO(content), FHIR_TYPE, control=control, traceparent=traceparent(request))
    return receipts.answer_fhir(await known.taking_in.receive(delivery))


def message_id(content: bytes) -> str:
    """The message's own id, for senders whose transport gives it none; ``""`` when it has none or cannot be read."""
    try:
        message = _MESSAGE.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return message.entry[0].resource.id if message.entry else ""


def source_of(content: bytes, sources: Mapping[str, SourceSettings]) -> str:
    """Id of the source that the MessageHeader names. Raises `InvalidRequest`, `UnknownSource`."""
    try:
        message = _MESSAGE.decode(content.removeprefix(BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("this is not a FHIR Bundle in JSON", where="body", cure=_NOT_KEPT) from None
    header = message.entry[0].resource if message.entry else _Header()
    if (message.resource_type, message.type, header.resource_type) != ("Bundle", "message", "MessageHeader"):
        raise InvalidRequest("this is no message Bundle that begins with a MessageHeader", where="Bundle", cure=_NOT_KEPT)
    endpoint = _same(header.source.endpoint)
    if not endpoint:
        raise UnknownSource("the message does not say whose it is", where="MessageHeader.source.endpoint", cure=_NOT_KEPT)
    if endpoint.startswith(SOURCE_URN):
        return endpoint[len(SOURCE_URN) :]
    for source_id, row in sources.items():
        if _same(row.endpoint) == endpoint:
            return source_id
    cure = "Give a [[source]] in backbone.toml this `endpoint`; nothing was kept, send it again then."
    raise UnknownSource(where="MessageHeader.source.endpoint", cure=cure)


def _same(endpoint: str) -> str:
    """Live BaRS messages name the same service with http and with https."""
    return endpoint.replace("http://fhir.nhs.uk/", "https://fhir.nhs.uk/", 1)
