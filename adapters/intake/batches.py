"""Works through long content in batches: hashed, translated and passed on off the event loop, in constant memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeVar

from schemas.log import NewRecord

BATCH_ITEMS = 500
"""Items per append of long content: one fsync costs as much as some hundred rows."""
BATCH_BYTES = 8 * 1024 * 1024
"""Approximate bytes of values per append of long content: keeps memory constant when items are large."""
INLINE_BYTES = 16 * 1024
"""Content up to this size is translated on the event loop, in a few milliseconds at most: handing it to a thread would take
longer than most messages do. Longer content is translated in a thread, so that the other doors stay open."""

_T = TypeVar("_T")


class Fingerprint(NamedTuple):
    """What identifies content."""

    content_hash: bytes
    """SHA-256."""
    size_bytes: int


class Batch(NamedTuple):
    """What goes into one append."""

    records: list[NewRecord]
    last: bool


async def fingerprint(content: BinaryIO) -> Fingerprint:
    """The fingerprint of seekable ``content``, left at its start."""
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    if size <= INLINE_BYTES:
        found = Fingerprint(hashlib.sha256(content.read()).digest(), size)
        content.seek(0)
        return found
    return Fingerprint(await in_thread(lambda: _hash(content)), size)


async def next_batch(entries: Iterator[list[NewRecord]], size_bytes: int) -> Batch:
    """The next records of content of ``size_bytes``; made in a thread when that is long."""
    if size_bytes <= INLINE_BYTES:
        return _cut(entries)
    return await in_thread(lambda: _cut(entries))


async def in_thread(function: Callable[[], _T]) -> _T:
    """Run ``function`` in a thread and return its result. A cancellation waits for it, so that the caller can safely close
    what it reads."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _cut(entries: Iterator[list[NewRecord]]) -> Batch:
    records: list[NewRecord] = []
    size_bytes = 0
    for count, entry in enumerate(entries, 1):
        records += entry
        size_bytes += sum([len(record.value) for record in entry])
        if count >= BATCH_ITEMS or size_bytes >= BATCH_BYTES:
            return Batch(records, last=False)
    return Batch(records, last=True)


def _hash(content: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while piece := content.read(1024 * 1024):
        digest.update(piece)
    content.seek(0)
    return digest.digest()
