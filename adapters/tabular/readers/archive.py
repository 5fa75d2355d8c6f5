"""Looks into the zip archive that an xlsx or ods file is, before anything opens it.

Every part is inflated once, in small pieces that are dropped at once, and its real size is counted, not the one that the
archive's directory states. A zip bomb, XML with a document type or entities, and an encrypted or broken archive are refused.

Source: APPNOTE.TXT 6.3.10 (zip); ECMA-376 part 2 §8.2.5 and ODF 1.3 part 2 §3.1 (no DTD in a part); RFC 1951 (deflate).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from adapters.tabular.rows.limits import MIB, SHEET_INFLATED_MOST, SHEET_PARTS_MOST, SHEET_RATIO_MOST
from adapters.xml import SafeXml, XmlWords
from schemas.errors import RejectedInput, TooLarge, Unreadable

PIECE_BYTES = 256 * 1024
"""Bytes inflated at a time: the most memory that a zip bomb can take."""
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_XML = (".xml", ".rels", ".vml", ".rdf")
FORMULA_MARKS = (
    *(b't="e"', b"t='e'", b'value-type="error"', b"value-type='error'"),
    *(b"<f>", b"<f ", b"<f/", b":f>", b":f ", b":f/", b"table:formula="),
)
"""What a cell with a formula, or with one that failed, has in xlsx and ods."""


class Archive(NamedTuple):
    """An archive that has passed every check."""

    content: BinaryIO
    parts: dict[str, zipfile.ZipInfo]
    marked: frozenset[str]
    """Parts that hold one of `FORMULA_MARKS`."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """The part called ``name``, inflated."""
        return _inflated(self.content, self.parts[name])


_DAMAGED = "The file is damaged or was cut short: send it again whole."
XML_WORDS = XmlWords(
    what="a part of the spreadsheet",
    broken=_DAMAGED,
    doctype="No spreadsheet program writes one: ask where it came from.",
)


def _damaged() -> RejectedInput:
    return Unreadable("the spreadsheet's archive is broken", cure=_DAMAGED)


def check_archive(content: BinaryIO) -> Archive:
    """The archive in ``content``, every part looked at. Raises `Unreadable` or `TooLarge`."""
    parts = _directory(content)
    marked = frozenset(name for name, part in parts.items() if _look(content, part))
    return Archive(content, parts, marked)


def _directory(content: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    size = content.seek(0, 2)
    try:
        with zipfile.ZipFile(content) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, OverflowError, NotImplementedError, EOFError, OSError):
        raise _damaged() from None
    if len(listed) > SHEET_PARTS_MOST:
        raise TooLarge(f"the spreadsheet has more than {SHEET_PARTS_MOST:,} parts")
    parts = {part.filename: part for part in listed}
    if len(parts) < len(listed) or sum(part.compress_size for part in listed) > size:
        raise Unreadable("the spreadsheet's archive has parts that overlap", cure=_DAMAGED)
    for part in listed:
        _refuse_at_sight(part)
    if sum(part.file_size for part in listed) > SHEET_INFLATED_MOST:
        raise _bomb()
    return parts


def _refuse_at_sight(part: zipfile.ZipInfo) -> None:
    if part.flag_bits & _ENCRYPTED:
        raise Unreadable(
            "the spreadsheet is encrypted", cure="Send it without a password, through a door that is encrypted itself."
        )
    if part.compress_type not in _METHODS:
        raise _damaged()
    if part.file_size > MIB and part.file_size > part.compress_size * SHEET_RATIO_MOST:
        raise _bomb()


def _bomb() -> RejectedInput:
    return TooLarge("the spreadsheet inflates to more than its size allows", cure="Send fewer rows in one file, or CSV.")


def _look(content: BinaryIO, part: zipfile.ZipInfo) -> bool:
    """Inflate ``part``, and parse it when it is XML; whether it holds one of `FORMULA_MARKS`."""
    xml = SafeXml(XML_WORDS) if part.filename.lower().endswith(_XML) else None
    marked, before = False, b""
    for piece in _inflated(content, part):
        if xml:
            xml.read(piece)
            marked = marked or any(mark in before + piece for mark in FORMULA_MARKS)
            before = piece[-20:]
    if xml:
        xml.read(b"", last=True)
    return marked


def _inflated(content: BinaryIO, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of ``part``. Raises `Unreadable` when they are not as many, or not those, that the directory says."""
    _seek(content, part)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if part.compress_type == zipfile.ZIP_DEFLATED else None
    left, size, check = part.compress_size, 0, 0
    while not (inflate and inflate.eof):
        raw = inflate.unconsumed_tail if inflate else b""
        if not raw:
            if not left:
                break
            raw = content.read(min(left, PIECE_BYTES))
            left -= len(raw) or left
        try:
            piece = inflate.decompress(raw, PIECE_BYTES) if inflate else raw
        except zlib.error:
            raise _damaged() from None
        size += len(piece)
        check = zlib.crc32(piece, check)
        if size > part.file_size:
            raise _bomb()
        yield piece
    if size != part.file_size or check != part.CRC or (inflate and not inflate.eof and part.compress_size):
        raise _damaged()


def _seek(content: BinaryIO, part: zipfile.ZipInfo) -> None:
    """Put ``content`` at the data of ``part``, which follows a header of its own."""
    content.seek(part.header_offset)
    header = content.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise _damaged()
    _, name, extra = _LOCAL_HEADER.unpack(header)
    content.seek(name + extra, 1)
