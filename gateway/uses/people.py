"""People: from an identifier to a person, and what is known of whose records are theirs."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING

from gateway.shapes import Person
from gateway.uses.caller import Caller
from schemas.errors import InvalidRequest, NotFound, UnknownSource
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, LocalId, NhsNumber, PersonId, nhs_number

if TYPE_CHECKING:
    from consumers.people.query import KnownPatient, PeopleQuery

PERSON_ID = "[0-9a-f]{32}"
"""A person's id here: no identifier of theirs has this form."""
_VALUE_MOST = 200
_TEN_DIGITS = re.compile("(?:[0-9][ -]*){10}")


def person_id(text: str) -> PersonId:
    """The id of a person in ``text``. Raises `NotFound` when it cannot be one."""
    if not re.fullmatch(PERSON_ID, text, re.ASCII):
        cure = "`POST /people/search` and `backbone person find` say it; identifiers of people stay out of URLs and arguments."
        raise NotFound("this cannot be the id of a person", where="person", cure=cure)
    return PersonId(text)


def nobody() -> NotFound:
    """That an id of the right form leads to nobody."""
    return NotFound("there is no such person", where="person")


async def find(caller: Caller, people: PeopleQuery, sources: Container[str], system: str, value: str) -> PersonId:
    """The person with that identifier.

    Raises `InvalidRequest` when it is no identifier, as an NHS number that fails its check is none; `UnknownSource` when it is
    one of a source that is not declared; `NotFound` when nobody here has it; `StoreUnavailable`.
    """
    if not value:
        raise InvalidRequest("there is no identifier", where="value", cure="Write an NHS number, or a source's own identifier.")
    if system == NHS_NUMBER:
        found = await people.by_number(_number(value))
    else:
        found = await people.by_local_id(*_local_id(sources, system, value))
    if found is None:
        raise NotFound("nobody here has this identifier", where="value")
    return found


async def person(caller: Caller, people: PeopleQuery, text: str) -> Person:
    """A person by their id, or by one they had. Raises `NotFound`, `StoreUnavailable`."""
    found = await people.person(person_id(text))
    if found is None:
        raise nobody()
    return Person.model_validate(found)


async def current(caller: Caller, people: PeopleQuery, text: str) -> PersonId | None:
    """The id that a person has now, by it or by one they had. Raises `NotFound` when it cannot be one, `StoreUnavailable`."""
    return await people.current(person_id(text))


async def patients(caller: Caller, people: PeopleQuery, text: str) -> list[KnownPatient]:
    """What is stated of a person in FHIR's terms, a record each. Raises `NotFound`, `StoreUnavailable`."""
    found = await people.patients(person_id(text))
    if not found:
        raise nobody()
    return found


def _number(value: str) -> NhsNumber:
    number = nhs_number(value)
    if number is not None:
        return number
    if not _TEN_DIGITS.fullmatch(value):
        raise InvalidRequest("this is no NHS number", where="value", cure="It has ten digits; the last checks the others.")
    cure = "Look for a slip of the hand: its last digit follows from the others."
    raise InvalidRequest("this is no NHS number: it fails its own check", where="value", cure=cure)


def _local_id(sources: Container[str], system: str, value: str) -> tuple[str, LocalId]:
    """The source id and its own identifier."""
    source = system.removeprefix(SOURCE_URN)
    if source == system:
        cure = f"Use {NHS_NUMBER}, or {SOURCE_URN} followed by the id of a declared source."
        raise InvalidRequest("no such system of identifiers is known", where="system", cure=cure)
    if source not in sources:
        raise UnknownSource("no source of that id is declared, so that nobody has its identifiers", where="system")
    if len(value) > _VALUE_MOST:
        raise InvalidRequest("this is no local identifier", where="value", cure=f"It has {_VALUE_MOST} characters at most.")
    return source, LocalId(value)
