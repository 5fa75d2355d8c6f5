"""A line to PostgreSQL that can be cut when it matters: before a commit reaches the server, or before its answer comes back.

Source: PostgreSQL, "Frontend/Backend Protocol", simple query; the drivers send ``COMMIT`` in clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

from sqlalchemy.engine import make_url


class Cut(Enum):
    """Where the line is cut."""

    BEFORE_COMMIT = auto()
    """The server never hears of it, and rolls back."""
    BEFORE_ANSWER = auto()
    """The server has committed, and nobody is told."""


class Line:
    """Relays bytes; each entry of ``cuts`` is used up by one commit."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self.cuts: list[Cut | None] = []
        """What becomes of the next commits; ``None`` lets one pass."""
        self.done: list[Cut] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._to)
        deaf = asyncio.Event()
        back = asyncio.create_task(self._back(there_reader, writer, deaf))
        try:
            while data := await reader.read(65_536):
                cut = self.cuts.pop(0) if b"COMMIT" in data and self.cuts else None
                if cut is Cut.BEFORE_COMMIT:
                    self.done.append(cut)
                    break
                if cut is Cut.BEFORE_ANSWER:
                    deaf.set()
                there_writer.write(data)
                if cut is Cut.BEFORE_ANSWER:
                    await back
                    self.done.append(cut)
                    break
        except ConnectionError:
            pass  # the client went away by itself
        finally:
            back.cancel()
            there_writer.transport.abort()
            writer.transport.abort()

    @staticmethod
    async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        """Bring answers back; once ``deaf`` only wait for the next one."""
        while data := await reader.read(65_536):
            if deaf.is_set():
                return
            writer.write(data)
        writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of ``url``, and the URL that leads over it."""
    server = make_url(url)
    assert server.host and server.port
    line = Line(server.host, server.port)
    listening = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    try:
        port = listening.sockets[0].getsockname()[1]
        yield line, server.set(port=port).render_as_string(hide_password=False)
    finally:
        listening.close()
