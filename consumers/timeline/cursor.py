"""Cursors: where a reader is, as text that means nothing to anybody else.

Source: RFC 4648 §5 (base64url), here without padding.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec

from schemas.errors import InvalidRequest
from schemas.timeline import Order


class Here(NamedTuple):
    """The last entry of a page."""

    order: Order
    occurred_at: int
    tie: int
    place: int


_T = TypeVar("_T")
_HERE = msgspec.json.Decoder(Here)
_SEEN = msgspec.json.Decoder(dict[int, int])


def write_page(here: Here) -> str:
    """The cursor of the page after ``here``."""
    return _write(here)


def read_page(cursor: str, order: Order) -> Here:
    """Where the page before ended. Raises `InvalidRequest` for what is no cursor of a page in this order."""
    here = _read(cursor, _HERE)
    if here.order is not order:
        raise _unusable()
    return here


def write_changes(seen: Mapping[int, int]) -> str:
    """The cursor of what was seen: partition → the place of the last entry learned there."""
    return _write(seen)


def read_changes(cursor: str) -> dict[int, int]:
    """What was seen. Raises `InvalidRequest`."""
    return _read(cursor, _SEEN)


def _write(value: object) -> str:
    return urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def _read(cursor: str, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        return decoder.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise _unusable() from None


def _unusable() -> InvalidRequest:
    cure = "Send the cursor that the answer before gave, unchanged, with the same order; or none to begin anew."
    return InvalidRequest("this is no cursor of this timeline", where="parameter after", cure=cure)
