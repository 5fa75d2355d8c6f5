"""The one way in: translate → append → keep what was rejected → receipt. Every door hands what arrives to `Intake.receive`.

The order is the promise. First the events and what is kept of the rejected parts are durable, then the receipt that vouches
for them, and only then does `receive` return, so that a door may acknowledge (promise P1). Where one append is atomic
(`schemas.log.EventLog.atomic`) the last records and the receipt go in one call. Where it is not, the receipt has a call of
its own: a receipt without its events would make the sender's next try look like a repetition, and lose it.

What fails halfway leaves events without a receipt. That is harmless: nothing was acknowledged, and the next try makes the
same events again under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from adapters.account import WHOLE, Account, Arrived, Reply, receipt_id, tried
from adapters.arrivals import Arrivals
from adapters.batches import Fingerprint, fingerprint, next_batch
from adapters.observe import Observer, Unobserved, described
from adapters.registry import Registry
from adapters.translator import Arrival, Item, Rejection, Translator, as_read
from schemas.errors import EngineUnavailable, RejectedInput, TranslatorFailed, UnknownSender, Unsupported
from schemas.event import instant
from schemas.log import EventLog, NewRecord, Position
from schemas.pseudonyms import Pseudonyms
from schemas.receipt import Receipt
from schemas.source import Source

LOGGER = logging.getLogger(__name__)

CONTROL_REUSED = "control-id-reused"
"""Flag: the sender used the id of an earlier message for another one."""
EVENT_ID_REUSED = "event-id-reused"
"""Flag: the sender used the id of an earlier event for another one; the position follows."""
REDRIVEN = "redriven"
"""Flag: it came from quarantine, not from a sender."""


class Delivery(NamedTuple):
    """What a door hands over."""

    source: Source
    door: str
    """``mllp``, ``http``, ``folder``, ``cli`` or ``mesh``."""
    content: BinaryIO
    """Seekable; not closed by the intake. It may not change until the receipt is there."""
    media_type: str
    """Empty when the door does not know."""
    name: str = ""
    """Of the file, without its folder."""
    control: str = ""
    """The sender's own id of it, if it has one."""
    traceparent: str = ""
    reply: Reply | None = None
    """Of a door that repeats its answer to a repeated message: what to answer. It stands in the receipt."""
    positions: Mapping[str, str] = MappingProxyType({})
    """Where the items stood in what the sender sent, by where they stand in ``content``, when that is a part of it."""


class KeptItem(NamedTuple):
    """An item of the quarantine, to be sent through again."""

    id: str
    source: str
    """Id of the source it was kept under."""
    door: str
    media_type: str
    name: str
    content: BinaryIO
    """Seekable."""


class _Work(NamedTuple):
    """One delivery on its way."""

    delivery: Delivery
    print: Fingerprint
    arrived_at: datetime
    translation: str
    """Version of the translator, or the code of the error that made one needless."""
    items: Iterator[Item]
    redriven: str = ""
    """Id in the quarantine."""
    declined: RejectedInput | None = None
    """Why nothing of it can even be kept."""


