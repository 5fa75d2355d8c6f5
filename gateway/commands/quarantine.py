"""``backbone quarantine``: what was not understood, kept whole. Content is printed only on request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import DONE, REJECTED, Call
from gateway.terminal.plural import counted
from gateway.terminal.show import json_line, receipt_lines, table
from gateway.uses.caller import OPERATOR
from schemas.errors import InvalidRequest

if TYPE_CHECKING:
    from consumers.quarantine.query import QuarantinedItem, QuarantineQuery
    from schemas.arrival.quarantine import QuarantineSummary

PAGE = 500
"""Items fetched from the store at a time."""

Status = Annotated[str, typer.Option(help="open, or taken-in: sent through again successfully.")]
Source = Annotated[str, typer.Option(metavar="SOURCE", help="Only what is kept under this source.")]
Limit = Annotated[int, typer.Option(help="Items at most.", min=1, max=PAGE)]
After = Annotated[str, typer.Option(help="Only the items after this cursor.")]
ItemId = Annotated[str, typer.Argument(metavar="ID", help="As `backbone quarantine list` prints it.")]


async def list_items(call: Call, status: Status = "open", source: Source = "", limit: Limit = 50, after: After = "") -> None:
    """List items, oldest first, without their content."""
    from consumers.quarantine.model import QUARANTINE
    from gateway.uses import quarantine
    from gateway.uses.asked import read

    said = {"status": status, "source": source, "limit": str(limit), "after": after}
    asked = read(quarantine.ItemsAsked, {name: value for name, value in said.items() if value})
    async with Factory(call.settings(), writes=False) as make:
        page = await quarantine.items(OPERATOR, make.query(QUARANTINE), asked)
    if call.json:
        json_line(page.model_dump())
        return
    rows = [(item.id, item.source, item.position, item.code, _second(item.received_at), item.tries) for item in page.items]
    table(("Id", "Source", "Position", "Code", "First seen", "Tries"), rows)
    if page.next:
        print(f"more: --after {page.next}")


def _second(instant: str) -> str:
    """RFC 3339 to the second: a table is narrow."""
    return f"{instant[:19]}Z"


async def show(
    call: Call,
    item: ItemId,
    content: Annotated[bool, typer.Option("--content", help="The raw bytes, and nothing else.")] = False,
) -> None:
    """Show one item; its content only with ``--content``."""
    from consumers.quarantine.model import QUARANTINE
    from gateway.uses import quarantine

    async with Factory(call.settings(), writes=False) as make:
        found = await quarantine.item(OPERATOR, make.query(QUARANTINE), await make.freshness(), item)
        if content:
            async for piece in quarantine.content(OPERATOR, await make.log(), found.parts):
                sys.stdout.buffer.write(piece)
            return
    if call.json:
        json_line(quarantine.shown(found).model_dump(exclude_unset=True))
    else:
        _print(found)


def _print(found: QuarantinedItem) -> None:
    row, size = found.summary, sum(part.size_bytes for part in found.parts)
    lines = {
        "status": row.status,
        "source": f"{row.source}, by {row.door}",
        "position": row.position,
        "reason": f"{row.reason} ({row.code})",
        "first seen": row.received_at,
        "content": f"{size:,} bytes, {row.media_type or 'of unknown type'}: --content prints it",
        "receipt": row.receipt,
    }
    for name, value in lines.items():
        print(f"{name:<12}{value}")
    for trial in found.trials:
        print(f"{'tried':<12}{trial.at}: {'taken in' if trial.accepted else trial.reason}")


async def redrive(
    call: Call,
    items: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Items; or --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open item, or of --source.")] = False,
    source: Source = "",
    sent_by: Annotated[str, typer.Option("--as", metavar="SOURCE", help="Whose they are, when not known on arrival.")] = "",
) -> int:
    """Send items through again, once the mapping or the settings are mended. Doing so twice makes nothing twice."""
    from consumers.quarantine.model import QUARANTINE
    from gateway.uses import quarantine

    if bool(items) == everything:
        raise InvalidRequest("say which items", where="ID…", cure="Give their ids, or --all for every open one.")
    settings = call.settings()
    async with Factory(settings, writes=False) as look, Factory(settings) as make:
        rejected, left = [], 0
        for item in await _open(look.query(QUARANTINE), source) if everything else items or []:
            found = await quarantine.item(OPERATOR, look.query(QUARANTINE), await look.freshness(), item)
            if everything and not sent_by and found.summary.source not in make.declared:
                left += 1  # it must not keep the others from being sent through
            else:
                rejected.append(await _redrive(make, found, sent_by, call))
    if left:
        print(f"{counted(left, 'item')} of senders that were not known {_LEFT}", file=sys.stderr)
    elif not rejected and not call.json:
        print("Nothing is open: there is nothing to send through again.")
    return REJECTED if left or any(rejected) else DONE


_LEFT = "on arrival left as they are. Say whose each one is: `backbone quarantine redrive ID --as SOURCE`."


async def _redrive(make: Factory, found: QuarantinedItem, sent_by: str, call: Call) -> bool:
    """Whether anything of it was rejected again."""
    from gateway.shapes import view
    from gateway.uses import quarantine

    receipt = await quarantine.redrive(OPERATOR, await make.log(), await make.intake(), make.declared, found, sent_by)
    shown = msgspec.to_builtins(view(receipt))
    if call.json:
        json_line(shown)
    else:
        print(f"{found.summary.id}:")
        receipt_lines(shown | {"name": ""})
    return receipt.rejected > 0


async def _open(query: QuarantineQuery, source: str) -> list[str]:
    """Ids of all that is open, oldest first. One that arrives while they are being redriven is left for next time."""
    after: tuple[str, str] | None = None
    found: list[QuarantineSummary] = []
    while page := await query.items("open", source or None, after, PAGE):
        found += page
        after = (page[-1].received_at, page[-1].id)
    return [row.id for row in found]
