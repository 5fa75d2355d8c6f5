"""CSV, whatever its delimiter and encoding, row by row in flat memory.

The file is walked twice: first to see that it is whole (so that nothing is taken in part), then to give out its rows. A row
that cannot be split into its columns is a fault of that row; a file that ends within one was cut short, and is refused.

Source: RFC 4180 §2; a spreadsheet's CSV as Excel writes it (semicolons, BOM, cp1252).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple, Protocol

from adapters.tabular.columns import Columns, cells_of, columns, name_of, refuse_unnamed, unnamed
from adapters.tabular.encoding import encoded, encoding_of
from adapters.tabular.layout import Layout, Row, Rows
from adapters.tabular.limits import COLUMNS_MOST, ROW_CHARACTERS_MOST, ROWS_MOST
from schemas.errors import InvalidValue, RejectedInput, TooLarge, Unreadable

DELIMITERS = (",", ";", "\t", "|", "^", "~")
"""What is tried, in this order."""
SAMPLE_CHARACTERS = 20_000
"""What a delimiter is found from: clevercsv takes half a second for ten times as many."""


class Reader(Protocol):
    """What `csv.reader` makes."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class Table(NamedTuple):
    """A CSV file that was found whole."""

    encoding: str
    delimiter: str
    header: str
    """As it stands in the file, its line end included."""
    columns: Columns


def read_csv(content: BinaryIO, layout: Layout) -> Rows:
    """The rows of ``content``. Raises `Unreadable` or `TooLarge` before the first when the whole is refused."""
    encoding = encoding_of(content)
    delimiter = layout.delimiter or find_delimiter(sample(content, encoding), layout.required)
    return _rows(content, survey(content, encoding, delimiter, layout))


def sample(content: BinaryIO, encoding: str) -> str:
    """The first characters of ``content``, which is left at its start."""
    with _Text(content, encoding) as text:
        return text.read(SAMPLE_CHARACTERS).removeprefix("\ufeff")


def find_delimiter(start: str, required: Sequence[str]) -> str:
    """The delimiter of a file that begins like this: the one that makes the ``required`` columns, else the likeliest."""
    for delimiter in DELIMITERS:
        names = {name_of(cell) for cell in _first_row(start, delimiter)}
        if required and names.issuperset(required):
            return delimiter
    return _likeliest(start)


def _first_row(start: str, delimiter: str) -> Sequence[str]:
    try:
        return next((row for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter) if any(row)), [])
    except csv.Error:
        return []


def _likeliest(start: str) -> str:
    import clevercsv  # 40 ms that a file with the columns it should have never pays

    try:
        dialect = clevercsv.Detector().detect(start, delimiters=list(DELIMITERS))
    except clevercsv.Error:
        return ","
    return dialect.delimiter if dialect and dialect.delimiter in DELIMITERS else ","


def header_of(content: BinaryIO) -> list[str]:
    """The names of the columns of ``content``, whatever they are. Raises `Unreadable`."""
    start = sample(content, encoding_of(content))
    return [name for cell in _first_row(start, find_delimiter(start, ())) if (name := name_of(cell))]


class _Text:
    """A binary file as text with its line ends, for the length of a ``with``; the file is not closed and left at its start."""

    def __init__(self, content: BinaryIO, encoding: str) -> None:
        self._content = content
        content.seek(0)
        self._text = io.TextIOWrapper(content, encoding=encoding, newline="")

    def __enter__(self) -> io.TextIOWrapper:
        return self._text

    def __exit__(self, *_: object) -> None:
        if not self._content.closed:
            self._text.detach()
            self._content.seek(0)


def _lines(text: io.TextIOWrapper, taken: list[str]) -> Iterator[str]:
    """The lines of ``text``, each also put into ``taken``, which the reader of a row empties.

    Raises `TooLarge` when the lines taken for one row are too long together: a quote was opened and never closed.
    """
    length = 0
    while line := text.readline(ROW_CHARACTERS_MOST + 1):
        length = len(line) + (length if taken else 0)
        if length > ROW_CHARACTERS_MOST:
            raise TooLarge(f"a row has more than {ROW_CHARACTERS_MOST:,} characters", cure=_QUOTE)
        taken.append(line)
        yield line


_QUOTE = "Look for a quotation mark that is opened and never closed; nothing was taken in part."


