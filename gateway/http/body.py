"""The body of a request, received with a limit and a deadline.

A body may take its time, but not hold a place for ever: after the first seconds it must have come at `LEAST_BYTES_PER_S` on
average, so that one byte a second is cut off after ten, and 256 MiB have four hours. It may be compressed by gzip: what is in
it is held to the same limit.

Source: RFC 9110 §8.4 (Content-Encoding), §15.5.9 (408), §15.5.14 (413).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO

from starlette.requests import Request

from adapters.registry import FHIR_VERSION, of_r4
from gateway.http.coding import Inflater, compressed
from gateway.uses.services import Services
from gateway.uses.spool import spooled
from schemas.errors import InvalidRequest, TooLarge, TooSlow, WrongMediaType

LEAST_BYTES_PER_S = 16 * 1024
"""A tenth of a poor mobile connection."""
MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest body of a path that takes one message and reads it whole: what MLLP takes, too."""


def received(request: Request) -> AbstractAsyncContextManager[BinaryIO]:
    """The whole body as a file at its start, for as long as the context is open.

    Raises `TooLarge`, `TooSlow`, `WrongCoding`, `InvalidRequest` when its compression is broken, `EngineUnavailable` when the
    disk takes no more.
    """
    return spooled(_chunks(request, _services(request).body_bytes))


async def whole(request: Request, most: int = MESSAGE_BYTES) -> bytes:
    """The whole body as bytes. Raises `TooLarge`, `TooSlow`, `WrongCoding`, `InvalidRequest`."""
    return b"".join([chunk async for chunk in _chunks(request, min(most, _services(request).body_bytes))])


def media_type(request: Request) -> str:
    """The media type of the body, without its parameters, in lower case; empty when it is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def expect(request: Request, *accepted: str) -> None:
    """Refuse a body that is not of one of the ``accepted`` media types, or is of another version of FHIR than R4.

    Raises `WrongMediaType`.
    """
    if media_type(request) not in accepted:
        raise WrongMediaType(where="header Content-Type", cure=f"Send {' or '.join(accepted)}.")
    if not of_r4(request.headers["content-type"]):
        cure = f"Send FHIR R4 (fhirVersion={FHIR_VERSION})."
        raise WrongMediaType("this version of FHIR is not read", where="header Content-Type", cure=cure)


async def _chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body, as it was before it was compressed if it was."""
    if not compressed(request.headers.get("content-encoding", "")):
        async for chunk in _sent(request, limit):
            yield chunk
        return
    inflater, size = Inflater(), 0
    async for chunk in _sent(request, limit):
        for piece in inflater.inflate(chunk):
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            yield piece
            await asyncio.sleep(0)  # a few bytes may hold much: the other doors stay open
    inflater.close()


async def _sent(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it is sent."""
    _refuse_early(request, limit)
    size, loop = 0, asyncio.get_running_loop()
    started, patience = loop.time(), _services(request).patience.total_seconds()
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(started + patience + size / LEAST_BYTES_PER_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise TooSlow(where="body") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _refuse_early(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:19]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over {limit} bytes", where="body")


def text_of(content: bytes) -> str:
    """``content`` as UTF-8. Raises `InvalidRequest`."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8", where="body", cure="Encode it as UTF-8.") from None


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
