"""The MLLP listener: receives HL7 v2 messages over TCP, and answers each once it is durable.

* **Commit before the ACK.** ``AA`` is sent only after the intake's receipt is durable (promise P1).
* ``AE`` (wrong content) and ``AR`` (wrong type or sender) mean: this can never succeed as it is, do not send it again. The
  message is durably in quarantine before the answer is sent.
* **No answer and a closed connection** if the fault is ours: the sender keeps the message and tries again.
* A message that is sent again gets the same answer and is appended once: the intake recognises it.
* Each connection handles one message at a time and answers in the order of arrival. Connections work in parallel.
* A message over the limit is read to its end and answered ``AR``, and the connection is closed. It cannot be kept whole, and a
  part of it, if redriven, could be taken for the whole. So nothing of it is kept, and its receipt says so.

Only original mode is supported: MSH-15 and MSH-16 are ignored.

Source: HL7 v2.5 §2.9.2.2 (original mode); ITK HL7 v2 Message Specification 2.4 (no enhanced mode); docs/promises.md, P1.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from io import BytesIO
from types import MappingProxyType
from typing import Any

from adapters.hl7v2.acknowledge import ACCEPT, ERROR, REJECT, acknowledge
from adapters.hl7v2.text.charset import refuse_utf_16
from adapters.hl7v2.text.header import header
from adapters.intake.receive import Delivery, Intake
from adapters.observe import IntakeObserver, UnobservedIntake
from adapters.sources.mllp_connection import TOO_MANY, TOO_MUCH, MllpConnection, MllpLimits
from adapters.sources.mllp_frame import END, START, Frame, FrameFault, FrameFaultKind
from adapters.sources.mllp_senders import UNKNOWN, Senders
from adapters.sources.mllp_tls import watched
from schemas.arrival.receipt import Receipt
from schemas.errors import RejectedInput, SettingsError, TooLarge, UnknownSender, Unreadable, Unsupported, WrongCertificate
from schemas.source import Source

LOGGER = logging.getLogger(__name__)

DOOR = "mllp"
TOO_SLOW = "too-slow"
TLS_FAILED = "tls-failed"
MEDIA_TYPE = "application/hl7-v2"

_REPLIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys((each.code for each in (Unsupported, UnknownSender, WrongCertificate, TooLarge)), REJECT)
)
"""Error code of a refusal to the code of the ACK; `ERROR` for all others. HL7 v2.5 §2.9.2.2: AR is for MSH-9, MSH-11 and MSH-12
(and here also for the sender), AE for the rest of the content."""
_SWEEP_EVERY_S = 0.5
"""How often deadlines are checked: coarse, because a timer for each message would cost more than reading it."""
_LOG_LEVELS: Mapping[str, int] = MappingProxyType({FrameFaultKind.STRAY: logging.DEBUG, FrameFaultKind.HALF: logging.INFO})
"""Log level of faults that are common with some senders; any other is a warning."""
_EXPLANATIONS: Mapping[str, str] = MappingProxyType(
    {
        FrameFaultKind.STRAY: "Bytes outside of a frame were skipped. The sender is to put 0x0B before a message, 0x1C 0x0D "
        "after it.",
        FrameFaultKind.HALF: "A message was begun and not ended; it was not acknowledged, so the sender still has it.",
        FrameFaultKind.TOO_LARGE: "Nothing of the message was taken in. Have it sent in smaller parts, or raise "
        "limits.mllp_frame.",
        FrameFaultKind.NOT_MLLP: "What it sends is not MLLP. Check what calls this port, and which port it should call.",
        TOO_SLOW: "It was silent for too long after connecting, or within a message, and was cut off. A message cut so was not "
        "acknowledged: the sender still has it. Check the network, or raise limits.first_byte or limits.next_byte.",
        TOO_MANY: "It was turned away. Look for a sender that closes no connection, or raise limits.mllp_connections.",
        TOO_MUCH: "It was cut off, because what is being read is as much as may be held; the sender still has its message.",
        TLS_FAILED: "Nothing was taken in. Check the certificates of both sides and mllp_tls in the settings.",
    }
)
"""What a fault means, and what to do about it."""
_OURS = "It was cut off without an answer, so the sender still has its message and sends it again."
_BACKLOG = 512
"""Connections the system queues until they are accepted: after a restart all senders of a large hospital reconnect at once."""
_HANDSHAKE_S = 10.0
"""Time limit for the TLS handshake. Until it is done, a connection does not count towards any limit."""
_SHUTDOWN_S = 1.0
"""Time limit for the TLS shutdown, so that a peer that is gone cannot delay a stop."""


class MllpListener:
    """Listens for senders and passes their messages to the intake.

    ``address`` is a host and a port, of which 0 takes a free one, or a socket that listens already. ``tls`` is made by
    `adapters.sources.mllp_tls.listening`.
    """

    def __init__(
        self,
        intake: Intake,
        senders: Senders,
        address: tuple[str, int] | socket.socket,
        limits: MllpLimits | None = None,
        tls: ssl.SSLContext | None = None,
        observer: IntakeObserver | None = None,
    ) -> None:
        self._intake = intake
        self.senders = senders
        """Finds the source of a message. May be replaced while it listens."""
        self._bound = address if isinstance(address, socket.socket) else None
        self.address: tuple[str, int] = address.getsockname()[:2] if isinstance(address, socket.socket) else address
        """Where it listens; once started, with the actual port."""
        self._tls = tls
        self._observer = observer or UnobservedIntake()
        self._connections: set[MllpConnection] = set()
        self._peers: Counter[str] = Counter()
        self._held_bytes = 0
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self.limits = limits or MllpLimits()

    async def start(self) -> None:
        """Start to listen. Raises `SettingsError` when the address cannot be used."""
        loop = asyncio.get_running_loop()
        host, port = self.address
        where: dict[str, Any] = {"sock": self._bound} if self._bound is not None else {"host": host, "port": port}
        try:
            self._server = await loop.create_server(lambda: MllpConnection(self), backlog=_BACKLOG, **where, **self._secured())
        except OSError as error:
            raise SettingsError(f"cannot listen for MLLP: {error.strerror}", where=f"{host}:{port}") from None
        self.address = self._server.sockets[0].getsockname()[:2]
        self._sweeper = asyncio.create_task(self._sweep())

    async def ended(self) -> None:
        """Wait until it no longer listens. Raises the error that ended it, unless `stop` did."""
        if self._sweeper is not None:
            await asyncio.wait((self._sweeper,))
            if not self._sweeper.cancelled():
                self._sweeper.result()

    async def stop(self, within: timedelta) -> None:
        """Accept no more messages, finish those in progress, and close. Those not finished ``within`` get no answer."""
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        self._sweeper.cancel()
        for connection in list(self._connections):
            connection.finish()
        try:
            await asyncio.wait_for(self._empty.wait(), within.total_seconds())
        except TimeoutError:
            LOGGER.warning("%d MLLP connections were closed with a message in progress", len(self._connections))
            for connection in list(self._connections):
                connection.abandon()
            await self._empty.wait()
        await self._server.wait_closed()

    def _secured(self) -> dict[str, Any]:
        if self._tls is None:
            return {}
        self._tls.sslobject_class = watched(lambda why: self.note(TLS_FAILED, f"a peer that is not known yet ({why})"))
        return {"ssl": self._tls, "ssl_handshake_timeout": _HANDSHAKE_S, "ssl_shutdown_timeout": _SHUTDOWN_S}

    def came(self, connection: MllpConnection) -> bool:
        if (
            len(self._connections) >= self.limits.connections
            or self._peers[connection.peer] >= self.limits.connections_per_peer
        ):
            return False
        self._connections.add(connection)
        self._peers[connection.peer] += 1
        self._empty.clear()
        self._observer.connected(DOOR, len(self._connections))
        return True

    def went(self, connection: MllpConnection) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._peers[connection.peer] -= 1
        if not self._peers[connection.peer]:
            del self._peers[connection.peer]
        if not self._connections:
            self._empty.set()
        self._observer.connected(DOOR, len(self._connections))

    def hold(self, more_bytes: int) -> bool:
        self._held_bytes += more_bytes
        return more_bytes <= 0 or self._held_bytes <= self.limits.held_bytes

    def note(self, code: str, peer: str) -> None:
        self._observer.faulted(DOOR, code)
        LOGGER.log(_LOG_LEVELS.get(code, logging.WARNING), "MLLP: %s from %s. %s", code, peer, _EXPLANATIONS.get(code, _OURS))

    async def answer(self, found: Frame | FrameFault, certificate: frozenset[str]) -> bytes:
        """Take the message in, and return its ACK as an MLLP frame."""
        raw = found.content if isinstance(found, Frame) else found.head
        source, control, refusal = self._identify(raw, certificate)
        delivery = Delivery(source, DOOR, BytesIO(raw), MEDIA_TYPE, control=control)
        if isinstance(found, FrameFault):
            too_large = TooLarge(f"the message is over {self.limits.message_bytes} bytes", where="message")
            receipt = await self._intake.decline(delivery, too_large, found.size_bytes, bytes.fromhex(found.sha256))
        elif refusal is not None:
            receipt = await self._intake.refuse(delivery, refusal)
        else:
            receipt = await self._intake.receive(delivery)
        return START + _ack(raw, receipt) + END

    def _identify(self, raw: bytes, certificate: frozenset[str]) -> tuple[Source, str, RejectedInput | None]:
        """The source of the message, the sender's id of it, and why it must not be translated (if so)."""
        seen = header(raw)
        if not seen.fields:
            return UNKNOWN, "", _no_header(raw)
        application, facility = seen.sending_application, seen.sending_facility
        source, refusal = self.senders.identify(application, facility, certificate)
        control = f"{application}\x1f{facility}\x1f{seen.control_id}" if seen.control_id else ""
        return source, control, refusal

    async def _sweep(self) -> None:
        """Close connections whose deadline has passed: half a message takes up memory and one of the connections."""
        loop = asyncio.get_running_loop()
        shortest = min(self.limits.first_byte, self.limits.next_byte).total_seconds()
        while True:
            await asyncio.sleep(min(_SWEEP_EVERY_S, shortest / 4))
            for connection in [each for each in self._connections if each.overdue_at < loop.time()]:
                connection.cut(TOO_SLOW)


def _no_header(raw: bytes) -> RejectedInput:
    """The error for a message without a readable MSH."""
    try:
        refuse_utf_16(raw)
    except Unreadable as error:
        return error
    return Unreadable("it does not begin with an MSH segment", where="MSH")


def _ack(raw: bytes, receipt: Receipt) -> bytes:
    """The ACK, made from the message and its receipt only, so that a message sent again gets the same answer, byte for byte."""
    at = datetime.fromisoformat(receipt.received_at)
    if not receipt.refusals:
        return acknowledge(raw, ACCEPT, at=at)
    refusal = receipt.refusals[0]
    return acknowledge(raw, _REPLIES.get(refusal.code, ERROR), refusal.reason, refusal, at)
