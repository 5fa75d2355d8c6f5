"""Decodes a message: by the character set that MSH-18 states if that can be right, else by a likely one.

If MSH-18 states an ISO 8859 set, in which every byte is a character, but the bytes are valid UTF-8, they are read as UTF-8:
hardly any text in an ISO 8859 set is valid UTF-8 by chance, and nobody finds a name that was decoded wrongly (``MÃœLLER``).

Encoding the text again always gives the same bytes, so that reading a message never damages it.

Source: HL7 v2.4 §2.16.9.18 (MSH-18) and table 0211; WHATWG Encoding (text labelled ISO 8859-1 is read as Windows-1252).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from schemas.errors import Unreadable

_LIKELY = ("utf-8", "cp1252", "latin-1")
"""Tried in this order: only UTF-8 can be recognised by its bytes, and the last one decodes any bytes."""
_LATIN_1 = ("cp1252", "latin-1")

CHARSETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": _LIKELY,
        "ASCII": ("ascii",),
        "UNICODE": ("utf-8",),
        "UNICODE UTF-8": ("utf-8",),
        "UTF-8": ("utf-8",),
        "UTF8": ("utf-8",),
        "8859/1": _LATIN_1,
        "ISO-8859-1": _LATIN_1,
        "ISO8859-1": _LATIN_1,
        "WINDOWS-1252": _LATIN_1,
    }
    | {f"8859/{part}": (f"iso8859-{part}",) for part in (2, 3, 4, 5, 6, 7, 8, 9, 15)}
)
"""Value of MSH-18 to the codecs to try. The ITK's own samples write ``UNICODE`` for UTF-8."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"M\0S\0H\0", b"\0M\0S\0H")
_HEAD_BYTES = 1024
"""MSH-18 is searched for in this many bytes: MSH has 21 short fields."""


class DecodedMessage(NamedTuple):
    """The decoded text of a message."""

    text: str
    encoding: str
    """The codec that encodes the text into the same bytes again."""
    flag: str = ""
    """What was wrong with MSH-18."""


def read(raw: bytes) -> DecodedMessage:
    """Decode ``raw``.

    Raises `Unreadable` on UTF-16, which single-byte delimiters cannot separate.
    """
    refuse_utf_16(raw)
    if raw.isascii():
        return DecodedMessage(raw.decode("ascii"), "utf-8")
    declared = _declared(raw)
    codecs = CHARSETS.get(declared)
    for codec in _possible(codecs or (), raw):
        text = _decoded(raw, codec)
        if text is not None:
            return DecodedMessage(text, codec)
    flag = "charset-unknown at MSH-18" if codecs is None else "charset-wrong at MSH-18"
    return next(DecodedMessage(text, codec, flag) for codec in _LIKELY if (text := _decoded(raw, codec)) is not None)


def refuse_utf_16(raw: bytes) -> None:
    """Raises `Unreadable` on UTF-16, with or without its mark: in English it is ASCII with a zero beside each letter."""
    if raw.startswith(_UTF_16):
        raise Unreadable("the message is in UTF-16", cure="Have the sender write UTF-8 (MSH-18 UNICODE UTF-8).", where="MSH-18")


def _possible(codecs: tuple[str, ...], raw: bytes) -> tuple[str, ...]:
    """``codecs``, or none if they would decode any bytes and the bytes are valid UTF-8."""
    read_anything = codecs and not {"ascii", "utf-8"}.intersection(codecs)
    return () if read_anything and _decoded(raw, "utf-8") is not None else codecs


def _declared(raw: bytes) -> str:
    """The first repetition of MSH-18 in capitals, read without knowing the character set."""
    start = raw.find(b"MSH")
    head = raw[max(start, 0) : max(start, 0) + _HEAD_BYTES].decode("latin-1").replace("\n", "\r").partition("\r")[0]
    fields = head.split(head[3:4] or "|")
    if len(fields) < 18:
        return ""
    return fields[17].partition(fields[1][1:2] or "~")[0].strip().upper()


def _decoded(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None
