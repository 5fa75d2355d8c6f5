"""``/people``: from an identifier to a person, and what is known of whose records they are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from gateway.http.dependencies import Asking, Known
from gateway.http.documented import READS, refusals
from gateway.http.strict_route import StrictRoute
from gateway.shapes import Found, Person, Search
from gateway.uses import people
from gateway.uses.people import PERSON_ID
from schemas.errors import TooLarge, UnknownSource, WrongMediaType

SEARCH_BYTES = 4096
"""Largest search: a system and a value are some 100 bytes."""

PERSON_SAYS = "id of a person, as `POST /people/search` answers it"
PersonInPath = Annotated[str, Path(description=PERSON_SAYS, json_schema_extra={"pattern": f"^{PERSON_ID}$"})]

routes = APIRouter(route_class=StrictRoute, tags=["people"])


@routes.post(
    "/people/search",
    summary="The person an identifier belongs to",
    response_description="Their id here.",
    max_body_size=SEARCH_BYTES,
    responses=refusals(*READS, UnknownSource, TooLarge, WrongMediaType),
)
async def search(caller: Asking, known: Known, asked: Search) -> Found:
    return Found(person=await people.find(caller, known.people, known.sources, asked.system, asked.value))


@routes.get(
    "/people/{person}",
    summary="The records that are one person's, by which rule, and their identifiers",
    response_description="The person.",
    responses=refusals(*READS),
)
async def person(caller: Asking, known: Known, person: PersonInPath) -> Person:
    return await people.person(caller, known.people, person)
