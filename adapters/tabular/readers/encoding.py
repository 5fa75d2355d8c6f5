"""Finds the encoding of a text file: the one of its byte-order mark, else UTF-8 if all of it is valid, else cp1252.

A guess by character frequency could read one file right and next week's wrong; this rule always gives the same answer. Content
with control characters, or in none of these encodings, is not text.

Source: RFC 3629 §3, §6; Unicode §23.8; Windows code page 1252.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from adapters.tabular.rows.limits import TEXT_BYTES_MOST
from schemas.errors import TooLarge, Unreadable

CHUNK_BYTES = 128 * 1024
"""Read at a time: more is no faster."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_CONTROL_BYTES = bytes([*range(0x09), *range(0x0E, 0x20), 0x7F])
_WIDE = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


def encoding_of(content: BinaryIO) -> str:
    """The name of the codec ``content`` is in; it is left at its start.

    Raises `Unreadable` when it is empty, not text, or ends within a character; `TooLarge`.
    """
    content.seek(0)
    start = content.read(4096)
    if not start:
        raise Unreadable("the file is empty", cure=_SEND_AGAIN)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "") or _without_mark(start)
    try:
        _decode_all(content, encoding)
    except UnicodeDecodeError as wrong:
        if encoding != "utf-8" or _cut_short(content, wrong):
            raise Unreadable("the file ends within a character, or is not the text it says it is", cure=_SEND_AGAIN) from None
        encoding = "cp1252"
        _decode_all_of_one_byte(content)
    content.seek(0)
    return encoding


_SEND_AGAIN = "Check how the file was made and sent, then send it again whole."
_NOT_TEXT = "the file is not text: it holds control characters"


def _without_mark(start: bytes) -> str:
    """UTF-16 without a mark shows by its zero bytes: most text is of characters below 256."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > len(start) // 4 > even:
        return "utf-16-le"
    return "utf-16-be" if even > len(start) // 4 > odd else "utf-8"


def _decode_all(content: BinaryIO, encoding: str) -> None:
    content.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    size = 0
    while chunk := content.read(CHUNK_BYTES):
        size += len(chunk)
        if size > TEXT_BYTES_MOST:
            raise TooLarge(f"the file has more than {TEXT_BYTES_MOST:,} bytes")
        if encoding not in _WIDE and len(chunk.translate(None, _CONTROL_BYTES)) < len(chunk):
            raise Unreadable(_NOT_TEXT, cure=_SEND_AGAIN)
        text = decoder.decode(chunk)
        if encoding in _WIDE and _CONTROLS.search(text):
            raise Unreadable(_NOT_TEXT, cure=_SEND_AGAIN)
    decoder.decode(b"", final=True)


def _decode_all_of_one_byte(content: BinaryIO) -> None:
    """Five bytes have no character in cp1252, the only rule by which it can be told from rubbish."""
    try:
        _decode_all(content, "cp1252")
    except UnicodeDecodeError:
        raise Unreadable("the file is neither UTF-8 nor cp1252 text", cure="Save it as UTF-8 and send it again.") from None


def _cut_short(content: BinaryIO, wrong: UnicodeDecodeError) -> bool:
    """Whether UTF-8 went wrong only at the very end, after characters of several bytes that were right."""
    if "end of data" not in wrong.reason:
        return False
    left = content.seek(0, 2) - len(wrong.object)
    content.seek(0)
    while left > 0 and (chunk := content.read(min(CHUNK_BYTES, left))):
        if not chunk.isascii():
            return True
        left -= len(chunk)
    return not wrong.object[: wrong.start].isascii()


def encoded(text: str, encoding: str) -> bytes:
    """``text`` in ``encoding``, such that `encoding_of` says the same of it alone as of the file it is from."""
    if encoding in _WIDE:
        return _WIDE[encoding] + text.encode(encoding)
    raw = text.encode(encoding)
    if encoding == "cp1252" and not raw.isascii() and _reads_as_utf8(raw):
        return text.encode("utf-8-sig")
    return raw


def _reads_as_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
