"""Makes the log records of one arrival: of its items, of what is kept, of its receipt. Pure: it appends nothing itself.

Every id made here depends only on what arrived, so repeating the work (after a crash, a lost acknowledgement, a redrive) makes
the same records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from adapters.intake.translate import TranslatedItem
from adapters.translator import Item, Rejection
from schemas.arrival.quarantine import CHUNK_BYTES, KeptPart, Tried
from schemas.arrival.quarantine import encode as encode_kept
from schemas.arrival.receipt import LISTED, Receipt, Refusal
from schemas.arrival.receipt import encode as encode_receipt
from schemas.errors import RejectedInput
from schemas.event import event_id
from schemas.log import QUARANTINE, RECEIPTS, NewRecord

WHOLE = "whole"
"""Position of a rejection of the whole arrival, if the translator names none."""


def receipt_id(source: str, content_hash: bytes, translation: str) -> str:
    """UUIDv5: the same bytes from the same source, translated by the same version, have the same receipt."""
    return event_id(source, "", "receipt", content_hash, translation)


def quarantine_id(source: str, content_hash: bytes, position: str) -> str:
    """UUIDv5: a rejection that is kept twice has the same id."""
    return event_id(source, position, "quarantine", content_hash, "")


class Arrived(NamedTuple):
    """What all the records of one arrival have in common."""

    receipt: str
    source: str
    door: str
    media_type: str
    name: str
    control: str
    """HMAC, or empty."""
    received_at: str
    content_hash: bytes
    """SHA-256 of the whole content."""
    size_bytes: int


class _Page:
    """What one receipt record lists."""

    __slots__ = ("controls", "events", "flags", "refusals")

    def __init__(self) -> None:
        self.events: list[str] = []
        self.refusals: list[Refusal] = []
        self.flags: list[str] = []
        self.controls: dict[str, str] = {}

    @property
    def room(self) -> int:
        return LISTED - len(self.events) - len(self.refusals) - len(self.flags)


class Account:
    """Counts the items of one arrival and makes the records for them.

    ``redriven`` is the id of the quarantine item whose content this is: if refused again, it is not kept a second time.
    """

    def __init__(self, arrived: Arrived, content: BinaryIO, redriven: str = "") -> None:
        self._arrived = arrived
        self._content = content
        self._redriven = redriven
        self._first = self._page = _Page()
        self._part = 0
        self._whole: Refusal | None = None
        """Of the whole content."""
        self.accepted = 0
        self.rejected = 0

    @property
    def received(self) -> int:
        """Items so far."""
        return self.accepted + self.rejected

    def flag(self, flag: str) -> None:
        """Flag something about the arrival as a whole. To be called before any item."""
        self._first.flags.append(flag)

    def add(self, items: Iterable[TranslatedItem]) -> list[NewRecord]:
        """Count ``items``. Returns their events, what is kept of those that were rejected, and the receipt's full parts.

        What is kept of content that was rejected as a whole comes from `whole`.
        """
        return [record for each in items for record in self._add(each)]

    def whole(self) -> Iterator[NewRecord]:
        """The kept parts of the whole content, if that was rejected. Reads one at a time."""
        if self._whole is not None:
            yield from self._keep(self._whole, self._arrived.size_bytes, self._read)

    def decline(self, error: RejectedInput) -> None:
        """Note that the whole arrival is refused and that nothing of it can be kept."""
        self.rejected += 1
        self._first.refusals.append(_refusal(WHOLE, error, ""))

    def close(self) -> tuple[Receipt, list[NewRecord]]:
        """The receipt and the last records: the last part of the receipt and then the receipt itself, whose presence shows that
        everything else is in the log."""
        last = [self._part_record()] if self._page is not self._first else []
        receipt = self._receipt(self._first)
        return receipt, [*last, _of_source(receipt)]

    def _add(self, translated: TranslatedItem) -> Iterator[NewRecord]:
        item, events = translated
        yield from events
        if item.rejection is None:
            self.accepted += 1
        else:
            yield from self._reject(item.position, item.rejection)
        if item.rejection is None or not item.rejection.whole:
            yield from self._list(item)

    def _reject(self, position: str, rejection: Rejection) -> Iterator[NewRecord]:
        self.rejected += 1
        arrived, content = self._arrived, rejection.content
        content_hash = arrived.content_hash if rejection.whole else hashlib.sha256(content).digest()
        same = bool(self._redriven) and content_hash == arrived.content_hash
        kept = self._redriven if same else quarantine_id(arrived.source, content_hash, position)
        refusal = _refusal(position, rejection.error, kept)
        if rejection.whole and not same:
            self._whole = refusal
        elif not same:
            yield from self._keep(refusal, len(content), lambda start: content[start : start + CHUNK_BYTES])
        yield from self._list_refusal(refusal)

    def _keep(self, refusal: Refusal, size_bytes: int, read: Callable[[int], bytes]) -> Iterator[NewRecord]:
        """The parts, with part 0 last, so that its presence shows that the others are in the log."""
        arrived = self._arrived
        parts = max(1, -(-size_bytes // CHUNK_BYTES))
        for part in range(parts - 1, -1, -1):
            kept = KeptPart(
                id=refusal.quarantine,
                source=arrived.source,
                door=arrived.door,
                media_type=arrived.media_type,
                code=refusal.code,
                reason=refusal.reason,
                position=refusal.position,
                receipt=arrived.receipt,
                received_at=arrived.received_at,
                part=part,
                parts=parts,
                content=read(part * CHUNK_BYTES),
                name=arrived.name,
            )
            yield NewRecord(QUARANTINE, kept.id, encode_kept(kept))

    def _read(self, start: int) -> bytes:
        self._content.seek(start)
        return self._content.read(CHUNK_BYTES)

    def _list(self, item: Item) -> list[NewRecord]:
        """List an accepted item. Returns the record of a receipt part if that is now full."""
        full = self._turn(len(item.events) + len(item.flags))
        self._page.events.extend([event.id for event in item.events])
        self._page.flags.extend(item.flags)
        if item.control:
            self._page.controls[item.control] = item.events[0].id
        return full

    def _list_refusal(self, refusal: Refusal) -> list[NewRecord]:
        full = self._turn(1)
        self._page.refusals.append(refusal)
        return full

    def _turn(self, wanted: int) -> list[NewRecord]:
        """Begin a new page if ``wanted`` more entries do not fit into this one."""
        if self._page.room >= wanted:
            return []
        full = [self._part_record()] if self._page is not self._first else []
        self._page = _Page()
        self._part += 1
        return full

    def _part_record(self) -> NewRecord:
        return _of_source(self._receipt(self._page, part=self._part))

    def _receipt(self, page: _Page, part: int = 0) -> Receipt:
        arrived, account = self._arrived, part == 0
        return Receipt(
            id=arrived.receipt,
            source=arrived.source,
            door=arrived.door,
            received_at=arrived.received_at,
            sha256=arrived.content_hash.hex(),
            size_bytes=arrived.size_bytes,
            received=self.received if account else 0,
            accepted=self.accepted if account else 0,
            rejected=self.rejected if account else 0,
            events=page.events,
            refusals=page.refusals,
            flags=page.flags,
            control=arrived.control if account else "",
            controls=page.controls,
            part=part,
            name=arrived.name if account else "",
        )


def _of_source(receipt: Receipt) -> NewRecord:
    """Keyed by its source: the more partitions concurrent receipts are spread over, the more work brokers have."""
    return NewRecord(RECEIPTS, receipt.source, encode_receipt(receipt))


def _refusal(position: str, error: RejectedInput, kept: str) -> Refusal:
    return Refusal(position=position, code=error.code, reason=str(error), quarantine=kept, where=error.where)


def tried(kept: str, receipt: Receipt, at: str) -> NewRecord:
    """The outcome of sending the item ``kept`` through again."""
    same = next((refusal for refusal in receipt.refusals if refusal.quarantine == kept), None)
    outcome = Tried(
        id=kept,
        at=at,
        accepted=same is None,
        receipt=receipt.id,
        code=same.code if same else "",
        reason=same.reason if same else "",
    )
    return NewRecord(QUARANTINE, kept, encode_kept(outcome))
