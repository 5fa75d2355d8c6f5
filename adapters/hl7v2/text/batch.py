"""Splits files of many messages: HL7's batch protocol, and messages written one after the other.

A batch that holds fewer messages than its trailer states was cut short. It is refused as a whole, because otherwise nobody
would notice the missing messages.

Source: HL7 v2.4 §2.10.3 (batch protocol), §2.16.2 (BHS), §2.16.3 (BTS: BTS-1 is the number of messages), §2.16.6 (FTS).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from schemas.errors import TooLarge, Unreadable

CHUNK_BYTES = 1024 * 1024
"""Bytes read at a time. Most files and all single messages are smaller, and are split without being read twice."""
MESSAGE_MOST_BYTES = 16 * 1024 * 1024
"""Limit of one message, the same as over MLLP. A message is held in memory, which an endless file of rubbish must not fill."""
_BEGINS = re.compile(rb"(?<=[\r\n])(?=\x0b?(?:(?:MSH|BHS|FHS)[^A-Za-z0-9\r\n]|(?:BTS|FTS)(?![A-Za-z0-9])))")
_BEGINNING_BYTES = 8
"""Bytes searched again after the next chunk is read: more than `_BEGINS` needs to recognise where a message begins."""
_ENVELOPES = {b"FHS": b"FTS", b"BHS": b"BTS"}
_MSH = b"MSH"
_MORE = (_MSH, b"BTS", b"FTS")
"""Content with one of these after its first byte may hold several messages or the end of a batch."""
_BLANK = b" \t\r\n\x0b\x1c"
_MARK = b"\xef\xbb\xbf"


def messages(content: BinaryIO) -> Iterator[bytes]:
    """The messages of ``content``, unchanged. Bytes before the first message, or that are no message, are yielded like one.

    Raises before the first is yielded: `Unreadable` when a batch is incomplete, `TooLarge` when a message is too long.
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
    """``content`` if it is certainly one message, as over MLLP; else ``b""``, with ``content`` back at its start."""
    first = content.read(CHUNK_BYTES)
    if len(first) < CHUNK_BYTES and first.startswith(_MSH) and not any(first.find(mark, 1) > 0 for mark in _MORE):
        return first
    content.seek(0)
    return b""


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    """``content`` split before every message and every batch or file segment (BHS, BTS, FHS, FTS), in constant memory.

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
    """The name of the batch or file segment that ``piece`` begins with; ``b""`` if it is none."""
    name = piece.removeprefix(_MARK).lstrip(_BLANK)[:3]
    return name if name in _ENVELOPES or name in _ENVELOPES.values() else b""


def _is_message(piece: bytes) -> bool:
    return not _kind(piece) and bool(piece.removeprefix(_MARK).strip(_BLANK))


def _survey(pieces: Iterator[bytes]) -> None:
    """Check a file: every batch and file envelope is closed, and holds as many messages or batches as its trailer states.

    Raises `Unreadable`.
    """
    open_envelopes: list[tuple[bytes, int]] = []
    """For each open envelope the trailer that closes it, and how many messages or batches it holds so far."""
    for piece in pieces:
        kind = _kind(piece)
        if kind in _ENVELOPES:
            open_envelopes = _counted(open_envelopes)
            open_envelopes.append((_ENVELOPES[kind], 0))
        elif kind:
            _close(open_envelopes, kind, piece)
        elif _is_message(piece):
            open_envelopes = _counted(open_envelopes)
    if open_envelopes:
        raise Unreadable("the batch has no end: it was cut short", where=open_envelopes[-1][0].decode())


def _counted(open_envelopes: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    return [*open_envelopes[:-1], (open_envelopes[-1][0], open_envelopes[-1][1] + 1)] if open_envelopes else []


def _close(open_envelopes: list[tuple[bytes, int]], kind: bytes, piece: bytes) -> None:
    """Close the innermost envelope, which must be the one that the trailer ``kind`` belongs to.

    Raises `Unreadable`.
    """
    where = kind.decode()
    if not open_envelopes or open_envelopes[-1][0] != kind:
        raise Unreadable("the batch trailer has no matching header before it", where=where)
    _, held = open_envelopes.pop()
    piece = piece.lstrip(_BLANK)
    fields = piece.split(piece[3:4]) if len(piece) > 3 else []
    count = fields[1].strip(_BLANK) if len(fields) > 1 else b""
    if count.isdigit() and int(count) != held:
        raise Unreadable("the batch does not hold as many messages as its trailer states", where=f"{where}-1")
