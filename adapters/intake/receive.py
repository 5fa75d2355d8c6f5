"""The intake: translate → append → keep what was rejected → receipt. Every door passes what arrives to `Intake.receive`.

The order matters. First the events and the rejected parts are durable, then the receipt, which shows that they are, and only
then `receive` returns, so that the door may acknowledge (promise P1). If an append is atomic (`schemas.log.EventLog.atomic`),
the last records and the receipt go into one call. If not, the receipt has a call of its own: a receipt without its events would
make the sender's next attempt look like a repetition, and lose it.

A failure halfway leaves events without a receipt. That is harmless: nothing was acknowledged, and the next attempt makes the
same events again under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from adapters.intake.account import WHOLE, Account, Arrived, receipt_id, tried
from adapters.intake.arrivals import Arrivals
from adapters.intake.aside import Fingerprint, fingerprint, for_size
from adapters.intake.translate import encoded, translate_batch
from adapters.observe import ArrivalKind, IntakeObserver, UnobservedIntake
from adapters.registry import Registry
from adapters.translator import Arrival, Item, Rejection, Translator, as_read
from schemas.arrival.receipt import Receipt
from schemas.errors import EngineUnavailable, RejectedInput, TranslatorFailed, UnknownSender, Unsupported, kind_and_place
from schemas.event import instant
from schemas.log import EventLog, NewRecord, Position
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source

LOGGER = logging.getLogger(__name__)

CONTROL_REUSED = "control-id-reused"
"""Flag: the sender used the id of an earlier message for a different one."""
EVENT_ID_REUSED = "event-id-reused"
"""Flag: the sender used the id of an earlier event for a different one; the position follows."""
REDRIVEN = "redriven"
"""Flag: it came from quarantine, not from a sender."""


class Delivery(NamedTuple):
    """What a door passes to the intake."""

    source: Source
    door: str
    """``mllp``, ``http``, ``folder``, ``cli`` or ``mesh``."""
    content: BinaryIO
    """Seekable; not closed by the intake. It must not change until the receipt is returned."""
    media_type: str
    """Empty when the door does not know."""
    name: str = ""
    """Name of the file, without its folder."""
    control: str = ""
    """The sender's own id of the message, if it has one."""
    traceparent: str = ""
    """Of the sender's span, if it named one."""
    positions: Mapping[str, str] = MappingProxyType({})
    """If ``content`` is only a part of what was sent: position of an item in ``content`` to its position in the whole."""


class KeptItem(NamedTuple):
    """An item of the quarantine that is to be redriven."""

    id: str
    door: str
    media_type: str
    name: str
    content: BinaryIO
    """Seekable."""


class _Work(NamedTuple):
    """One delivery in progress."""

    delivery: Delivery
    print: Fingerprint
    arrived_at: datetime
    translation: str
    """Version of the translator, or the code of the error if no translator is used."""
    items: Iterator[Item]
    redriven: str = ""
    """Id of the quarantine item, if it is redriven."""
    declined: RejectedInput | None = None
    """Why its content cannot even be kept."""


