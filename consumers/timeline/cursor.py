"""Cursors: where a reader is, as text that means nothing to anybody else.

Source: RFC 4648 §5 (base64url), here without padding.
"""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import msgspec

from consumers.timeline.follow import Mark, Seen
from schemas.errors import InvalidRequest
from schemas.timeline import Order


class Here(NamedTuple):
    """The last entry of a page."""

    order: Order
    occurred_at: int
    tie: int
    place: int


_HERE = msgspec.json.Decoder(Here)


def write_page(here: Here) -> str:
    """The cursor of the page after ``here``."""
    return _text(msgspec.json.encode(here))


def read_page(cursor: str, order: Order) -> Here:
    """Where the page before ended. Raises `InvalidRequest` for what is no cursor of a page in this order."""
    try:
        here = _HERE.decode(_bytes(cursor))
    except (msgspec.DecodeError, ValueError):
        raise _unusable() from None
    if here.order is not order:
        raise _unusable()
    return here


def write_changes(seen: Seen) -> str:
    """The cursor of what was seen: 38 characters a record, because it goes with every event."""
    return _text(_FOLLOWS + b"".join([_MARK.pack(bytes.fromhex(record), *mark) for record, mark in sorted(seen.items())]))


def read_changes(cursor: str) -> dict[str, Mark]:
    """What was seen. Raises `InvalidRequest`."""
    content = _bytes(cursor)
    if not content.startswith(_FOLLOWS) or len(content[1:]) % _MARK.size:
        raise _unusable()
    return {record.hex(): Mark(place, check) for record, place, check in _MARK.iter_unpack(content[1:])}


_FOLLOWS = b"\x02"
"""Begins a cursor of what was seen, which may hold no record at all: a page's begins with a bracket."""
_MARK = struct.Struct(">16sqI")
"""A record's key, whole: of a record that is another person's nothing else tells whose entries are gone.
Source: `schemas.pseudonyms`, 32 hexadecimal digits."""


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(cursor: str) -> bytes:
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise _unusable() from None


def _unusable() -> InvalidRequest:
    cure = "Send the cursor that the answer before gave, unchanged, with the same order; or none to begin anew."
    return InvalidRequest("this is no cursor of this timeline", where="parameter after", cure=cure)
