"""``/fhir/Patient/{id}/$everything``: a person's timeline as FHIR, page by page.

Source: FHIR R4 Patient operations, ``$everything``; RESTful API §3.1.1.4.5 (paging).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.body import expect
from gateway.http.body import whole as whole_body
from gateway.http.dependencies import Known
from gateway.http.documented import JSON, READS, answers, body, resource
from gateway.http.problems import FHIR_TYPE
from gateway.http.strict_route import StrictRoute
from gateway.routes.fhir.facade import entry, searchset
from gateway.routes.fhir.negotiation import FORMAT, FormatAsked, agree, heeded
from gateway.routes.fhir.operation import PARAMETERS_BYTES, pairs_in
from gateway.routes.fhir.patient import PatientId, base, fhir, patient_of, says
from gateway.routes.fhir.payloads import PageEntry, entries_of
from gateway.uses.asked import pairs_of
from gateway.uses.parameters import Parameter, Parameters
from gateway.uses.services import Services
from gateway.uses.values import CURSOR, END_OF, FIRST_OF, MOMENT, one_of, whole
from schemas.errors import NotAcceptable, TooLarge, WrongMediaType
from schemas.event import instant
from schemas.fhir.bundle import Resource, Written
from schemas.fhir.r4 import RESOURCES
from schemas.identifiers import PersonId
from schemas.timeline import LIMIT, LIMIT_MOST, Question

TYPES = sorted(RESOURCES)
"""Resource types that a payload can hold."""
READ_OVER = 10
"""Pages of the timeline read for one answer at most, when `_since` or `_type` leaves all of them out; the answer then has a
next link and no entry, which FHIR allows."""

QUERY = Parameters(
    Parameter("start", FIRST_OF, "Care on or after this date."),
    Parameter("end", END_OF, "Care on or before this date."),
    Parameter("_since", MOMENT, "What the backbone learned at or after this time."),
    Parameter("_type", one_of(TYPES), "Resource types wanted.", many=True),
    Parameter(
        "_count",
        whole(1, LIMIT_MOST, LIMIT, cut=True),
        f"Events on a page, {LIMIT_MOST} at most; each has one resource or a few.",
    ),
    Parameter("after", CURSOR, "Part of a next link: not to be made by hand."),
    FORMAT,
)

_PAGE = says("Bundle", "A searchset; its next link leads on.")
_BODY = dict.fromkeys((FHIR_TYPE, JSON), resource("Parameters"))
_PARAMETERS = body("What the query of the same by GET may say; or nothing.", _BODY, False)

routes = APIRouter(route_class=StrictRoute, tags=["fhir"])


_ENTRY = msgspec.json.Decoder(PageEntry)


class _Wanted(NamedTuple):
    """What is asked beyond the timeline's own question."""

    patient: Resource
    patient_url: str
    types: frozenset[str]
    since: str

    def of(self, rows: Iterable[tuple[str, str | None]]) -> list[orjson.Fragment]:
        """The searchset entries of a timeline page."""
        read = [(_ENTRY.decode(entry), payload) for entry, payload in rows if payload]
        fresh = [row for row in read if row[0].recorded_at >= self.since] if self.since else read
        return entries_of(fresh, self.patient_url, self.types)


@routes.get(
    "/fhir/Patient/{id}/$everything",
    summary="Everything known of one person, newest first, page by page",
    responses=answers(_PAGE, *READS, NotAcceptable, fhir=True),
    openapi_extra=QUERY.documented(),
    response_class=Response,
)
async def everything(request: Request, known: Known, id: PatientId) -> Response:
    return await _answer(request, known, id, pairs_of(request.scope["query_string"].decode("latin-1")))


@routes.post(
    "/fhir/Patient/{id}/$everything",
    summary="The same, asked by a Parameters resource; its next link is got",
    responses=answers(_PAGE, *READS, NotAcceptable, TooLarge, WrongMediaType, fhir=True),
    openapi_extra=_PARAMETERS,
    response_class=Response,
)
async def everything_posted(request: Request, known: Known, id: PatientId, asked: Annotated[FormatAsked, Query()]) -> Response:
    agree(request, asked)
    content = await whole_body(request, PARAMETERS_BYTES)
    if content:
        expect(request, FHIR_TYPE, JSON)
    return await _answer(request, known, id, pairs_in(content))


async def _answer(request: Request, known: Services, id: str, sent: Sequence[tuple[str, str]]) -> Response:
    """The page that the parameters ask for."""
    heard = heeded(request, sent, QUERY)
    agree(request, asked := QUERY.said(heard))
    patient = await patient_of(known, PersonId(id))
    patients = f"{base(request)}/Patient/"
    since = instant(asked["_since"]) if "_since" in asked else ""
    wanted = _Wanted(patient, patients + patient["id"], asked.get("_type", frozenset()), since)
    entries, following = await _page(known, asked, wanted)
    url = f"{patients}{id}/$everything"
    return fhir(searchset(entries, _asking(url, heard), _asking(url, heard, following) if following else None))


async def _page(known: Services, asked: Mapping[str, Any], wanted: _Wanted) -> tuple[list[Written], str | None]:
    """The entries of one page, and the cursor of the next. The Patient comes first on the first page."""
    first = "after" not in asked and (not wanted.types or "Patient" in wanted.types)
    entries: list[Written] = [entry(wanted.patient_url, wanted.patient)] if first else []
    if wanted.types == {"Patient"}:
        return entries, None
    question = _question(PersonId(wanted.patient["id"]), asked)
    for _ in range(READ_OVER):
        page = await known.timeline.rows(question)
        entries += wanted.of(page.rows)
        question = msgspec.structs.replace(question, after=page.next)
        if entries or page.next is None:
            break
    return entries, question.after


def _question(person: PersonId, asked: Mapping[str, Any]) -> Question:
    return Question(
        person=person,
        since=asked.get("start"),
        until=asked.get("end"),
        limit=asked.get("_count", LIMIT),
        after=asked.get("after"),
        resources=True,
    )


def _asking(url: str, heard: Sequence[tuple[str, str]], after: str | None = None) -> str:
    """``url`` with what was asked, or of the page after a cursor: with the same parameters, so that it is the same question."""
    pairs = [(name, value) for name, value in heard if name != "after" or after is None]
    pairs += [("after", after)] if after else []
    return f"{url}?{urlencode(pairs)}" if pairs else url
