"""The quarantine: what was not understood is listed, shown, read and sent through again.

An item's content is read from the log part by part in constant memory, however large it is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated

from adapters.intake.receive import Intake, KeptItem
from consumers.quarantine.query import STATUSES, ContentPart, QuarantinedItem, QuarantineQuery
from gateway.settings.shapes import SourceSettings
from gateway.shapes import QuarantineItem, QuarantinePage
from gateway.uses.asked import Asked
from gateway.uses.caller import Caller
from gateway.uses.receipts import RECEIPT_ID
from gateway.uses.recent import recent
from gateway.uses.spool import spooled
from gateway.uses.values import SOURCE, one_of, text, whole
from gateway.watching.freshness import Freshness
from schemas.arrival.quarantine import KeptPart, decode
from schemas.arrival.receipt import Receipt
from schemas.errors import NotFound, UnknownSource
from schemas.log import QUARANTINE, EventLog
from schemas.source import Source

LIMIT, LIMIT_MOST = 50, 500
"""Items on a page unless asked, and at most."""
PROJECTION = "quarantine"
"""What items are read from."""
_BETWEEN = "~"
"""Between the two parts of a cursor."""
_CURSOR = text(rf"[0-9T:.-]{{23}}Z{_BETWEEN}{RECEIPT_ID}", "the `next` of the page before, unchanged")


class ItemsAsked(Asked):
    """Which items are asked for."""

    status: Annotated[str, one_of(STATUSES)] = STATUSES[0]
    """Still to be mended, or taken in when it was sent through again."""
    source: Annotated[str | None, SOURCE] = None
    """Under which source they are kept."""
    limit: Annotated[int, whole(1, LIMIT_MOST)] = LIMIT
    """Items on a page."""
    after: Annotated[str | None, _CURSOR] = None
    """The `next` of the page before: the page that follows it."""


async def items(caller: Caller, quarantine: QuarantineQuery, asked: ItemsAsked) -> QuarantinePage:
    """A page of the items, oldest first, without their content. Raises `StoreUnavailable`."""
    at, _, item_id = (asked.after or "").partition(_BETWEEN)
    found = await quarantine.items(asked.status, asked.source, (at, item_id), asked.limit + 1)
    last = found[asked.limit - 1] if len(found) > asked.limit else None
    following = f"{last.received_at}{_BETWEEN}{last.id}" if last else None
    return QuarantinePage.model_validate({"items": found[: asked.limit], "next": following}, from_attributes=True)


async def item(caller: Caller, quarantine: QuarantineQuery, freshness: Freshness, item_id: str) -> QuarantinedItem:
    """One item, which may have been kept a moment ago. Raises `NotFound`, `EngineUnavailable`."""
    named = re.fullmatch(RECEIPT_ID, item_id, re.ASCII)
    found = await recent(freshness, PROJECTION, lambda: quarantine.item(item_id)) if named else None
    if found is None:
        raise NotFound("there is no such item in quarantine", where="id")
    return found


def shown(found: QuarantinedItem) -> QuarantineItem:
    """The item as it is served, without its content."""
    about = {name: getattr(found.summary, name) for name in found.summary.__struct_fields__}
    return QuarantineItem.model_validate(about | {"trials": found.trials}, from_attributes=True)


async def content(caller: Caller, log: EventLog, parts: Sequence[ContentPart]) -> AsyncIterator[bytes]:
    """The content of an item in order. Raises `LogUnavailable`; `NotFound` when retention removed a part."""
    for part in parts:
        found = await log.read(QUARANTINE, part.partition, part.offset, 1)
        kept = decode(found[0].value) if found and found[0].offset == part.offset else None
        if not isinstance(kept, KeptPart):
            cure = "Retention of the log removed it: have the sender send it again."
            raise NotFound("the content of this item is no longer in the log", where=f"part {part.part}", cure=cure)
        yield kept.content


async def redrive(
    caller: Caller, log: EventLog, intake: Intake, sources: Mapping[str, SourceSettings], found: QuarantinedItem, as_source: str
) -> Receipt:
    """Send an item through again; doing so twice makes nothing twice. ``as_source`` says whose it is, when that was not known.

    Raises `UnknownSource` when that, or else what it is kept under, is no declared source; `NotFound`, `EngineUnavailable`.
    """
    row, source = found.summary, _source(sources, as_source or found.summary.source)
    async with spooled(content(caller, log, found.parts)) as spool:
        return await intake.redrive(KeptItem(row.id, row.door, row.media_type, row.name, spool), source)


def _source(sources: Mapping[str, SourceSettings], source: str) -> Source:
    if source not in sources:
        cure = "Say whose it is (`--as SOURCE`, or `?source=`): `backbone source list` shows the declared ones; or declare it."
        raise UnknownSource("the source to send it through as is not declared", where="source", cure=cure)
    return sources[source].source
