"""Files of many messages: HL7's batch protocol, and messages simply written one after the other.

A batch that says it is longer than it is was cut short, and is refused whole: what is missing from it nobody would miss.

Source: HL7 v2.4 §2.10.3 (batch protocol), §2.16.2 (BHS), §2.16.3 (BTS: BTS-1 is the number of messages), §2.16.6 (FTS).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from schemas.errors import TooLarge, Unreadable

CHUNK_BYTES = 1024 * 1024
"""Read at a time: most files and every message off a wire are smaller, and cut without a second reading."""
MESSAGE_MOST_BYTES = 16 * 1024 * 1024
"""The longest message, as over MLLP. It is held whole, which a file of rubbish without an end must not be."""
_BEGINS = re.compile(rb"(?<=[\r\n])(?=\x0b?(?:(?:MSH|BHS|FHS)[^A-Za-z0-9\r\n]|(?:BTS|FTS)(?![A-Za-z0-9])))")
_BEGINNING_BYTES = 8
"""More than what tells that a message begins: so much is looked at again when more has been read."""
_ENVELOPES = {b"FHS": b"FTS", b"BHS": b"BTS"}
_MSH = b"MSH"
_MORE = (_MSH, b"BTS", b"FTS")
"""What a file of several messages, or the end of a batch, has in it."""
_BLANK = b" \t\r\n\x0b\x1c"
_MARK = b"\xef\xbb\xbf"


def messages(content: BinaryIO) -> Iterator[bytes]:
    """The messages of ``content``, as they stand there; what stands before the first one or is none is given out like one.

    Raises before the first is given out: `Unreadable` when a batch is not whole, `TooLarge` when a message is.
    """
    first = content.read(CHUNK_BYTES)
    if len(first) < CHUNK_BYTES:
        pieces = _BEGINS.split(first)
        if len(pieces) > 1 or _kind(first):
            _survey(iter(pieces))
    else:
        content.seek(0)
        _survey(_pieces(content))
        content.seek(0)
        yield from (piece for piece in _pieces(content) if _is_message(piece))
        return
    yield from [piece for piece in pieces if _is_message(piece)] or ([first] if not _kind(first) else [])


def single(content: BinaryIO) -> bytes:
    """``content`` when it is surely one message, as what comes off a wire is; else ``b""``, and it is left at its start."""
    first = content.read(CHUNK_BYTES)
    if len(first) < CHUNK_BYTES and first.startswith(_MSH) and not any(first.find(mark, 1) > 0 for mark in _MORE):
        return first
    content.seek(0)
    return b""


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    """``content`` cut before every message and every part of an envelope, in flat memory.

    Raises `TooLarge`.
    """
    rest = b""
    while chunk := content.read(CHUNK_BYTES):
        seen, begun = max(len(rest) - _BEGINNING_BYTES, 0), 0
        rest += chunk
        for found in _BEGINS.finditer(rest, seen):
            yield rest[begun : found.start()]
            begun = found.start()
        rest = rest[begun:]
        if len(rest) > MESSAGE_MOST_BYTES:
            raise TooLarge(f"a message is longer than {MESSAGE_MOST_BYTES} bytes")
    yield rest


def _kind(piece: bytes) -> bytes:
    """The segment of an envelope that ``piece`` is; ``b""`` when it is none."""
    name = piece.removeprefix(_MARK).lstrip(_BLANK)[:3]
    return name if name in _ENVELOPES or name in _ENVELOPES.values() else b""


def _is_message(piece: bytes) -> bool:
    return not _kind(piece) and bool(piece.removeprefix(_MARK).strip(_BLANK))


def _survey(pieces: Iterator[bytes]) -> None:
    """Count a file through: every envelope is closed, and holds as many messages or batches as it says.

    Raises `Unreadable`.
    """
    waits: list[tuple[bytes, int]] = []
    """The trailers of the envelopes that are open, and how many things each of these holds so far."""
    for piece in pieces:
        kind = _kind(piece)
        if kind in _ENVELOPES:
            waits = _counted(waits)
            waits.append((_ENVELOPES[kind], 0))
        elif kind:
            _close(waits, kind, piece)
        elif _is_message(piece):
            waits = _counted(waits)
    if waits:
        raise Unreadable("the batch has no end: it was cut short", where=waits[-1][0].decode())


def _counted(waits: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    return [*waits[:-1], (waits[-1][0], waits[-1][1] + 1)] if waits else []


def _close(waits: list[tuple[bytes, int]], kind: bytes, piece: bytes) -> None:
    """The end of the innermost envelope, which it must be."""
    where = kind.decode()
    if not waits or waits[-1][0] != kind:
        raise Unreadable("the batch ends without having begun", where=where)
    _, held = waits.pop()
    piece = piece.lstrip(_BLANK)
    fields = piece.split(piece[3:4]) if len(piece) > 3 else []
    said = fields[1].strip(_BLANK) if len(fields) > 1 else b""
    if said.isdigit() and int(said) != held:
        raise Unreadable("the batch does not hold as many messages as it says", where=f"{where}-1")
