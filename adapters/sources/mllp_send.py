"""Sends HL7 v2 messages over MLLP: one at a time, in order, each until it is answered.

If a connection closes without an answer, it is unknown whether the message was received. It is sent again, and a receiver that
follows the rules answers as it did before.

Source: HL7 v2.5 §2.9.2 (one message in flight, MSA-2 names the message answered); HL7 Transport Specification: MLLP, Release 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

from adapters.sources.mllp_frame import END, START, Frame, Framer
from schemas.errors import ReceiverUnavailable

_PAUSE_S = 0.1
"""Pause before the second attempt; doubled for each further one."""
_PAUSE_MOST_S = 5.0
_READ_BYTES = 64 * 1024
_SEGMENTS = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a sender waits and tries."""

    connect: timedelta = timedelta(seconds=10)
    """To connect once, including TLS."""
    answer: timedelta = timedelta(seconds=30)
    """For one answer; after that the connection is closed and the message sent again on a new one."""
    total: timedelta = timedelta(seconds=60)
    """For one message, all attempts together."""


class MllpSender:
    """A connection to one receiver, made when needed, and made again when it breaks. Use it with ``async with``."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, server_name: str = "", patience: Patience | None = None
    ) -> None:
        self._address = host, port
        self._tls = tls
        self._server_name = (server_name or host) if tls else None
        self._patience = patience or Patience()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._framer = Framer()

    async def __aenter__(self) -> MllpSender:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self._close()

    async def send(self, message: bytes) -> bytes:
        """Send ``message``, and return the answer without its frame, whatever it says.

        Raises `ReceiverUnavailable` when there is no answer in time; the receiver may have accepted the message all the same.
        """
        until = asyncio.get_running_loop().time() + self._patience.total.total_seconds()
        pause = _PAUSE_S
        while True:
            try:
                return await self._try(message)
            except ssl.SSLCertVerificationError as error:
                await self._close()
                raise ReceiverUnavailable(f"its certificate is not trusted: {error.verify_message}") from None
            except (OSError, EOFError) as error:
                await self._close()
                if asyncio.get_running_loop().time() + pause > until:
                    raise ReceiverUnavailable(f"no answer in time: {type(error).__name__}", where=self._where) from None
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_MOST_S)

    @property
    def _where(self) -> str:
        return "{}:{}".format(*self._address)

    async def _try(self, message: bytes) -> bytes:
        if self._streams is None:
            async with asyncio.timeout(self._patience.connect.total_seconds()):
                self._streams = await asyncio.open_connection(*self._address, ssl=self._tls, server_hostname=self._server_name)
            self._framer = Framer()
        reader, writer = self._streams
        async with asyncio.timeout(self._patience.answer.total_seconds()):
            writer.write(START + message + END)
            await writer.drain()
            answer = await self._read(reader)
        if _answered(answer) != _control(message):
            raise EOFError  # the answer to another message, so this connection can no longer be relied on
        return answer

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        while data := await reader.read(_READ_BYTES):
            for found in self._framer.feed(data):
                if isinstance(found, Frame):
                    return found.content
        raise EOFError

    async def _close(self) -> None:
        if self._streams is None:
            return
        writer, self._streams = self._streams[1], None
        writer.close()
        with contextlib.suppress(OSError):  # already closed, as wanted
            await writer.wait_closed()


async def send(
    host: str,
    port: int,
    messages: Iterable[bytes],
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
    patience: Patience | None = None,
) -> AsyncIterator[bytes]:
    """Send ``messages`` over one connection, and yield the answer to each, in order. Raises `ReceiverUnavailable`."""
    async with MllpSender(host, port, tls, server_name, patience) as sender:
        for message in messages:
            yield await sender.send(message)


def _control(message: bytes) -> bytes:
    """MSH-10."""
    fields = _SEGMENTS.split(message, 1)[0].split(message[3:4] or b"|")
    return fields[9].strip() if len(fields) > 9 else b""


def _answered(answer: bytes) -> bytes:
    """MSA-2."""
    for segment in _SEGMENTS.split(answer):
        if segment.startswith(b"MSA"):
            fields = segment.split(segment[3:4] or b"|")
            return fields[2].strip() if len(fields) > 2 else b""
    return b""
