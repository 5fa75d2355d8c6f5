"""``backbone timeline``: one person's timeline, read from the store as the gateway reads it.

Its options are the parameters of the path, from the same table.
"""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import Call
from gateway.terminal.show import timeline_table
from gateway.uses.question import PAGE, question
from gateway.uses.timeline_page import joined
from schemas.errors import InvalidRequest, NotFound
from schemas.identifiers import PersonId

_PERSON = re.compile(r"[0-9a-f]{32}")


async def timeline(call: Call, person: str, **asked: str | list[str] | None) -> None:
    """Print a page of the timeline."""
    if not _PERSON.fullmatch(person):
        cure = "`backbone person find` prints a person's id; identifiers of people stay out of the arguments."
        raise InvalidRequest("this is no person's id", where="PERSON", cure=cure)
    settings = call.settings()
    query = urlencode({name: value for name, value in asked.items() if value}, doseq=True)
    wanted = question(PersonId(person), PAGE.parse(query), settings.sources)
    async with Factory(settings, writes=False) as make:
        freshness = await make.freshness()
        await freshness.measure()
        page = await make.timeline.page(wanted)
        if not page.sources and await make.people.person(wanted.person) is None:
            raise NotFound("there is no such person", where="PERSON")
    content = joined(wanted.person, page, freshness.snapshot)
    if call.json:
        print(content.decode())
    else:
        timeline_table(orjson.loads(content))


def _option(parameter: dict[str, Any]) -> inspect.Parameter:
    """The option for one parameter of the path."""
    many = parameter["schema"]["type"] == "array"
    says = parameter["description"] + (" May be repeated." if many else "")
    option = typer.Option(f"--{parameter['name'].replace('_', '-')}", metavar="TEXT", help=says)
    kind = Annotated[list[str] | None, option] if many else Annotated[str, option]
    return inspect.Parameter(parameter["name"], inspect.Parameter.KEYWORD_ONLY, default=None if many else "", annotation=kind)


_ARGUMENT = Annotated[str, typer.Argument(metavar="PERSON", help="Id that `backbone person find` prints.")]
_SIGNATURE = inspect.Signature(
    [
        inspect.Parameter("call", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("person", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_ARGUMENT),
        *(_option(parameter) for parameter in PAGE.documented()["parameters"]),
    ]
)
timeline.__signature__ = _SIGNATURE  # type: ignore[attr-defined] # what typer reads