class Intake:
    """Takes in what arrives. One for all doors of a process.

    It needs the log and nothing else.
    """

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        pseudonyms: Pseudonyms,
        clock: Callable[[], datetime],
        observer: Observer | None = None,
    ) -> None:
        self._log = log
        self._registry = registry
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._observer = observer or Unobserved()
        self._arrivals = Arrivals(log)
        self._running: dict[str, asyncio.Future[None]] = {}
        """Receipts being made: of two identical deliveries at once the second waits for the first."""

    async def open(self) -> None:
        """Learn from the log what arrived of late. Raises `LogUnavailable`."""
        await self._arrivals.open()

    async def receive(self, delivery: Delivery, progress: Callable[[int], None] | None = None) -> Receipt:
        """Take ``delivery`` in; its receipt, once everything is durable.

        The same content from the same source again has the same receipt, and nothing is appended. Content that cannot be read
        is kept whole and its receipt says so: that is no error. ``progress`` is told, now and then, the number of items so far.

        Raises `LogUnavailable`: nothing may be acknowledged then, all of it is to be sent again.
        """
        return await self._once(await self._work(delivery), progress)

    async def redrive(self, kept: KeptItem, source: Source) -> Receipt:
        """Send an item of the quarantine through again, as ``source``'s (which may be declared by now), and note the outcome.

        Refused again as a whole it stays what it is, with one try more; rejected parts of it become items of their own. Done
        twice it makes nothing twice.

        Raises `LogUnavailable`: the item is as it was, or was taken in and still counts as open; redrive it again.
        """
        delivery = Delivery(source, kept.door, kept.content, kept.media_type, kept.name)
        receipt = await self._once(await self._work(delivery, kept.id))
        await self._append([tried(kept.id, receipt, instant(self._clock()))])
        return receipt

    async def refuse(self, delivery: Delivery, error: RejectedInput) -> Receipt:
        """Keep ``delivery`` whole and untranslated: the door knows that it cannot be. Raises `LogUnavailable`."""
        mark = await fingerprint(delivery.content)
        return await self._once(_Work(delivery, mark, self._clock(), error.code, _refused(error)))

    async def keep(self, delivery: Delivery, items: Iterable[Item]) -> Receipt:
        """Keep ``items`` of ``delivery``, all rejected by the door: each is redriven by itself. Raises `LogUnavailable`."""
        mark = await fingerprint(delivery.content)
        return await self._once(_Work(delivery, mark, self._clock(), UnknownSender.code, iter(items)))

    async def decline(self, delivery: Delivery, error: RejectedInput, size_bytes: int, content_hash: bytes) -> Receipt:
        """Account for what cannot even be kept, because the door could not hold it: the receipt says what came and why not.

        The content of ``delivery`` is not read. Raises `LogUnavailable`.
        """
        mark = Fingerprint(content_hash, size_bytes)
        return await self._once(_Work(delivery, mark, self._clock(), error.code, iter(()), declined=error))

    async def _work(self, delivery: Delivery, redriven: str = "") -> _Work:
        mark, now = await fingerprint(delivery.content), self._clock()
        try:
            translator = self._registry.translator(delivery.source, delivery.media_type)
        except Unsupported as error:
            return _Work(delivery, mark, now, error.code, _refused(error), redriven)
        version = as_read(translator.version, delivery.source)
        return _Work(delivery, mark, now, version, self._items(translator, delivery, now), redriven)

    def _items(self, translator: Translator, delivery: Delivery, now: datetime) -> Iterator[Item]:
        """What the translator makes of it. A translator that raises is a fault of ours: the content is kept, whole."""
        position = WHOLE
        arrival = Arrival(delivery.source, now, self._pseudonyms, delivery.traceparent)
        try:
            for told in translator.translate(delivery.content, arrival):
                item = (
                    told._replace(position=delivery.positions.get(told.position, told.position)) if delivery.positions else told
                )
                position = f"after {item.position}"
                yield self._compared(item) if item.control else item
        except Exception as error:
            LOGGER.error("translator of %s failed: %s", delivery.source.id, described(error))
            self._observer.faulted(delivery.door, TranslatorFailed.code)
            yield Item(position, rejection=Rejection(TranslatorFailed(), b"", whole=True))

    def _compared(self, item: Item) -> Item:
        """The item, flagged when its sender used the id for another event before."""
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
            known = await self._arrivals.receipt(receipt)
            if known is not None and not (work.redriven and known.rejected):
                self._observer.repeated(source, door)
                return known
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
        account, size_bytes = self._account(work, receipt), work.print.size_bytes
        entries = account.entries(work.items)
        batch = await next_batch(entries, size_bytes)
        while not batch.last:
            await self._append(batch.records)
            if progress is not None:
                progress(account.received)
            batch = await next_batch(entries, size_bytes)
        made, closing = account.close(work.delivery.reply)
        if batch.records and not self._log.atomic:
            await self._append(batch.records)
            batch.records.clear()
        positions = await self._append([*batch.records, *closing])
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
            return ()  # five hundred blank rows
        started = time.perf_counter()
        positions = await self._log.append(records)
        self._observer.appended(len(records), time.perf_counter() - started)
        return positions


def _refused(error: RejectedInput) -> Iterator[Item]:
    return iter((Item(WHOLE, rejection=Rejection(error, b"", whole=True)),))
