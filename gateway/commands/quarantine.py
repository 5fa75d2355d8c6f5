"""``backbone quarantine``: what was not understood, kept whole. Content is printed only on request."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import DONE, REJECTED, Call
from gateway.terminal.plural import counted
from gateway.terminal.show import json_line, receipt_lines, table
from schemas.errors import InvalidRequest, NotFound, UnknownSource

if TYPE_CHECKING:
    from consumers.quarantine.query import QuarantinedItem, QuarantineQuery
    from schemas.arrival.quarantine import QuarantineSummary

PAGE = 500
"""Items fetched from the store at a time."""
_BETWEEN = "~"
"""Between the two parts of a cursor, as in the API."""
_CURSOR = re.compile(rf"[0-9T:.-]{{23}}Z{_BETWEEN}[0-9a-f-]{{36}}")

Status = Annotated[str, typer.Option(help="open, or taken-in: sent through again successfully.")]
Source = Annotated[str, typer.Option(metavar="SOURCE", help="Only what is kept under this source.")]
Limit = Annotated[int, typer.Option(help="Items at most.", min=1, max=PAGE)]
After = Annotated[str, typer.Option(help="Only the items after this cursor.")]
ItemId = Annotated[str, typer.Argument(metavar="ID", help="As `backbone quarantine list` prints it.")]


async def list_items(call: Call, status: Status = "open", source: Source = "", limit: Limit = 50, after: After = "") -> None:
    """List items, oldest first, without their content."""
    from consumers.quarantine.query import STATUSES

    if status not in STATUSES:
        raise InvalidRequest("there is no such status", where="--status", cure=f"Write {' or '.join(STATUSES)}.")
    if after and not _CURSOR.fullmatch(after):
        raise InvalidRequest(
            "this is no cursor of this list", where="--after", cure="Write what the list before ended with, unchanged."
        )
    cursor = after.partition(_BETWEEN)
    async with Factory(call.settings(), writes=False) as make:
        found = await make.quarantine.items(status, source or None, (cursor[0], cursor[2]), limit + 1)
    following = f"{found[limit - 1].received_at}{_BETWEEN}{found[limit - 1].id}" if len(found) > limit else None
    if call.json:
        json_line({"items": msgspec.to_builtins(found[:limit]), "next": following})
        return
    rows = [(item.id, item.source, item.position, item.code, _second(item.received_at), item.tries) for item in found[:limit]]
    table(("Id", "Source", "Position", "Code", "First seen", "Tries"), rows)
    if following:
        print(f"more: --after {following}")


def _second(instant: str) -> str:
    """RFC 3339 to the second: a table is narrow."""
    return f"{instant[:19]}Z"


async def show(
    call: Call,
    item: ItemId,
    content: Annotated[bool, typer.Option("--content", help="The raw bytes, and nothing else.")] = False,
) -> None:
    """Show one item; its content only with ``--content``."""
    from gateway.uses.content import chunks

    async with Factory(call.settings(), writes=False) as make:
        found = await _item(make.quarantine, item)
        if content:
            async for chunk in chunks(await make.log(), found.parts):
                sys.stdout.buffer.write(chunk)
            return
    if call.json:
        json_line({**msgspec.to_builtins(found.summary), "trials": msgspec.to_builtins(found.trials)})
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
    if bool(items) == everything:
        raise InvalidRequest("say which items", where="ID…", cure="Give their ids, or --all for every open one.")
    settings = call.settings()
    async with Factory(settings, writes=False) as look, Factory(settings) as make:
        wanted = _open(look.quarantine, source) if everything else _named(look.quarantine, items or [])
        rejected, left = [], 0
        async for item in wanted:
            if everything and not sent_by and item.summary.source not in make.declared:
                left += 1  # it must not keep the others from being sent through
            else:
                rejected.append(await _redrive(make, item, sent_by, call))
    if left:
        print(f"{counted(left, 'item')} of senders that were not known {_LEFT}", file=sys.stderr)
    elif not rejected and not call.json:
        print("Nothing is open: there is nothing to send through again.")
    return REJECTED if left or any(rejected) else DONE


_LEFT = "on arrival left as they are. Say whose each one is: `backbone quarantine redrive ID --as SOURCE`."


async def _redrive(make: Factory, item: QuarantinedItem, sent_by: str, call: Call) -> bool:
    """Whether anything of it was rejected again."""
    from adapters.intake.receive import KeptItem
    from gateway.http.spool import spooled
    from gateway.shapes import view
    from gateway.uses.content import chunks

    row = item.summary
    if not sent_by and row.source not in make.declared:
        raise UnknownSource(
            f"{row.source} is no declared source", where=row.id, cure=_NAME_IT.format(", ".join(make.declared) or "none")
        )
    declared = make.source(sent_by or row.source).source
    async with spooled(chunks(await make.log(), item.parts)) as content:
        kept = KeptItem(row.id, row.source, row.door, row.media_type, row.name, content)
        receipt = await (await make.intake()).redrive(kept, declared)
    shown = msgspec.to_builtins(view(receipt))
    if call.json:
        json_line(shown)
    else:
        print(f"{row.id}:")
        receipt_lines(shown | {"name": ""})
    return receipt.rejected > 0


_NAME_IT = "Say whose it is: `--as SOURCE`. The declared sources are: {}."


async def _item(query: QuarantineQuery, item_id: str) -> QuarantinedItem:
    found = await query.item(item_id)
    if found is None:
        raise NotFound("there is no such item in quarantine", where="ID")
    return found


async def _named(query: QuarantineQuery, items: list[str]) -> AsyncIterator[QuarantinedItem]:
    for item in items:
        yield await _item(query, item)


async def _open(query: QuarantineQuery, source: str) -> AsyncIterator[QuarantinedItem]:
    """Every open item, oldest first. One that arrives while they are being redriven is left for next time."""
    after: tuple[str, str] | None = None
    found: list[QuarantineSummary] = []
    while page := await query.items("open", source or None, after, PAGE):
        found += page
        after = (page[-1].received_at, page[-1].id)
    for row in found:
        yield await _item(query, row.id)
