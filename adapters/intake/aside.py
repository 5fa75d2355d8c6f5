"""Keeps the event loop free: what takes long is done in a thread, and whoever is cancelled waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, ParamSpec, Protocol, TypeVar

INLINE_BYTES = 16 * 1024
"""Content up to this size is translated on the event loop, in a few milliseconds at most: handing it to a thread would take
longer than most messages do. Longer content is translated in a thread, so that the other doors stay open."""

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Fingerprint(NamedTuple):
    """What identifies content."""

    content_hash: bytes
    """SHA-256."""
    size_bytes: int


async def fingerprint(content: BinaryIO) -> Fingerprint:
    """The fingerprint of seekable ``content``, left at its start."""
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    return Fingerprint(await for_size(size)(_hash, content), size)


class Calling(Protocol):
    """Calls a function and returns its result."""

    async def __call__(self, function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T: ...


def for_size(size_bytes: int) -> Calling:
    """How work on content of ``size_bytes`` is done: at once, or in a thread when that is long."""
    return at_once if size_bytes <= INLINE_BYTES else in_thread


async def at_once(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Call ``function`` on the event loop."""
    return function(*arguments, **named)


async def in_thread(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Call ``function`` in a thread. A cancellation waits for it, so that the caller can safely close what it reads."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _hash(content: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while piece := content.read(1024 * 1024):
        digest.update(piece)
    content.seek(0)
    return digest.digest()
