"""Interface engines under load: each has one message in flight and sends it again until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from tests.patience import pass_time

START, END = b"\x0b", b"\x1c\r"
AGAIN_AFTER_S = 0.1
"""Between a broken connection and the next try."""
ANSWER_WITHIN_S = 45.0
"""Longer than the intake waits for its log: a sender that gives up sooner would only send the same again."""


class Sender:
    """One source's interface engine."""

    def __init__(self, port: int, messages: Iterable[bytes], pause_s: float = 0.0) -> None:
        self._port, self._messages, self._pause_s = port, iter(messages), pause_s
        self._current = next(self._messages, None)
        """In flight, or about to be: it stays until it is acknowledged."""
        self.acknowledged: list[bytes] = []

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Send until there is no more, or until ``stop`` is set."""
        while self._current is not None and not (stop and stop.is_set()):
            try:
                await self._over_one_connection(stop)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await pass_time(AGAIN_AFTER_S)

    async def _over_one_connection(self, stop: asyncio.Event | None) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while self._current is not None and not (stop and stop.is_set()):
                writer.write(START + self._current + END)
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    answer = await reader.readuntil(END)
                assert b"MSA|AA|" in answer, answer
                self.acknowledged.append(self._current)
                self._current = next(self._messages, None)
                if self._pause_s:
                    await pass_time(self._pause_s)
        finally:
            writer.close()


def by_person(messages: Iterable[bytes], each: int = 4) -> Iterator[list[bytes]]:
    """The messages of one person after another: they keep their order, as a hospital's do."""
    several = iter(messages)
    while together := [message for _, message in zip(range(each), several, strict=False)]:
        yield together


def from_people(people: Iterator[list[bytes]]) -> Iterator[bytes]:
    """One sender's messages: all of a person, then all of the next who is nobody else's yet."""
    for together in people:
        yield from together
