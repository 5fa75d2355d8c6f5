"""``backbone timeline``: one person's timeline, read from the store as the gateway reads it.

Its options are the parameters of the path, from the same model.
"""

from __future__ import annotations

import inspect
from typing import Annotated

import orjson
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import Call
from gateway.terminal.show import timeline_table
from gateway.uses.asked import read
from gateway.uses.caller import OPERATOR
from gateway.uses.timeline import PageAsked, page


async def timeline(call: Call, person: str, **asked: str | list[str] | None) -> None:
    """Print a page of the timeline."""
    from consumers.people.model import PEOPLE
    from consumers.timeline.model import TIMELINE

    settings, wanted = call.settings(), read(PageAsked, {name: value for name, value in asked.items() if value})
    async with Factory(settings, writes=False) as make:
        freshness = await make.freshness()
        await freshness.measure()
        content = await page(OPERATOR, make.query(TIMELINE), make.query(PEOPLE), freshness, settings.sources, person, wanted)
    if call.json:
        print(content.decode())
    else:
        timeline_table(orjson.loads(content))


def _option(name: str, says: str, many: bool) -> inspect.Parameter:
    """The option for one parameter of the path."""
    option = typer.Option(f"--{name.replace('_', '-')}", metavar="TEXT", help=says + (" May be repeated." if many else ""))
    kind = Annotated[list[str] | None, option] if many else Annotated[str, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None if many else "", annotation=kind)


_ARGUMENT = Annotated[str, typer.Argument(metavar="PERSON", help="Id that `backbone person find` prints.")]
_SIGNATURE = inspect.Signature(
    [
        inspect.Parameter("call", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("person", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_ARGUMENT),
        *(_option(name, PageAsked.model_fields[name].description or "", many) for name, many in PageAsked.names().items()),
    ]
)
timeline.__signature__ = _SIGNATURE  # type: ignore[attr-defined] # what typer reads
