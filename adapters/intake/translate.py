"""Translates what arrived, some items at a time: what comes in is of any length, and what is held of it is not.

An item comes with its events as log records. Nothing of the log or of receipts is known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from adapters.translator import Item, Rejection
from schemas.errors import TooLarge
from schemas.event import encode as encode_event
from schemas.log import EVENTS, RECORD_BYTES, NewRecord

BATCH_ITEMS = 500
"""Items per append of long content: one fsync costs as much as some hundred rows."""
BATCH_BYTES = 8 * 1024 * 1024
"""Approximate bytes of events and rejected items per append of long content: keeps memory constant when items are large."""


class TranslatedItem(NamedTuple):
    """One item, and its events as they go into the log."""

    item: Item
    events: list[NewRecord]


class Batch(NamedTuple):
    """What is translated before the next append."""

    items: list[TranslatedItem]
    last: bool


def encoded(items: Iterable[Item]) -> Iterator[TranslatedItem]:
    """``items`` with their events encoded; ends after a whole rejection. An event over the log's limit is one."""
    for item in items:
        events = [NewRecord(EVENTS, event.partitionkey, encode_event(event)) for event in item.events]
        if any(len(record.value) > RECORD_BYTES for record in events):
            error = TooLarge(f"an event made of it is over {RECORD_BYTES} bytes", where=item.position)
            yield TranslatedItem(Item(item.position, rejection=Rejection(error, b"", whole=True)), [])
            return
        yield TranslatedItem(item, events)
        if item.rejection is not None and item.rejection.whole:
            return


def translate_batch(items: Iterator[TranslatedItem]) -> Batch:
    """The next items, `BATCH_ITEMS` or about `BATCH_BYTES` of them at most."""
    batch: list[TranslatedItem] = []
    size_bytes = 0
    for each in items:
        batch.append(each)
        size_bytes += sum([len(record.value) for record in each.events])
        if each.item.rejection is not None:
            size_bytes += len(each.item.rejection.content)
        if len(batch) >= BATCH_ITEMS or size_bytes >= BATCH_BYTES:
            return Batch(batch, last=False)
    return Batch(batch, last=True)
