"""``/fhir``: what the server can do, and one person as a Patient. The shapes are made by `gateway.routes.fhir.facade`.

Source: FHIR R4 RESTful API §3.1.0.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.body import expect, text_of, whole
from gateway.http.dependencies import Asking, Known
from gateway.http.documented import READS, Says, answers, body, resource
from gateway.http.problems import FHIR_TYPE, answer_of, issue, outcome
from gateway.http.strict_route import StrictRoute
from gateway.routes.fhir.capability import capability_statement
from gateway.routes.fhir.facade import entry, person_as_patient, searchset
from gateway.routes.fhir.negotiation import FormatAsked, agree, heeded
from gateway.routes.people import PERSON_SAYS, SEARCH_BYTES, PersonInPath
from gateway.uses import people, values
from gateway.uses.asked import pairs_of, read_pairs
from gateway.uses.caller import Caller
from gateway.uses.services import Services
from gateway.uses.values import text
from schemas.errors import BackboneError, InvalidRequest, NotAcceptable, NotFound, TooLarge, UnknownSource, WrongMediaType
from schemas.fhir.bundle import Resource, write
from schemas.identifiers import PersonId
from schemas.timeline import LIMIT, LIMIT_MOST

FORM = "application/x-www-form-urlencoded"
PatientId = PersonInPath

_POST_IT = "Post it to /fhir/Patient/_search, in the body: an identifier never travels in a URL, where logs would keep it."
_IDENTIFIER = text(r"[^|]{1,200}\|[^|]{1,200}", "an identifier with its system, as system|value")
_ID = text(people.PERSON_ID, f"the {PERSON_SAYS}")


class PatientAsked(FormatAsked):
    """Which Patients are asked for."""

    id: Annotated[str | None, _ID, Field(alias="_id", description=f"The {PERSON_SAYS}.")] = None
    count: Annotated[int, values.whole(0, LIMIT_MOST, cut=True), Field(alias="_count")] = LIMIT
    """Patients wanted; 0: only how many there are."""


class InUrlAsked(PatientAsked):
    """What may be searched for in a URL: the id that stands in URLs anyway, and identifies nobody elsewhere."""

    unknown = _POST_IT


class SearchAsked(PatientAsked):
    """What may be searched for in a body."""

    identifier: Annotated[str | None, _IDENTIFIER] = None
    """`system|value`"""


_SAID = SearchAsked.model_json_schema()["properties"]
_FORM = {
    "type": "object",
    "properties": {name: _SAID[name] for name in ("identifier", "_id", "_count")},
    "anyOf": [{"required": ["identifier"]}, {"required": ["_id"]}],
}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def says(kind: str, description: str) -> dict[int, Says]:
    """The good answer: a resource of that type."""
    return {200: Says(description, resource(kind), FHIR_TYPE)}


_FOUND = says("Bundle", "A searchset of one Patient, or of none.")

routes = APIRouter(route_class=StrictRoute, tags=["fhir"])


@routes.get(
    "/fhir/metadata",
    summary="What this FHIR server can do",
    responses=answers(says("CapabilityStatement", "The statement."), NotAcceptable, fhir=True),
    response_class=Response,
)
async def metadata(request: Request, asked: Annotated[FormatAsked, Query()]) -> Response:
    agree(request, asked)
    return fhir(capability_statement(base(request)))


@routes.get(
    "/fhir/Patient",
    summary="The Patient of an id; by identifiers, search by POST",
    responses=answers(_FOUND, *READS, NotAcceptable, fhir=True),
    response_class=Response,
)
async def search_in_url(caller: Asking, known: Known, request: Request, asked: Annotated[InUrlAsked, Query()]) -> Response:
    agree(request, asked)
    if asked.id is None:
        raise InvalidRequest("by GET a Patient can be searched for only with _id", where="query", cure=_POST_IT)
    url = f"{base(request)}/Patient?{request.scope['query_string'].decode('latin-1')}"
    return await _searchset(caller, known, request, asked, None, url)


@routes.post(
    "/fhir/Patient/_search",
    summary="The Patient an identifier belongs to",
    responses=answers(_FOUND, *READS, NotAcceptable, TooLarge, WrongMediaType, fhir=True),
    openapi_extra=body("`identifier=system|value`, `_id`, or both.", {FORM: _FORM}),
    response_class=Response,
)
async def search(caller: Asking, known: Known, request: Request, asked: Annotated[FormatAsked, Query()]) -> Response:
    agree(request, asked)
    expect(request, FORM)
    sent = pairs_of(text_of(await whole(request, SEARCH_BYTES)))
    wanted = read_pairs(SearchAsked, heeded(request, sent, SearchAsked.names()))
    return await _searchset(caller, known, request, wanted, wanted.identifier, f"{base(request)}/Patient/_search")


@routes.get(
    "/fhir/Patient/{id}",
    summary="One person as a Patient",
    responses=answers(says("Patient", "The union of what their records say."), *READS, NotAcceptable, fhir=True),
    response_class=Response,
)
async def read(
    caller: Asking, known: Known, request: Request, id: PatientId, asked: Annotated[FormatAsked, Query()]
) -> Response:
    agree(request, asked)
    return fhir(await patient_of(caller, known, id))


def fhir(resource: Resource) -> Response:
    """The resource as an answer."""
    return Response(write(resource), media_type=FHIR_TYPE)


async def patient_of(caller: Caller, known: Services, person: str) -> Resource:
    """The person as a Patient, under the id they have now. Raises `NotFound`."""
    try:
        stated = await people.patients(caller, known.people, person)
    except NotFound:
        raise NotFound("there is no such Patient", where="path, id") from None
    return person_as_patient(stated[0].person, stated)


async def _searchset(
    caller: Caller, known: Services, request: Request, asked: PatientAsked, identifier: str | None, url: str
) -> Response:
    """Whom the search finds, as a searchset whose own link is ``url``."""
    found, hints = await _people(caller, known, asked.id, identifier)
    patients = [await patient_of(caller, known, person) for person in found[: asked.count]]
    entries = [entry(patient_url(request, patient), patient) for patient in patients]
    return fhir(searchset([*entries, *hints], url, None, len(found)))


async def _people(
    caller: Caller, known: Services, id: str | None, identifier: str | None
) -> tuple[list[PersonId], list[Resource]]:
    """Whom the search finds, one person or nobody, and why nobody can have what is searched for."""
    found: set[PersonId | None] = set()
    hints: list[Resource] = []
    if id is not None:
        found.add(await people.current(caller, known.people, id))
    if identifier is not None:
        person, hints = await _identified(caller, known, identifier)
        found.add(person)
    if not found:
        cure = "Write identifier=system|value, or _id."
        raise InvalidRequest("nothing to search for", where="body, identifier", cure=cure)
    return [person for person in found if person is not None and len(found) == 1], hints


async def _identified(caller: Caller, known: Services, identifier: str) -> tuple[PersonId | None, list[Resource]]:
    """Nobody is found by an identifier that nobody can have, and a hint says why: that is no error of the search.

    Source: FHIR R4 Search §3.1.1.1 (errors, and OperationOutcomes about a search); its example ``bundle-search-warning``.
    """
    system, _, value = identifier.partition("|")
    try:
        return await people.find(caller, known.people, known.sources, system, value), []
    except NotFound:
        return None, []
    except (UnknownSource, InvalidRequest) as error:
        return None, [_hint(error)]


def _hint(error: BackboneError) -> Resource:
    """The entry that says why a search can find nothing. It is no match, and the Bundle's total does not count it."""
    said = outcome([issue(error, answer_of(type(error)).issue, "warning")])
    return {"resource": said, "search": {"mode": "outcome"}}


def base(request: Request) -> str:
    """Where this facade is, as the client addressed it."""
    sent = request.headers.get("host", "")
    host = sent if _HOST.fullmatch(sent) else "localhost"
    return f"{request.scope['scheme']}://{host}/fhir"


def patient_url(request: Request, patient: Resource) -> str:
    """The URL of a Patient of ours."""
    return f"{base(request)}/Patient/{patient['id']}"
