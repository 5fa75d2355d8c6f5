"""The content of a quarantine item, read from the log part by part in constant memory, however large it is."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence

from consumers.quarantine.query import ContentPart
from schemas.arrival.quarantine import KeptPart, decode
from schemas.errors import NotFound
from schemas.log import QUARANTINE, EventLog


async def chunks(log: EventLog, parts: Sequence[ContentPart]) -> AsyncIterator[bytes]:
    """The content in order. Raises `LogUnavailable`; `NotFound` when retention removed a part."""
    for part in parts:
        found = await log.read(QUARANTINE, part.partition, part.offset, 1)
        kept = decode(found[0].value) if found and found[0].offset == part.offset else None
        if not isinstance(kept, KeptPart):
            cure = "Retention of the log removed it: have the sender send it again."
            raise NotFound("the content of this item is no longer in the log", where=f"part {part.part}", cure=cure)
        yield kept.content


async def in_base64(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """``content`` in base64 (RFC 4648 §4), as one text."""
    rest = b""
    async for chunk in content:
        rest += chunk
        whole = len(rest) - len(rest) % 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest)
