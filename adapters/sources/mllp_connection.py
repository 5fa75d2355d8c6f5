"""One MLLP connection: receives frames and sends answers, one message at a time, within the limits.

It handles bytes, deadlines and order, and knows nothing about HL7: the listener makes the answers.
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

from adapters.observe import CORRELATION, Correlation
from adapters.sources.mllp_frame import MESSAGE_MOST_BYTES, Frame, FrameFault, FrameFaultKind, Framer
from adapters.sources.mllp_senders import names_in
from schemas.errors import EngineUnavailable, kind_and_place

LOGGER = logging.getLogger(__name__)

TOO_MANY = "too-many-connections"
TOO_MUCH = "too-much-held"
LEAST_RATE = 100 * 1024
"""Bytes a second that a message must average after `MllpLimits.next_byte`. A slow line reaches this; a deliberate trickle does
not."""


@dataclass(frozen=True, kw_only=True)
class MllpLimits:
    """The limits of one listener."""

    message_bytes: int = MESSAGE_MOST_BYTES
    connections: int = 768
    """In total: below the 1,024 open files that a process may have by default."""
    connections_per_peer: int = 512
    """From one address, so that one runaway sender leaves room for the others."""
    held_bytes: int = 256 * 1024 * 1024
    """Bytes of messages being read and answered, over all connections. A connection that would exceed it is closed; the sender
    tries again."""
    first_byte: timedelta = timedelta(seconds=60)
    """From connecting to the first byte. Later a sender may be silent for days; TCP keep-alive finds dead ones."""
    next_byte: timedelta = timedelta(seconds=10)
    """Longest pause within a message, and how long a message may take in total before it must keep `LEAST_RATE`."""


class Listener(Protocol):
    """What a connection needs of its listener."""

    limits: MllpLimits

    def came(self, connection: MllpConnection) -> bool:
        """A peer has connected. Returns whether there is room for it."""
        ...

    def went(self, connection: MllpConnection) -> None:
        """The connection is closed, and none of its messages is in progress."""
        ...

    def hold(self, more_bytes: int) -> bool:
        """A connection holds this many bytes more (or, if negative, fewer). Returns whether there is room for them."""
        ...

    def note(self, code: str, peer: str) -> None:
        """Something other than the content of a message is wrong."""
        ...

    async def answer(self, found: Frame | FrameFault, certificate: frozenset[str]) -> bytes:
        """The frame to answer with, once the message is durable. Raises if there must be no answer."""
        ...


class MllpConnection(asyncio.Protocol):
    """The protocol of one peer."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._clock = asyncio.get_running_loop().time
        self._framer = Framer(listener.limits.message_bytes)
        self._transport: asyncio.Transport
        self._certificate: frozenset[str] = frozenset()
        self._waiting: deque[Frame | FrameFault] = deque()
        """Complete messages that are not in progress yet, in order."""
        self._unanswered_bytes = 0
        """Bytes of the messages that wait or are in progress."""
        self._held_bytes = 0
        """Bytes reported to the listener as held."""
        self._work: asyncio.Task[None] | None = None
        """Answers the waiting messages; ``None`` if there are none."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._greeted = False
        """Whether a first frame has begun."""
        self._paused = False
        """Whether reading is paused until the waiting messages are answered."""
        self._ending = False
        """Whether to close once the waiting messages are answered."""
        self._lost = False
        self._begun_at = math.inf
        """When the frame that is being read began."""
        self.overdue_at = math.inf
        """Deadline for the next byte, by the event loop's clock."""
        self.peer = ""
        """Address without the port."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._listener.came(self):
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
        self._set_deadline()
        self._report_held()
        if self._waiting and self._work is None:
            self._work = asyncio.create_task(self._answer_waiting())
        if len(self._waiting) > 1 and not self._paused:
            self._paused, self.overdue_at = True, math.inf
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer sends no more, but may still read the answers, except with TLS, which has no half-closed connections."""
        for fault in self._framer.ended():
            self._sort(fault)
        self._ending = True
        return self._work is not None and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish the message in progress, because it may be durable already. Those that wait will be sent again."""
        self._lost = True
        self._waiting.clear()
        self._writable.set()
        self._leave()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def finish(self) -> None:
        """Begin no further message, and close once the one in progress is answered."""
        self._waiting.clear()
        self._end()

    def cut(self, code: str) -> None:
        """Close at once, without an answer."""
        self._note(code)
        self._ending = True
        self._waiting.clear()
        self._transport.abort()

    def abandon(self) -> None:
        """Close at once, and cancel the message in progress."""
        if self._work is not None:
            self._work.cancel()
        self._transport.abort()

    def _note(self, code: str) -> None:
        """Report ``code`` under the correlation id of the message in progress, else under a new one."""
        known = CORRELATION.set(CORRELATION.get() or Correlation())
        self._listener.note(code, self.peer)
        CORRELATION.reset(known)

    def _sort(self, found: Frame | FrameFault) -> None:
        if isinstance(found, Frame):
            self._unanswered_bytes += len(found.content)
            self._waiting.append(found)
            return
        self._note(found.trouble)
        if found.trouble is FrameFaultKind.TOO_LARGE:
            self._waiting.append(found)
        if found.trouble in _LAST:
            self._end()

    def _set_deadline(self) -> None:
        """Set the deadline for the next byte."""
        if self._framer.inside:
            now, pause = self._clock(), self._limits.next_byte.total_seconds()
            self._greeted = True
            self._begun_at = min(self._begun_at, now)
            self.overdue_at = min(now + pause, self._begun_at + pause + self._framer.pending_bytes / LEAST_RATE)
        elif self._greeted or self._waiting:
            self._greeted, self.overdue_at = True, math.inf

    def _report_held(self) -> None:
        """Report to the listener how many bytes are held now."""
        held = self._framer.held_bytes + self._unanswered_bytes
        more, self._held_bytes = held - self._held_bytes, held
        if not self._listener.hold(more):
            self.cut(TOO_MUCH)

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._waiting.popleft())
        except EngineUnavailable as error:
            LOGGER.warning("no answer to %s: %s", self.peer, error)
            self.cut(error.code)
        except Exception as error:
            LOGGER.error("no answer to %s: %s", self.peer, kind_and_place(error))
            self.cut("door-failed")
        finally:
            self._work = None
            self._go_on()

    async def _answer(self, found: Frame | FrameFault) -> None:
        CORRELATION.set(Correlation())  # in the context of the task that answers
        answer = await self._listener.answer(found, self._certificate)
        if isinstance(found, Frame):
            self._unanswered_bytes -= len(found.content)
            self._report_held()
        if not self._transport.is_closing():
            self._transport.write(answer)
            await self._writable.wait()

    def _go_on(self) -> None:
        """No message waits any more: read on, close, or report that the connection is gone."""
        if self._lost:
            self._leave()
        elif self._ending:
            self._transport.close()
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()
            self._set_deadline()

    def _end(self) -> None:
        self._ending = True
        if self._work is None and not self._waiting:
            self._transport.close()

    def _leave(self) -> None:
        if self._work is None:
            self._listener.hold(-self._held_bytes)
            self._held_bytes = 0
            self._listener.went(self)


_LAST = frozenset({FrameFaultKind.TOO_LARGE, FrameFaultKind.NOT_MLLP})
"""Faults after which the connection is closed, once earlier messages are answered."""


def _keep_alive(connection: socket.socket) -> None:
    """Have the system detect peers that disappeared silently, after about two minutes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):  # names differ between systems; without them the system's default of two hours applies
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
