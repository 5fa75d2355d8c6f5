"""``/fhir/Patient/{id}/$everything``: a person's timeline as FHIR, page by page.

Source: FHIR R4 Patient operations, ``$everything``; RESTful API §3.1.1.4.5 (paging).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

import msgspec
import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.body import expect
from gateway.http.body import whole as whole_body
from gateway.http.dependencies import Asking, Known
from gateway.http.documented import JSON, READS, answers, body, in_query, resource
from gateway.http.problems import FHIR_TYPE
from gateway.http.strict_route import StrictRoute
from gateway.routes.fhir.facade import entry, searchset
from gateway.routes.fhir.negotiation import FormatAsked, agree, heeded
from gateway.routes.fhir.operation import PARAMETERS_BYTES, pairs_in
from gateway.routes.fhir.patient import PatientId, base, fhir, patient_of, says
from gateway.routes.fhir.payloads import PageEntry, entries_of
from gateway.uses import timeline
from gateway.uses.asked import COMMAS, pairs_of, read_pairs
from gateway.uses.caller import Caller
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
_COUNT_SAYS = f"Events on a page, {LIMIT_MOST} at most; each has one resource or a few."


class EverythingAsked(FormatAsked):
    """What is asked of a page."""

    start: Annotated[datetime | None, FIRST_OF] = None
    """Care on or after this date."""
    end: Annotated[datetime | None, END_OF] = None
    """Care on or before this date."""
    since: Annotated[datetime | None, MOMENT, Field(alias="_since")] = None
    """What the backbone learned at or after this time."""
    types: Annotated[tuple[Annotated[str, one_of(TYPES)], ...], COMMAS, Field(alias="_type")] = ()
    """Resource types wanted."""
    count: Annotated[int, whole(1, LIMIT_MOST, cut=True), Field(alias="_count", description=_COUNT_SAYS)] = LIMIT
    after: Annotated[str | None, CURSOR] = None
    """Part of a next link: not to be made by hand."""

    def question(self, person: PersonId) -> Question:
        """What it asks of the person's timeline."""
        return Question(person=person, since=self.start, until=self.end, limit=self.count, after=self.after, resources=True)


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
    openapi_extra=in_query(EverythingAsked),
    response_class=Response,
)
async def everything(caller: Asking, known: Known, request: Request, id: PatientId) -> Response:
    return await _answer(caller, known, request, id, pairs_of(request.scope["query_string"].decode("latin-1")))


@routes.post(
    "/fhir/Patient/{id}/$everything",
    summary="The same, asked by a Parameters resource; its next link is got",
    responses=answers(_PAGE, *READS, NotAcceptable, TooLarge, WrongMediaType, fhir=True),
    openapi_extra=_PARAMETERS,
    response_class=Response,
)
async def everything_posted(
    caller: Asking, known: Known, request: Request, id: PatientId, asked: Annotated[FormatAsked, Query()]
) -> Response:
    agree(request, asked)
    content = await whole_body(request, PARAMETERS_BYTES)
    if content:
        expect(request, FHIR_TYPE, JSON)
    return await _answer(caller, known, request, id, pairs_in(content))


async def _answer(caller: Caller, known: Services, request: Request, id: str, sent: Sequence[tuple[str, str]]) -> Response:
    """The page that the parameters ask for, which are read here: some clients prefer the unknown ones ignored."""
    heard = heeded(request, sent, EverythingAsked.names())
    agree(request, asked := read_pairs(EverythingAsked, heard))
    patient = await patient_of(caller, known, id)
    patients = f"{base(request)}/Patient/"
    since = instant(asked.since) if asked.since else ""
    wanted = _Wanted(patient, patients + patient["id"], frozenset(asked.types), since)
    entries, following = await _page(caller, known, asked, wanted)
    url = f"{patients}{id}/$everything"
    return fhir(searchset(entries, _asking(url, heard), _asking(url, heard, following) if following else None))


async def _page(caller: Caller, known: Services, asked: EverythingAsked, wanted: _Wanted) -> tuple[list[Written], str | None]:
    """The entries of one page, and the cursor of the next. The Patient comes first on the first page."""
    first = asked.after is None and (not wanted.types or "Patient" in wanted.types)
    entries: list[Written] = [entry(wanted.patient_url, wanted.patient)] if first else []
    if wanted.types == {"Patient"}:
        return entries, None
    question = asked.question(PersonId(wanted.patient["id"]))
    for _ in range(READ_OVER):
        page = await timeline.rows(caller, known.timeline, question)
        entries += wanted.of(page.rows)
        question = msgspec.structs.replace(question, after=page.next)
        if entries or page.next is None:
            break
    return entries, question.after


def _asking(url: str, heard: Sequence[tuple[str, str]], after: str | None = None) -> str:
    """``url`` with what was asked, or of the page after a cursor: with the same parameters, so that it is the same question."""
    pairs = [(name, value) for name, value in heard if name != "after" or after is None]
    pairs += [("after", after)] if after else []
    return f"{url}?{urlencode(pairs)}" if pairs else url
