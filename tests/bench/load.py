"""The load generator: many MLLP connections, each with one message in flight, as the senders of one region would.

The same generator and the same bytes are used against the backbone and against the floor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, cast

_START, _END = b"\x0b", b"\x1c\r"


class Load(NamedTuple):
    """What a run of the generator saw."""

    acked: int
    seconds: float
    refused: int
    """Answers that were not AA."""


class _Sender(asyncio.Protocol):
    def __init__(self, messages: Iterator[bytes], finished: asyncio.Future[None]) -> None:
        self._messages, self._finished = messages, finished
        self.acked = self.refused = 0
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        message = next(self._messages, None)
        if message is None:
            self._transport.close()
            if not self._finished.done():
                self._finished.set_result(None)
        else:
            self._transport.write(_START + message + _END)

    def data_received(self, data: bytes) -> None:
        answer = self._partial + data
        if not answer.endswith(_END):
            self._partial = answer
            return
        self._partial = b""
        self.acked += 1
        self.refused += b"MSA|AA" not in answer
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._finished.done():
            self._finished.set_exception(exc or ConnectionError("closed without an answer"))


async def send_all(port: int, messages: list[bytes], connections: int) -> Load:
    """Send ``messages`` over ``connections`` connections, each waiting for its ACK before the next."""
    loop = asyncio.get_running_loop()
    share = iter(messages)
    finished = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    senders = []
    for done in finished:
        _, sender = await loop.create_connection(partial(_Sender, share, done), "127.0.0.1", port)
        senders.append(sender)
    await asyncio.gather(*finished)
    seconds = time.perf_counter() - started
    return Load(sum(sender.acked for sender in senders), seconds, sum(sender.refused for sender in senders))


async def send_at(port: int, messages: list[bytes], rate: float, connections: int = 8) -> dict[int, float]:
    """Send at a steady ``rate`` a second; for each message (by place) the moment its ACK came, by ``time.monotonic``."""
    acked: dict[int, float] = {}
    queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (item := await queue.get()) is not None:
            place, message = item
            writer.write(_START + message + _END)
            await reader.readuntil(_END)
            acked[place] = time.monotonic()
        writer.close()
        await writer.wait_closed()

    senders = [asyncio.create_task(one()) for _ in range(connections)]
    begun = time.monotonic()
    for place, message in enumerate(messages):
        await asyncio.sleep(max(0.0, begun + place / rate - time.monotonic()))
        queue.put_nowait((place, message))
    for _ in senders:
        queue.put_nowait(None)
    await asyncio.gather(*senders)
    return acked
