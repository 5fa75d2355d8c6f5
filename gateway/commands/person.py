"""``backbone person find``: from an identifier to a person. The identifier comes on standard input.

As an argument it would end up in the shell's history and in every process list (promise P12).
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import Call
from gateway.terminal.show import json_line
from schemas.errors import InvalidRequest, NotFound
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, LocalId, nhs_number

if TYPE_CHECKING:
    from consumers.people.query import PeopleQuery
    from schemas.identifiers import PersonId

_FORMS = f'Write an NHS number, a local identifier with --source, or {{"system": "{NHS_NUMBER}", "value": …}}.'

Given = Annotated[list[str] | None, typer.Argument(hidden=True)]
SourceOption = Annotated[str, typer.Option(metavar="SOURCE", help="The identifier is this source's own.")]


class Identifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked for."""

    system: str
    value: str


async def find(call: Call, given: Given = None, source: SourceOption = "") -> None:
    """Read an identifier from standard input and print the person's id."""
    if given:
        cure = "Write it to standard input: `backbone person find`, then the identifier."
        raise InvalidRequest(
            "an identifier may not stand in the arguments, where others can read it", where="arguments", cure=cure
        )
    wanted = identifier(_read(), source)
    async with Factory(call.settings(), writes=False) as make:
        if source:
            make.source(source)
        person = await _find(make.people, wanted)
    if person is None:
        raise NotFound("nobody here has this identifier", where="standard input")
    json_line({"person": person}) if call.json else print(person)


def _read() -> str:
    """The identifier, which is not echoed when typed on a terminal."""
    text = getpass.getpass("Identifier (not shown as you type): ") if sys.stdin.isatty() else sys.stdin.readline()
    return text.strip()


def identifier(text: str, source: str) -> Identifier:
    """The identifier in ``text``. Raises `InvalidRequest`, which never repeats it."""
    if source:
        found = Identifier(SOURCE_URN + source, text)
    elif text.startswith("{"):
        try:
            found = msgspec.json.decode(text, type=Identifier)
        except msgspec.DecodeError:
            raise InvalidRequest("this is not an identifier", where="standard input", cure=_FORMS) from None
    else:
        found = Identifier(NHS_NUMBER, text)
    if not found.value:
        raise InvalidRequest("there is no identifier", where="standard input", cure=_FORMS)
    return found


async def _find(people: PeopleQuery, wanted: Identifier) -> PersonId | None:
    if wanted.system == NHS_NUMBER:
        number = nhs_number(wanted.value)
        if number is None:
            cure = "It has ten digits, the last of which checks the others."
            raise InvalidRequest("this is no NHS number", where="standard input", cure=cure)
        return await people.by_number(number)
    source = wanted.system.removeprefix(SOURCE_URN)
    if source == wanted.system:
        raise InvalidRequest("no such system of identifiers is known", where="standard input", cure=_FORMS)
    return await people.by_local_id(source, LocalId(wanted.value))
