"""``/people``: from an identifier to a person, and what is known of whose records they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.body import expect, whole
from gateway.http.direct import router, services
from gateway.http.documented import JSON, READS, Says, answers, body, shape
from gateway.settings.shapes import SourceSettings
from gateway.shapes import Found, Person, Search
from gateway.uses.parameters import NONE, InPath
from gateway.uses.services import Services
from schemas.errors import InvalidRequest, NotFound, TooLarge, UnknownSource, WrongMediaType
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, LocalId, NhsNumber, PersonId, nhs_number

PERSON = InPath("person", "[0-9a-f]{32}", "id of a person, as `POST /people/search` answers it")
SEARCH_BYTES = 4096
"""Largest search: a system and a value are some 100 bytes."""

_SEARCH = msgspec.json.Decoder(Search)
_VALUE_MOST = 200
_TEN_DIGITS = re.compile("(?:[0-9][ -]*){10}")

routes = router("people")


@routes.post(
    "/people/search",
    summary="The person an identifier belongs to",
    responses=answers({200: Says("Their id here.", shape(Found))}, *READS, UnknownSource, TooLarge, WrongMediaType),
    openapi_extra=body("The identifier; it never travels in a URL.", {JSON: shape(Search)}),
)
async def search(request: Request) -> Response:
    expect(request, JSON)
    asked = search_of(await whole(request, SEARCH_BYTES))
    found = await find(services(request), asked.system, asked.value)
    if found is None:
        raise NotFound("nobody here has this identifier", where="value")
    return Response(msgspec.json.encode(Found(person=found)), media_type=JSON)


@routes.get(
    "/people/{person}",
    summary="The records that are one person's, by which rule, and their identifiers",
    responses=answers({200: Says("The person.", shape(Person))}, *READS),
    openapi_extra=NONE.documented(PERSON.documented()),
)
async def person(request: Request) -> Response:
    found = await services(request).people.person(PersonId(PERSON.read(request)))
    if found is None:
        raise NotFound("there is no such person", where="path, person")
    return Response(msgspec.json.encode(found), media_type=JSON)


def search_of(content: bytes) -> Search:
    """The search in a body. Raises `InvalidRequest`, which never repeats it."""
    try:
        return _SEARCH.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        cure = f'Send {{"system": "{NHS_NUMBER}", "value": …}} and nothing else.'
        raise InvalidRequest("the body is not a search", where="body", cure=cure) from None


async def find(known: Services, system: str, value: str) -> PersonId | None:
    """The person with that identifier, or ``None`` when nobody here has it.

    Raises `NotFound` or `UnknownSource` when nobody can have it, and `InvalidRequest` when it is no identifier.
    """
    if system == NHS_NUMBER:
        return await known.people.by_number(_number(value))
    return await known.people.by_local_id(*local_id(known.sources, system, value))


def _number(value: str) -> NhsNumber:
    """Raises `InvalidRequest` when it is not ten digits, `NotFound` when they were never given to anybody."""
    number = nhs_number(value)
    if number is not None:
        return number
    if not _TEN_DIGITS.fullmatch(value):
        raise InvalidRequest("this is no NHS number", where="value", cure="It has ten digits; the last checks the others.")
    cure = "Look for a slip of the hand: its last digit follows from the others."
    raise NotFound("this NHS number fails its own check, so that nobody has it", where="value", cure=cure)


def local_id(sources: Mapping[str, SourceSettings], system: str, value: str) -> tuple[str, LocalId]:
    """The source id and its own identifier. Raises `InvalidRequest`, `UnknownSource`."""
    source = system.removeprefix(SOURCE_URN)
    if source == system:
        cure = f"Use {NHS_NUMBER}, or {SOURCE_URN} followed by the id of a declared source."
        raise InvalidRequest("no such system of identifiers is known", where="system", cure=cure)
    if source not in sources:
        raise UnknownSource("no source of that id is declared, so that nobody has its identifiers", where="system")
    if not value or len(value) > _VALUE_MOST:
        raise InvalidRequest("this is no local identifier", where="value", cure=f"It has 1 to {_VALUE_MOST} characters.")
    return source, LocalId(value)
