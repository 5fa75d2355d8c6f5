"""Spreadsheets (xlsx, xls, ods), as tables of texts: a cell is what it shows, a formula its last result.

The first row that holds anything is the header. For a workbook with several filled sheets the mapping must name one, as the
others would otherwise be lost silently.

Source: ECMA-376 part 1; [MS-XLS]; ODF 1.3.
"""

from __future__ import annotations

import csv
import io
import subprocess  # nosec B404
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from adapters.tabular.readers.archive import Archive, check_archive
from adapters.tabular.readers.failed import NOT_AVAILABLE, Cells, failed_cells, refuse_failed
from adapters.tabular.rows.columns import Columns, cells_of, columns, refuse_unnamed, unnamed
from adapters.tabular.rows.layout import Layout, Row, Rows
from adapters.tabular.rows.limits import (
    CELL_CHARACTERS_MOST,
    ROW_CHARACTERS_MOST,
    SHEET_BYTES_MOST,
    SHEET_CELLS_MOST,
    SHEET_MEMORY_MOST,
    SHEET_ROWS_FULL,
    SHEET_SECONDS_MOST,
)
from schemas.errors import RejectedInput, TooLarge, Unreadable

ZIP = b"PK\x03\x04"
"""How xlsx and ods begin."""
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How xls begins, and an encrypted xlsx ([MS-CFB] §2.2)."""
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
"""Name of the stream that an encrypted xlsx consists of ([MS-OFFCRYPTO] §2.3.4.4)."""
_OPENER = Path(__file__).with_name("open_sheet.py")

_DAMAGED = Unreadable(
    "the spreadsheet is damaged, or spread over more cells than can be held", cure="Save it anew, or send it as CSV."
)
_REFUSALS: dict[str, RejectedInput] = {
    "encrypted": Unreadable(
        "the spreadsheet is encrypted", cure="Send it without a password, through a door that is encrypted itself."
    ),
    "damaged": _DAMAGED,
    "no such sheet": Unreadable(
        "the workbook has no sheet of the name the mapping gives", cure="Mend `sheet` in the mapping, or the workbook."
    ),
    "several sheets": Unreadable(
        "the workbook has more than one filled sheet",
        cure="Name the one to read in the mapping (`sheet: …`), or hide or delete the others.",
    ),
    "empty": Unreadable("the workbook is empty", cure="Check how the file was made and sent, then send it again whole."),
    "full": TooLarge(
        "the sheet is full to the last row of its format, so what came after it is lost",
        cure="Send it as CSV, or in several sheets.",
    ),
    "too many cells": TooLarge(
        f"the sheet has more than {SHEET_CELLS_MOST:,} cells", cure="Send it as CSV, which has no such limit."
    ),
    "too much text": TooLarge("the sheet holds too much text", cure="Send it as CSV, which has no such limit."),
}


class _Sheet(NamedTuple):
    """A sheet that was opened."""

    name: str
    column: int
    """Of the first column used, from 0."""
    lines: bytes
    """Each row as a line of JSON."""


def is_sheet(start: bytes) -> bool:
    """Whether content that starts like this is a spreadsheet."""
    return start.startswith((ZIP, COMPOUND))


def read_sheet(content: BinaryIO, layout: Layout) -> Rows:
    """The rows of ``content``. Raises `Unreadable` or `TooLarge` before the first when the whole is refused."""
    if content.seek(0, 2) > SHEET_BYTES_MOST:
        raise TooLarge(
            f"the spreadsheet has more than {SHEET_BYTES_MOST:,} bytes", cure="Send it as CSV, which has no such limit."
        )
    content.seek(0)
    archive = check_archive(content) if content.read(4) == ZIP else None
    content.seek(0)
    whole = content.read()
    if archive is None and _ENCRYPTED_PACKAGE in whole:
        raise _again(_REFUSALS["encrypted"])
    sheet = _open(whole, layout.sheet, SHEET_ROWS_FULL[_format(archive)])
    return _table(sheet, failed_cells(archive, sheet.name) if archive else set(), layout)


def _format(archive: Archive | None) -> str:
    if archive is None:
        return "xls"
    return "ods" if "content.xml" in archive.parts else "xlsx"


def _again(refusal: RejectedInput) -> RejectedInput:
    """A new one of the same words: an exception that is raised keeps what raised it."""
    return type(refusal)(refusal.message, cure=refusal.cure)


def _open(whole: bytes, sheet: str, full: int) -> _Sheet:
    asked = {
        "sheet": sheet,
        "full": full,
        "memory": SHEET_MEMORY_MOST,
        "seconds": SHEET_SECONDS_MOST,
        "cells": SHEET_CELLS_MOST,
    }
    try:
        # This package's own program, by its full path, without a shell; no word of the arguments comes from outside.
        done = subprocess.run(  # noqa: S603  # nosec B603
            [sys.executable, "-I", str(_OPENER)],
            input=orjson.dumps(asked) + b"\n" + whole,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SHEET_SECONDS_MOST * 2,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _again(_DAMAGED) from None
    answer, _, lines = done.stdout.partition(b"\n")
    if done.returncode or not answer:
        raise _again(_DAMAGED)
    found: dict[str, Any] = orjson.loads(answer)
    if "refused" in found:
        raise _again(_REFUSALS[found["refused"]])
    return _Sheet(found["sheet"], found["column"], lines)


def _table(sheet: _Sheet, failed: Cells, layout: Layout) -> Rows:
    rows = ((text.at, text.row) for text in _texts(sheet, failed) if any(map(str.strip, text.row)))
    number, header = next(rows, (0, []))
    found = columns(header, layout, f"row {number}")
    nameless = unnamed(found.names)
    filled = False
    for at, row in rows:
        filled = True
        for place in nameless:
            if row[place].strip():
                raise refuse_unnamed(place, f"row {at}")
    if not filled:
        raise Unreadable("the sheet has a header row and nothing under it", cure="Check how it was made, then send it again.")
    return _rows(_texts(sheet, failed), number, header, found, layout)


class _Text(NamedTuple):
    """One row of a sheet, as texts."""

    at: int
    """Its number as the spreadsheet shows it."""
    row: list[str]
    size: int
    """Bytes of the line it was read from."""


def _texts(sheet: _Sheet, failed: Cells) -> Iterator[_Text]:
    """Every row; a cell without a result is `NOT_AVAILABLE`, also in rows that hold nothing else."""
    lacking: defaultdict[int, list[int]] = defaultdict(list)
    for failed_row, column in failed:
        lacking[failed_row + 1].append(column - sheet.column)
    at, width = 0, 0
    for at, line in enumerate(io.BytesIO(sheet.lines), 1):
        row: list[str] = orjson.loads(line)
        width = len(row)
        yield _Text(at, _marked(row, lacking.get(at, ())), len(line))
    for late in sorted(number for number in lacking if number > at):
        yield _Text(late, _marked([""] * width, lacking[late]), 0)


def _marked(row: list[str], lacking: Iterable[int]) -> list[str]:
    """A cell beyond the last column that holds anything has no name, and is read by nobody."""
    for place in lacking:
        if 0 <= place < len(row):
            row[place] = NOT_AVAILABLE
    return row


def _rows(texts: Iterator[_Text], header_at: int, header: Sequence[str], found: Columns, layout: Layout) -> Rows:
    for at, row, size in texts:
        if at <= header_at:
            continue
        where = f"row {at}"
        fault = _too_long(size, row, where)
        cells = {} if fault else cells_of(found, row)
        fault = fault or refuse_failed(cells, where)
        blank = not cells and not fault and not any(map(str.strip, row))
        yield Row(where, cells, blank, partial(as_csv, header, row, layout.delimiter), fault)


def _too_long(size: int, row: Sequence[str], where: str) -> RejectedInput | None:
    """What would be too long in a text file is too long here: a rejected row is kept as one."""
    if size <= CELL_CHARACTERS_MOST:
        return None
    lengths = [len(cell) for cell in row]
    if max(lengths) > CELL_CHARACTERS_MOST or sum(lengths) * 2 > ROW_CHARACTERS_MOST:
        return TooLarge("a cell, or the row, is too long", where=where)
    return None


def as_csv(header: Sequence[str], row: Sequence[str], delimiter: str) -> bytes:
    """Header and row as CSV, which reads as the same row."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter or ",").writerows((header, row))
    return text.getvalue().encode()
