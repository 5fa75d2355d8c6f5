"""A line to PostgreSQL that falls silent: it forwards nothing any more, in either direction, and closes nothing.

As a firewall that has forgotten the connections, or a relay that stands still, whose own system goes on acknowledging: to both
sides the connection looks alive.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url


class SilentLine:
    """Relays bytes until it is `cut`; after `mend` it forwards again what comes, on the same connections."""

    def __init__(self, host: str, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self._to, self._loop = (host, port), loop
        self._open = asyncio.Event()
        self._open.set()
        self.held = 0
        """Pieces and callers that came while it was cut."""

    def cut(self) -> None:
        """Fall silent. From any thread."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """Forward again, what was held back first. From any thread."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client; a new one is accepted, and heard by nobody, while the line is cut."""
        sides = [writer]
        try:
            if not self._open.is_set():
                self.held += 1
                await self._open.wait()
            there_reader, there_writer = await asyncio.open_connection(*self._to)
            sides.append(there_writer)
            ways = [
                asyncio.create_task(self._forward(reader, there_writer)),
                asyncio.create_task(self._forward(there_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        finally:
            for side in sides:
                side.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not self._open.is_set():
                    self.held += 1
                    await self._open.wait()
                writer.write(data)
        except ConnectionError:
            return  # one side went away by itself


@contextmanager
def silent_line(url: str) -> Iterator[tuple[SilentLine, str]]:
    """A line to the server of ``url`` in a thread of its own, and the URL that leads over it."""
    server = make_url(url)
    assert server.host and server.port
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="silent-line")
    thread.start()
    line = SilentLine(server.host, server.port, loop)
    listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(line.serve, "127.0.0.1", 0), loop).result()
    try:
        port = listening.sockets[0].getsockname()[1]
        yield line, server.set(port=port).render_as_string(hide_password=False)
    finally:
        line.mend()
        asyncio.run_coroutine_threadsafe(_ended(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(listening: asyncio.Server) -> None:
    """Cancel what still runs on this loop, and wait for it."""
    listening.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # the transports let go of their sockets at the loop's next turn
