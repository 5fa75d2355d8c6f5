"""``backbone person find``: from an identifier to a person. The identifier comes on standard input.

As an argument it would end up in the shell's history and in every process list (promise P12).
"""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from gateway.composition.factory import Factory
from gateway.shapes import Search
from gateway.terminal.frame import Call
from gateway.terminal.show import json_line
from gateway.uses import people
from gateway.uses.caller import OPERATOR
from schemas.errors import InvalidRequest
from schemas.identifiers import NHS_NUMBER, SOURCE_URN

_FORMS = f'Write an NHS number, a local identifier with --source, or {{"system": "{NHS_NUMBER}", "value": …}}.'

Given = Annotated[list[str] | None, typer.Argument(hidden=True)]
SourceOption = Annotated[str, typer.Option(metavar="SOURCE", help="The identifier is this source's own.")]


async def find(call: Call, given: Given = None, source: SourceOption = "") -> None:
    """Read an identifier from standard input and print the person's id."""
    from consumers.people.model import PEOPLE

    if given:
        cure = "Write it to standard input: `backbone person find`, then the identifier."
        raise InvalidRequest(
            "an identifier may not stand in the arguments, where others can read it", where="arguments", cure=cure
        )
    wanted = search(_read(), source)
    async with Factory(call.settings(), writes=False) as make:
        person = await people.find(OPERATOR, make.query(PEOPLE), make.declared, wanted.system, wanted.value)
    json_line({"person": person}) if call.json else print(person)


def _read() -> str:
    """The identifier, which is not echoed when typed on a terminal."""
    text = getpass.getpass("Identifier (not shown as you type): ") if sys.stdin.isatty() else sys.stdin.readline()
    return text.strip()


def search(text: str, source: str) -> Search:
    """The identifier in ``text``. Raises `InvalidRequest`, which never repeats it."""
    if source:
        return Search(system=SOURCE_URN + source, value=text)
    if not text.startswith("{"):
        return Search(system=NHS_NUMBER, value=text)
    try:
        return Search.model_validate_json(text)
    except ValidationError:
        raise InvalidRequest("this is not an identifier", where="standard input", cure=_FORMS) from None