def survey(content: BinaryIO, encoding: str, delimiter: str, layout: Layout) -> Table:
    """The table in ``content``, once it has been seen to be whole.

    Raises `Unreadable` when there is no row, the header has faults or the end is missing; `TooLarge`.
    """
    with _Text(content, encoding) as text:
        taken: list[str] = []
        reader = csv.reader(_lines(text, taken), delimiter=delimiter, strict=True)
        header, line = _header(reader, taken)
        found = columns(header, layout, f"line {line}")
        raw = "".join(taken).removeprefix("\ufeff")
        _walk(reader, taken, found)
        return Table(encoding, delimiter, raw, found)


def _header(reader: Reader, taken: list[str]) -> tuple[list[str], int]:
    """The first row that holds anything, and the line it stands on."""
    line = 1
    try:
        for row in reader:
            if any(cell.strip("\ufeff \t\xa0") for cell in row):
                row[0] = row[0].removeprefix("\ufeff")
                return row, line
            taken.clear()
            line = reader.line_num + 1
    except csv.Error:
        raise Unreadable("the header row cannot be split into columns", where=f"line {line}", cure=_QUOTE) from None
    raise Unreadable("the file is empty", cure="Check how the file was made and sent, then send it again whole.")


def _walk(reader: Reader, taken: list[str], found: Columns) -> None:
    """Go through all rows, to the end of the file."""
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
                raise TooLarge("a quoted cell runs on over many lines", cure=_QUOTE) from None
            rows, cells, last = rows + 1, found.least, taken[-1]
            taken.clear()
        else:
            break
    _check_end(rows, short=cells < found.least, last=last)


def _refuse_values(row: Sequence[str], nameless: Sequence[int], line: int) -> None:
    for place in nameless:
        if place < len(row) and row[place].strip():
            raise refuse_unnamed(place, f"line {line}")


_CUT = "The file was cut short: send it again whole."


def _check_end(rows: int, *, short: bool, last: str) -> None:
    """A last line without a line end is a row like any other (RFC 4180 §2 rule 2), unless it lacks cells."""
    if rows == 0:
        raise Unreadable(
            "the file has a header row and nothing under it", cure="Check the query that made it, then send it again."
        )
    if rows > ROWS_MOST:
        raise TooLarge(f"the file has more than {ROWS_MOST:,} rows")
    if short and last.strip() and not last.endswith(("\n", "\r")):
        raise Unreadable("the file ends within its last row", cure=_CUT)


def _rows(content: BinaryIO, table: Table) -> Rows:
    columns = table.columns
    width = len(columns.names)
    with _Text(content, table.encoding) as text:
        taken: list[str] = []
        reader = csv.reader(_lines(text, taken), delimiter=table.delimiter, strict=True)
        _header(reader, taken)
        taken.clear()
        while True:
            line = reader.line_num + 1
            fault: RejectedInput | None = None
            row: list[str] = []
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as wrong:
                fault = _unsplit(str(wrong), line)
            raw = taken[0] if len(taken) == 1 else "".join(taken)
            taken.clear()
            if not fault and len(row) != width:
                fault, row = _ragged(row, columns, line)
            cells = cells_of(columns, row) if row and not fault else {}
            blank = not cells and not fault and not any(map(str.strip, row))
            yield Row(f"line {line}", cells, blank, partial(_content, table, raw), fault)


def _unsplit(wrong: str, line: int) -> RejectedInput:
    if "field larger" in wrong:
        return TooLarge("a cell is too long", where=f"line {line}")
    return Unreadable(
        "a quotation mark stands where the row cannot be split",
        where=f"line {line}",
        cure="Double it, or quote the whole cell.",
    )


def _ragged(row: list[str], columns: Columns, line: int) -> tuple[RejectedInput | None, list[str]]:
    """A row with more or fewer cells than the header: blank ones too many, or too few under no name, do no harm."""
    width = len(columns.names)
    if not any(map(str.strip, row)):
        return None, []
    if len(row) > COLUMNS_MOST:
        return TooLarge(f"the row has more than {COLUMNS_MOST:,} cells", where=f"line {line}"), row
    if columns.least <= len(row) and not any(map(str.strip, row[width:])):
        return None, row
    return InvalidValue(f"the row has {len(row):,} cells and the header {width:,}", where=f"line {line}"), row


def _content(table: Table, raw: str) -> bytes:
    """Header and row, each with a line end: alone, a row that had none would look cut short."""
    return encoded(
        "".join(part if part.endswith(("\n", "\r")) else part + "\n" for part in (table.header, raw)), table.encoding
    )
