"""Cursors: a reader's position in a timeline, as opaque text.

Source: RFC 4648 §5 (base64url), here without padding.
"""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import msgspec

from consumers.timeline.follow import RecordMark, Seen
from schemas.errors import InvalidRequest
from schemas.timeline import Order


class PageEnd(NamedTuple):
    """Sort key of the last entry of a page, and the order of the page."""

    order: Order
    occurred_at: int
    tie: int
    place: int


_PAGE_END = msgspec.json.Decoder(PageEnd)


def write_page(end: PageEnd) -> str:
    """The cursor of the page after ``end``."""
    return _text(msgspec.json.encode(end))


def read_page(cursor: str, order: Order) -> PageEnd:
    """The last entry of the previous page. Raises `InvalidRequest` unless ``cursor`` is of a page in this order."""
    try:
        end = _PAGE_END.decode(_bytes(cursor))
    except (msgspec.DecodeError, ValueError):
        raise _unusable() from None
    if end.order is not order:
        raise _unusable()
    return end


def write_changes(seen: Seen) -> str:
    """The cursor of what was seen: about 38 characters per record, kept short because every event of the stream carries it."""
    return _text(_FOLLOWS + b"".join([_MARK.pack(bytes.fromhex(record), *mark) for record, mark in sorted(seen.items())]))


def read_changes(cursor: str) -> dict[str, RecordMark]:
    """What was seen, by record. Raises `InvalidRequest`."""
    content = _bytes(cursor)
    if not content.startswith(_FOLLOWS) or len(content[1:]) % _MARK.size:
        raise _unusable()
    return {record.hex(): RecordMark(place, check) for record, place, check in _MARK.iter_unpack(content[1:])}


_FOLLOWS = b"\x02"
"""First byte of a cursor of what was seen, which may hold no record at all. A page's cursor begins with a bracket."""
_MARK = struct.Struct(">16sqI")
"""Record key (whole), place, check. The whole key is needed: after the record has moved to another person, nothing else tells
which entries are gone. Source: `schemas.pseudonyms`, 32 hexadecimal digits."""


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(cursor: str) -> bytes:
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise _unusable() from None


def _unusable() -> InvalidRequest:
    cure = "Send the cursor of the previous answer unchanged and with the same order, or leave it out to start again."
    return InvalidRequest("this is not a cursor of this timeline", where="parameter after", cure=cure)
