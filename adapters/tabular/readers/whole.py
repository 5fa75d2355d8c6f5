"""Whether a CSV file is whole, before a row of it is taken.

When every quotation mark of a file opens or closes a cell, the end of the file can be judged without splitting it into cells;
splitting, which any other file needs, takes eight times as long.

Source: RFC 4180 §2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from adapters.tabular.readers.text import QUOTE, CsvReader, too_long
from adapters.tabular.rows.columns import Columns, refuse_unnamed, unnamed
from adapters.tabular.rows.limits import ROW_CHARACTERS_MOST, ROWS_MOST
from schemas.errors import TooLarge, Unreadable

_BLOCK_CHARACTERS = 256 * 1024
"""Looked at together: some five hundred rows."""
_CUT = "The file was cut short: send it again whole."
_ENDS = ("\n", "\r")


def skim(text: io.TextIOWrapper, delimiter: str, found: Columns) -> bool:
    """Go through what is left of ``text`` without splitting it; false when only `walk` can tell how it ends.

    Raises `Unreadable` when there is no row, or the last is cut short; `TooLarge`.
    """
    around = {"", delimiter, *_ENDS}
    rows, last = 0, ""
    while block := text.read(_BLOCK_CHARACTERS):
        rest = text.readline(ROW_CHARACTERS_MOST + 1)
        if len(block) - max(map(block.rfind, _ENDS)) + len(rest) > ROW_CHARACTERS_MOST:
            raise too_long()
        last = block + rest
        rows += last.count("\n") or last.count("\r") or 1
        if '"' in last and not _is_well_quoted(last.split('"'), around):
            return False
    cells = 0
    if not last.endswith(_ENDS):
        for row in csv.reader(io.StringIO(last, newline=""), delimiter=delimiter):
            cells = len(row)
    _judge(rows, short=cells < found.least, last=last)
    return True


def _is_well_quoted(parts: Sequence[str], around: set[str]) -> bool:
    """Whether every quotation mark between these parts opens or closes a cell, or is one of two within a cell.

    What stands outside of cells in quotes then begins and ends where a cell does, and nothing stands between doubled marks.
    """
    outside = parts[0::2]
    return (
        len(parts) % 2 == 1 and {part[:1] for part in outside[1:]} <= around and {part[-1:] for part in outside[:-1]} <= around
    )


def walk(reader: CsvReader, taken: list[str], found: Columns) -> None:
    """Go through all rows that ``reader`` has left, whose lines are in ``taken``. Raises `Unreadable` or `TooLarge`."""
    nameless = unnamed(found.names)
    rows, cells, last = 0, 0, ""
    taken.clear()
    while True:
        try:
            for row in reader:
                rows += 1
                cells = len(row)
                last = taken[-1]
                taken.clear()
                if nameless:
                    _refuse_values(row, nameless, reader.line_num)
        except csv.Error as wrong:
            if "unexpected end" in str(wrong):
                raise Unreadable("the file ends within a quoted cell", cure=_CUT) from None
            if "field larger" in str(wrong) and len(taken) > 1:
                raise TooLarge("a quoted cell runs on over many lines", cure=QUOTE) from None
            rows, cells, last = rows + 1, found.least, taken[-1]
            taken.clear()
        else:
            break
    _judge(rows, short=cells < found.least, last=last)


def _refuse_values(row: Sequence[str], nameless: Sequence[int], line: int) -> None:
    for place in nameless:
        if place < len(row) and row[place].strip():
            raise refuse_unnamed(place, f"line {line}")


def _judge(rows: int, *, short: bool, last: str) -> None:
    """A last line without a line end is a row like any other (RFC 4180 §2 rule 2), unless it lacks cells."""
    if rows == 0:
        raise Unreadable(
            "the file has a header row and nothing under it", cure="Check the query that made it, then send it again."
        )
    if rows > ROWS_MOST:
        raise TooLarge(f"the file has more than {ROWS_MOST:,} rows")
    if short and not last.endswith(_ENDS) and last.rpartition("\n")[2].strip():
        raise Unreadable("the file ends within its last row", cure=_CUT)
