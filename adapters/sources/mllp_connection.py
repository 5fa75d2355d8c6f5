"""One MLLP connection: frames in, answers out, one message at a time, within the limits.

It knows bytes, deadlines and order, and nothing of HL7: what a frame is answered with is the listener's business.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, cast

from adapters.observe import CORRELATION, Correlation, described
from adapters.sources.mllp_frame import MESSAGE_MOST_BYTES, Fault, Frame, Framer, Trouble
from adapters.sources.mllp_senders import names_in
from schemas.errors import EngineUnavailable

LOGGER = logging.getLogger(__name__)

TOO_MANY = "too-many-connections"
TOO_MUCH = "too-much-held"
LEAST_RATE = 100 * 1024
"""Bytes a second that a message must come at on average once `Limits.next_byte` is over: a slow line passes, a trickle not."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one listener puts up with."""

    message_bytes: int = MESSAGE_MOST_BYTES
    connections: int = 768
    """In all: below the 1,024 open files that a process has by default."""
    connections_per_peer: int = 512
    """Of one address, so that one runaway sender leaves room for the others."""
    held_bytes: int = 256 * 1024 * 1024
    """Of messages being read and answered, all connections together. Who would take more is cut off, and tries again."""
    first_byte: timedelta = timedelta(seconds=60)
    """From the connection's start. Later a sender may be silent for days; dead ones are found by TCP keep-alive."""
    next_byte: timedelta = timedelta(seconds=10)
    """Longest pause within a message, and how long it may take in all before it must keep `LEAST_RATE`."""


class Doorman(Protocol):
    """What a connection asks its listener."""

    limits: Limits

    def came(self, connection: Connection) -> bool:
        """A peer has connected; whether there is room for it."""
        ...

    def went(self, connection: Connection) -> None:
        """Its connection is gone, and nothing of it is under way any more."""
        ...

    def hold(self, more_bytes: int) -> bool:
        """A connection holds so many bytes more (or, below 0, less); whether there is room for them."""
        ...

    def note(self, code: str, peer: str) -> None:
        """Something went wrong that is no message's content."""
        ...

    async def answer(self, found: Frame | Fault, certificate: frozenset[str]) -> bytes:
        """The frame to answer with, once what was found is durable. Raises when there is to be no answer."""
        ...


class Connection(asyncio.Protocol):
    """The protocol of one peer."""

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman
        self._limits = doorman.limits
        self._clock = asyncio.get_running_loop().time
        self._framer = Framer(doorman.limits.message_bytes)
        self._transport: asyncio.Transport
        self._certificate: frozenset[str] = frozenset()
        self._waiting: deque[Frame | Fault] = deque()
        """Complete and not begun, in order."""
        self._unanswered_bytes = 0
        """Of what waits and of what is being answered."""
        self._held_bytes = 0
        """Taken of the doorman's budget."""
        self._work: asyncio.Task[None] | None = None
        """Answers what waits; ``None`` when nothing does."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._greeted = False
        """A first frame has begun."""
        self._paused = False
        """Not read from, until what waits is answered."""
        self._ending = False
        """To be closed once what waits is answered."""
        self._lost = False
        self._begun_at = math.inf
        """When the frame that is being read began."""
        self.overdue_at = math.inf
        """When patience ends, by the loop's clock."""
        self.peer = ""
        """Address without the port."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._doorman.came(self):
            self.cut(TOO_MANY)
            return
        _keep_alive(transport.get_extra_info("socket"))
        self._certificate = names_in(transport.get_extra_info("peercert"))
        self.overdue_at = self._clock() + self._limits.first_byte.total_seconds()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        complete = self._framer.feed(data)
        if complete:
            self._begun_at = math.inf
        for found in complete:
            self._sort(found)
        self._be_patient()
        self._tally()
        if self._waiting and self._work is None:
            self._work = asyncio.create_task(self._answer_waiting())
        if len(self._waiting) > 1 and not self._paused:
            self._paused, self.overdue_at = True, math.inf
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer sends no more, but may still read the answers; TLS knows no such half."""
        for fault in self._framer.ended():
            self._sort(fault)
        self._ending = True
        return self._work is not None and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """What is being answered is finished all the same: it may be durable already. What waits will be sent again."""
        self._lost = True
        self._waiting.clear()
        self._writable.set()
        self._part()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def finish(self) -> None:
        """Begin no further message; close once the one under way is answered."""
        self._waiting.clear()
        self._end()

    def cut(self, code: str) -> None:
        """Close at once, without an answer."""
        self._note(code)
        self._ending = True
        self._waiting.clear()
        self._transport.abort()

    def abandon(self) -> None:
        """Drop even what is under way."""
        if self._work is not None:
            self._work.cancel()
        self._transport.abort()

    def _note(self, code: str) -> None:
        """Under the name of the message that is being answered, else under one of its own."""
        known = CORRELATION.set(CORRELATION.get() or Correlation())
        self._doorman.note(code, self.peer)
        CORRELATION.reset(known)

    def _sort(self, found: Frame | Fault) -> None:
        if isinstance(found, Frame):
            self._unanswered_bytes += len(found.content)
            self._waiting.append(found)
            return
        self._note(found.trouble)
        if found.trouble is Trouble.TOO_LARGE:
            self._waiting.append(found)
        if found.trouble in _LAST:
            self._end()

    def _be_patient(self) -> None:
        """Set the time by which more must have come."""
        if self._framer.inside:
            now, pause = self._clock(), self._limits.next_byte.total_seconds()
            self._greeted = True
            self._begun_at = min(self._begun_at, now)
            self.overdue_at = min(now + pause, self._begun_at + pause + self._framer.pending_bytes / LEAST_RATE)
        elif self._greeted or self._waiting:
            self._greeted, self.overdue_at = True, math.inf

    def _tally(self) -> None:
        """Tell the doorman what is held now."""
        held = self._framer.held_bytes + self._unanswered_bytes
        more, self._held_bytes = held - self._held_bytes, held
        if not self._doorman.hold(more):
            self.cut(TOO_MUCH)

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._waiting.popleft())
        except EngineUnavailable as error:
            LOGGER.warning("no answer to %s: %s", self.peer, error)
            self.cut(error.code)
        except Exception as error:
            LOGGER.error("no answer to %s: %s", self.peer, described(error))
            self.cut("door-failed")
        finally:
            self._work = None
            self._go_on()

    async def _answer(self, found: Frame | Fault) -> None:
        CORRELATION.set(Correlation())  # in the context of the task that answers
        answer = await self._doorman.answer(found, self._certificate)
        if isinstance(found, Frame):
            self._unanswered_bytes -= len(found.content)
            self._tally()
        if not self._transport.is_closing():
            self._transport.write(answer)
            await self._writable.wait()

    def _go_on(self) -> None:
        """Nothing waits any more: read on, or close, or say good-bye."""
        if self._lost:
            self._part()
        elif self._ending:
            self._transport.close()
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()
            self._be_patient()

    def _end(self) -> None:
        self._ending = True
        if self._work is None and not self._waiting:
            self._transport.close()

    def _part(self) -> None:
        if self._work is None:
            self._doorman.hold(-self._held_bytes)
            self._held_bytes = 0
            self._doorman.went(self)


_LAST = frozenset({Trouble.TOO_LARGE, Trouble.NOT_MLLP})
"""After these the connection is closed, once what came before is answered."""


def _keep_alive(connection: socket.socket) -> None:
    """Have the system find peers that are gone without a word: after about two minutes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):  # names differ between systems; without them the system's own two hours hold
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
