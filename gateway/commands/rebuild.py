"""``backbone rebuild``: makes projections anew from the log beside the live ones, then swaps them. Sends nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.composition.factory import Factory, now
from gateway.settings.parse import nearest
from gateway.terminal.frame import Call
from gateway.terminal.show import json_line
from schemas.errors import InvalidRequest

if TYPE_CHECKING:
    from consumers.projection import Projection

TOLD_EVERY = 100_000
"""Records between two lines of progress."""


async def rebuild(
    call: Call,
    projections: Annotated[list[str] | None, typer.Argument(metavar="PROJECTION…", help="people, timeline, …")] = None,
    every: Annotated[bool, typer.Option("--all", help="Rebuild every one.")] = False,
) -> None:
    """Rebuild each of ``projections``. Raises `InvalidRequest` when none is named, unless all are meant."""
    if every == bool(projections):
        cure = "Name the projections to rebuild, or write --all."
        raise InvalidRequest("which projections are meant is not clear", where="PROJECTION", cure=cure)
    from consumers.following.rebuild import rebuild as rebuild_one
    from consumers.models import migrate
    from consumers.store.origin import remember

    async with Factory(call.settings()) as make:
        wanted = chosen(make, projections or [])
        log, database = await make.log(), make.database
        await migrate(database)
        await remember(database, log.identity)
        for one in wanted:
            records = await rebuild_one(one, log, database, now, _progress(one.name, quiet=call.json))
            json_line({"rebuilt": one.name, "records": records}) if call.json else print(
                f"{one.name}: rebuilt from {records:,} records."
            )


def chosen(make: Factory, names: Sequence[str]) -> list[Projection]:
    """The projections of these names, each once, or all of them when none is named. Raises `InvalidRequest`."""
    known = {projection.name: projection for projection in make.projections()}
    for name in names:
        if name not in known:
            cure = f"Write some of {', '.join(known)}{nearest(name, known)}."
            raise InvalidRequest("there is no such projection", where="PROJECTION", cure=cure)
    return [known[name] for name in dict.fromkeys(names or known)]


def _progress(name: str, *, quiet: bool) -> Callable[[int], None]:
    """Told the number of records so far."""
    told = 0

    def tell(records: int) -> None:
        nonlocal told
        if not quiet and records - told >= TOLD_EVERY:
            told = records
            print(f"{name}: {records:,} records so far", file=sys.stderr)

    return tell
