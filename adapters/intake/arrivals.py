"""Remembers recent arrivals, so that a repetition is recognised and answered as before.

It is only a cache: an arrival that it has forgotten, or that another process took in, is appended again under the same ids, by
which readers of the log recognise it. So it may be bounded, and it is filled from the tail of the log at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import itemgetter
from typing import NamedTuple

import msgspec

from schemas.arrival.receipt import Receipt
from schemas.arrival.receipt import decode as decode_receipt
from schemas.log import RECEIPTS, EventLog, Position

LOGGER = logging.getLogger(__name__)

REMEMBERED = 50_000
"""Arrivals remembered at least (at most twice as many): over an hour at ten a second. Measured: 34 MB when full."""
RECALLED = 10_000
"""Arrivals read back from the log at the start, which takes 0.2 s: what is sent again after a start was in progress before it.
"""
READ_AT_ONCE = 1000
"""Receipts read from the log in one go at the start."""


_PARTITIONS_MOST = 1 << 16
"""More partitions than any topic has."""
_HASH_BYTES = 8
"""Bytes kept of a content's hash: the chance that two contents under one control id share them is 10^-19."""


class _Seen(msgspec.Struct, frozen=True):
    """The parts of a receipt that are read at the start; the rest is skipped."""

    id: str
    sha256: str
    control: str = ""
    controls: dict[str, str] = {}
    part: int = 0


_SEEN = msgspec.json.Decoder(_Seen)


class _Generation(NamedTuple):
    receipts: dict[bytes, int]
    """Receipt id to its position: offset times `_PARTITIONS_MOST` plus partition, because a tuple would be twice as large."""
    controls: dict[bytes, bytes]
    """Control id to the first bytes of the content's hash, or of the event's id."""


class Arrivals:
    """The latest arrivals: at least ``most`` of them, at most twice as many.

    Kept in two generations: when the younger is full the older is forgotten as a whole, at no cost per arrival.
    """

    def __init__(self, log: EventLog, most: int = REMEMBERED) -> None:
        self._log = log
        self._most = most
        self._young, self._old = _Generation({}, {}), _Generation({}, {})

    async def open(self) -> None:
        """Read the tail of the receipts topic. Raises `LogUnavailable`."""
        starts, ends = await self._log.starts(RECEIPTS), await self._log.ends(RECEIPTS)
        held = {partition: end - starts.get(partition, 0) for partition, end in ends.items()}
        for partition, share in _shares(held, min(self._most, RECALLED)).items():
            await self._recall(partition, ends[partition] - share, ends[partition])

    async def receipt(self, receipt_id: str) -> Receipt | None:
        """The receipt of that id if it is remembered. Raises `LogUnavailable` when it cannot be read from the log."""
        packed = self._packed(_short(receipt_id))
        if packed is None:
            return None
        offset, partition = divmod(packed, _PARTITIONS_MOST)
        found = await self._log.read(RECEIPTS, partition, offset, 1)
        if not found or found[0].offset != offset:
            return None  # retention has removed it: the arrival is taken in again, under the same ids
        return decode_receipt(found[0].value)

    def remember(self, receipt_id: str, position: Position) -> None:
        """Remember a receipt that is now durable."""
        self._make_room()
        self._young.receipts[_short(receipt_id)] = position.offset * _PARTITIONS_MOST + position.partition

    def reused(self, control: str, content_hash: bytes) -> bool:
        """Whether the control id (`schemas.pseudonyms.Pseudonyms.control`) came with different content before; remembers it."""
        self._make_room()
        key, content = bytes.fromhex(control), content_hash[:_HASH_BYTES]
        before = self._young.controls.get(key) or self._old.controls.get(key)
        self._young.controls[key] = content
        return before is not None and before != content

    def names_another(self, control: str, event_id: str) -> bool:
        """As `reused`, of one event in an arrival: whether another event came under its sender's id before."""
        return self.reused(control, _short(event_id))

    def _make_room(self) -> None:
        if max(len(self._young.receipts), len(self._young.controls)) >= self._most:
            self._old, self._young = self._young, _Generation({}, {})

    def _packed(self, key: bytes) -> int | None:
        """The position of the receipt of that key, as `_Generation.receipts` has it."""
        packed = self._young.receipts.get(key)
        return self._old.receipts.get(key) if packed is None else packed

    async def _recall(self, partition: int, start: int, end: int) -> None:
        while start < end:
            records = await self._log.read(RECEIPTS, partition, start, READ_AT_ONCE)
            for record in records:
                self._note(Position(RECEIPTS, partition, record.offset), record.value)
            if not records:
                return
            start = records[-1].offset + 1

    def _note(self, position: Position, value: bytes) -> None:
        try:
            seen = _SEEN.decode(value)
            if seen.part == 0:
                self.remember(seen.id, position)
            self._young.controls.update(_controls(seen))
        except (msgspec.MsgspecError, ValueError):
            LOGGER.warning("%s/%d/%d is not a receipt: skipped", *position)


def _short(receipt_id: str) -> bytes:
    return bytes.fromhex(receipt_id.replace("-", ""))


def _controls(seen: _Seen) -> dict[bytes, bytes]:
    found = {bytes.fromhex(control): _short(event)[:_HASH_BYTES] for control, event in seen.controls.items()}
    return found | ({bytes.fromhex(seen.control): bytes.fromhex(seen.sha256)[:_HASH_BYTES]} if seen.control else {})


def _shares(held: Mapping[int, int], most: int) -> dict[int, int]:
    """How many of ``most`` receipts to read from each partition: the same number from each, or all if it holds fewer."""
    shares: dict[int, int] = {}
    for left, (partition, count) in zip(range(len(held), 0, -1), sorted(held.items(), key=itemgetter(1)), strict=True):
        shares[partition] = min(count, (most - sum(shares.values())) // left)
    return shares