class Intake:
    """Takes in what arrives. All doors of a process share one.

    It depends on no other engine than the log.
    """

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        pseudonyms: Pseudonyms,
        clock: Callable[[], datetime],
        observer: IntakeObserver | None = None,
    ) -> None:
        self._log = log
        self._registry = registry
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._observer = observer or UnobservedIntake()
        self._arrivals = Arrivals(log)
        self._running: dict[str, asyncio.Future[None]] = {}
        """Receipts in progress: if two identical deliveries arrive at once, the second waits for the first."""

    async def open(self) -> None:
        """Read recent arrivals from the log. Raises `LogUnavailable`."""
        await self._arrivals.open()

    async def receive(self, delivery: Delivery, progress: Callable[[int], None] | None = None) -> Receipt:
        """Take ``delivery`` in, and return its receipt once everything is durable.

        If the same content from the same source comes again, it gets the same receipt, and nothing is appended. Content that
        cannot be read is kept whole, and its receipt says so; that is not an error. ``progress`` is called from time to time
        with the number of items so far.

        Raises `LogUnavailable`: then nothing may be acknowledged, and all of it must be sent again.
        """
        with self._arriving(ArrivalKind.RECEIVE, delivery) as traceparent:
            return await self._once(await self._work(delivery, traceparent), progress)

    async def redrive(self, kept: KeptItem, source: Source) -> Receipt:
        """Redrive an item of the quarantine as one of ``source`` (which may be declared by now), and record the outcome.

        If it is refused again as a whole, it stays the same item, with one more attempt; rejected parts of it become items of
        their own. Redriving twice makes nothing twice.

        Raises `LogUnavailable`: the item is unchanged, or was accepted but still counts as open; redrive it again.
        """
        delivery = Delivery(source, kept.door, kept.content, kept.media_type, kept.name)
        with self._arriving(ArrivalKind.REDRIVE, delivery) as traceparent:
            receipt = await self._once(await self._work(delivery, traceparent, kept.id))
            await self._append([tried(kept.id, receipt, instant(self._clock()))])
            return receipt

    async def refuse(self, delivery: Delivery, error: RejectedInput) -> Receipt:
        """Keep ``delivery`` whole and untranslated, because the door refuses it. Raises `LogUnavailable`."""
        with self._arriving(ArrivalKind.RECEIVE, delivery):
            mark = await fingerprint(delivery.content)
            return await self._once(_Work(delivery, mark, self._clock(), error.code, _refused(error)))

    async def keep(self, delivery: Delivery, items: Iterable[Item]) -> Receipt:
        """Keep ``items`` of ``delivery``, all rejected by the door, so that each can be redriven. Raises `LogUnavailable`."""
        with self._arriving(ArrivalKind.KEEP, delivery):
            mark = await fingerprint(delivery.content)
            return await self._once(_Work(delivery, mark, self._clock(), UnknownSender.code, iter(items)))

    async def decline(self, delivery: Delivery, error: RejectedInput, size_bytes: int, content_hash: bytes) -> Receipt:
        """Make a receipt for content that the door could not hold: it says what arrived, and why it was not kept.

        The content of ``delivery`` is not read. Raises `LogUnavailable`.
        """
        mark = Fingerprint(content_hash, size_bytes)
        with self._arriving(ArrivalKind.DECLINE, delivery):
            return await self._once(_Work(delivery, mark, self._clock(), error.code, iter(()), declined=error))

    def _arriving(self, kind: ArrivalKind, delivery: Delivery) -> AbstractContextManager[str]:
        return self._observer.arriving(kind, delivery.source.id, delivery.door, delivery.traceparent)

    async def _work(self, delivery: Delivery, traceparent: str, redriven: str = "") -> _Work:
        mark, now = await fingerprint(delivery.content), self._clock()
        try:
            translator = self._registry.translator(delivery.source, delivery.media_type)
        except Unsupported as error:
            return _Work(delivery, mark, now, error.code, _refused(error), redriven)
        version = as_read(translator.version, delivery.source)
        arrival = Arrival(delivery.source, now, self._pseudonyms, traceparent)
        return _Work(delivery, mark, now, version, self._items(translator, delivery, arrival), redriven)

    def _items(self, translator: Translator, delivery: Delivery, arrival: Arrival) -> Iterator[Item]:
        """The items of the translator. If it raises, which is a fault of ours, the content is kept as a whole."""
        position = WHOLE
        try:
            for sent in translator.translate(delivery.content, arrival):
                item = (
                    sent._replace(position=delivery.positions.get(sent.position, sent.position)) if delivery.positions else sent
                )
                position = f"after {item.position}"
                yield self._compared(item) if item.control else item
        except Exception as error:
            LOGGER.error("translator of %s failed: %s", delivery.source.id, kind_and_place(error))
            self._observer.faulted(delivery.door, TranslatorFailed.code)
            yield Item(position, rejection=Rejection(TranslatorFailed(), b"", whole=True))

    def _compared(self, item: Item) -> Item:
        """The item, flagged if its sender used the id for a different event before."""
        if not self._arrivals.names_another(item.control, item.events[0].id):
            return item
        return item._replace(flags=(*item.flags, f"{EVENT_ID_REUSED} at {item.position}, id"))

    async def _once(self, work: _Work, progress: Callable[[int], None] | None = None) -> Receipt:
        source, door = work.delivery.source.id, work.delivery.door
        receipt = receipt_id(source, work.print.content_hash, work.translation)
        while (running := self._running.get(receipt)) is not None:
            await asyncio.wait([running])
        done = self._running[receipt] = asyncio.get_running_loop().create_future()
        try:
            before = await self._arrivals.receipt(receipt)
            if before is not None and not (work.redriven and before.rejected):
                self._observer.repeated(source, door, before.accepted, before.rejected)
                return before
            made = await self._take_in(work, receipt, progress)
        except EngineUnavailable as error:
            self._observer.faulted(door, error.code)
            raise
        finally:
            del self._running[receipt]
            done.set_result(None)
        self._observer.arrived(source, door, made.accepted, made.rejected)
        return made

    async def _take_in(self, work: _Work, receipt: str, progress: Callable[[int], None] | None) -> Receipt:
        """Translate → append → keep → receipt. The last records go together with the receipt where the log is atomic."""
        account, items, call = self._account(work, receipt), encoded(work.items), for_size(work.print.size_bytes)
        batch = await call(translate_batch, items)
        records = await call(account.add, batch.items)
        while not batch.last:
            await self._append(records)
            if progress is not None:
                progress(account.received)
            batch = await call(translate_batch, items)
            records = await call(account.add, batch.items)
        kept = account.whole()
        while (part := await call(next, kept, None)) is not None:
            await self._append(records)
            records = [part]
        made, closing = account.close()
        if not self._log.atomic:
            await self._append(records)
            records = []
        positions = await self._append([*records, *closing])
        self._arrivals.remember(receipt, positions[-1])
        if progress is not None:
            progress(made.received)
        return made

    def _account(self, work: _Work, receipt: str) -> Account:
        delivery, (content_hash, size_bytes) = work.delivery, work.print
        control = self._pseudonyms.control(delivery.source.id, delivery.control) if delivery.control else ""
        arrived = Arrived(
            receipt=receipt,
            source=delivery.source.id,
            door=delivery.door,
            media_type=delivery.media_type,
            name=delivery.name,
            control=control,
            received_at=instant(work.arrived_at),
            content_hash=content_hash,
            size_bytes=size_bytes,
        )
        account = Account(arrived, delivery.content, work.redriven)
        if control and self._arrivals.reused(control, content_hash):
            account.flag(CONTROL_REUSED)
        if work.redriven:
            account.flag(REDRIVEN)
        if work.declined is not None:
            account.decline(work.declined)
        return account

    async def _append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        if not records:
            return ()  # for example five hundred blank rows
        started = time.perf_counter()
        positions = await self._log.append(records)
        self._observer.appended(len(records), time.perf_counter() - started)
        return positions


def _refused(error: RejectedInput) -> Iterator[Item]:
    return iter((Item(WHOLE, rejection=Rejection(error, b"", whole=True)),))
