"""Parses one JSON document in FHIR's notation, keeping all digits of its decimals.

Source: FHIR R4 JSON §2.6.2; RFC 8259 §8.1 (a byte order mark may be ignored).
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from schemas.errors import TooLarge, Unreadable
from schemas.fhir.bundle import write

MOST_BYTES = 32 * 1024 * 1024
"""Limit of one document, which is read as a whole into some ten times as much memory. Send larger ones as several Bundles."""
MARK = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8."""


def read(content: BinaryIO) -> bytes:
    """The whole content. Raises `TooLarge`."""
    raw = content.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise TooLarge(f"a FHIR document has at most {MOST_BYTES // 1024 // 1024} MiB")
    return raw


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``, checked to be writable again; decimals are ``Decimal``. Raises `Unreadable`."""
    text = raw.removeprefix(MARK)
    if text.lstrip().startswith(b"<"):
        raise Unreadable("this is XML, and FHIR is read in JSON", cure="Have the sending system write application/fhir+json.")
    try:
        document = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("this is not JSON in UTF-8") from None
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except ArithmeticError:
        raise Unreadable("a number in the JSON is too large") from None
    if not isinstance(document, dict):
        raise Unreadable("this is not a JSON object")
    try:
        write(document)
    except TypeError:
        raise Unreadable("the JSON is nested too deeply, or has an integer of more than 64 bits") from None
    return document


def _decimal(text: str) -> Decimal:
    """Refuse a number that does not fit into a double, because other readers of the JSON would fail on it."""
    if math.isinf(float(text)):
        raise OverflowError
    return Decimal(text)


_DECODER = msgspec.json.Decoder(float_hook=_decimal)
