"""``backbone parked``: events that a projection cannot apply and has set aside. Never shows their content."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.commands.rebuild import chosen
from gateway.composition.factory import Factory, now
from gateway.terminal.frame import DONE, REJECTED, Call
from gateway.terminal.show import json_line, table

MOST = 500
"""Most events listed for one projection: when there are more, most of them have one cause."""

Projections = Annotated[list[str] | None, typer.Argument(metavar="PROJECTION…", help="people, timeline, …; all by default.")]


async def list_parked(call: Call, projections: Projections = None) -> None:
    """List what is parked, oldest first: its place in the log, what went wrong, and where in the code."""
    from consumers.store.parked import counts, parked

    async with Factory(call.settings(), writes=False) as make:
        wanted = chosen(make, projections or [])
        found = [item for one in wanted for item in await parked(make.database, one.name, limit=MOST)]
        many = await counts(make.database)
    if call.json:
        json_line({"parked": [item._asdict() for item in found], "counts": {one.name: many.get(one.name, 0) for one in wanted}})
        return
    rows = [
        (one.projection, f"{one.topic}/{one.partition}/{one.offset}", one.code, one.reason, one.last_at, one.tries)
        for one in found
    ]
    table(("Projection", "Topic/partition/offset", "What", "Where in the code", "Last try", "Tries"), rows)
    for one in wanted:
        if many.get(one.name, 0) > MOST:
            print(f"{one.name}: {many[one.name]:,} in all")


async def retry(call: Call, projections: Projections = None) -> int:
    """Try again what is parked, once its cause is mended. Returns 1 when some still cannot be applied."""
    from consumers.following.retry import retry as retry_one
    from consumers.models import migrate

    unfinished = some = False
    settings = call.settings()
    async with Factory(settings, writes=False) as look, Factory(settings) as make:
        _ = look.database  # where there is no store nothing is parked, and none is made
        log, database = await make.log(), make.database
        await migrate(database)
        for one in chosen(make, projections or []):
            found = await retry_one(one, log, database, now)
            unfinished |= bool(found.left or found.gone)
            some |= any(found)
            if call.json:
                json_line({"projection": one.name, **found._asdict()})
            elif any(found):
                gone = f", {found.gone:,} are no longer in the log" if found.gone else ""
                print(f"{one.name}: {found.applied:,} applied, {found.left:,} still cannot be{gone}")
    if not some and not call.json:
        print("Nothing is parked.")
    return REJECTED if unfinished else DONE
