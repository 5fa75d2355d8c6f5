"""CSV, whatever its delimiter and encoding, row by row in flat memory.

The file is walked twice: first to see that it is whole (so that nothing is taken in part), then to give out its rows. A row
that cannot be split into its columns is a fault of that row; a file that ends within one was cut short, and is refused.

Source: RFC 4180 §2; a spreadsheet's CSV as Excel writes it (semicolons, BOM, cp1252).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from adapters.tabular.readers.encoding import encoded, encoding_of
from adapters.tabular.readers.failed import refuse_failed
from adapters.tabular.readers.text import QUOTE, CsvReader, Text, lines
from adapters.tabular.readers.whole import skim, walk
from adapters.tabular.rows.columns import Columns, cells_of, columns, name_of
from adapters.tabular.rows.layout import Layout, Row, Rows
from adapters.tabular.rows.limits import CELL_CHARACTERS_MOST, COLUMNS_MOST, ROW_CHARACTERS_MOST
from schemas.errors import InvalidValue, RejectedInput, TooLarge, Unreadable

DELIMITERS = (",", ";", "\t", "|", "^", "~")
"""What is tried, in this order."""
SAMPLE_CHARACTERS = 20_000
"""What a delimiter is found from: clevercsv takes half a second for ten times as many."""


_SURVEYED_MOST = 2 * ROW_CHARACTERS_MOST
"""Of a row in a file that was surveyed, where one a little over the limit may pass: none may stop the reading then."""


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
    try:
        return _rows(content, survey(content, encoding, delimiter, layout))
    except Unreadable:
        other = _other_format(sample(content, encoding))
        if not other:
            raise
        raise Unreadable(f"this looks like {other.name}, and the mapping reads a table", cure=other.cure) from None


class _Other(NamedTuple):
    """A format that is no table."""

    name: str
    begins: re.Pattern[str]
    cure: str = "Send the table, or correct `reads` of the [[source]] in backbone.toml."


_OTHERS = (
    _Other(
        "JSON", re.compile(r"(?:\[\s*)?\{\s*(?:\"|\}|\Z)"), "Send a table, or write `reads: json` (or `ndjson`) in the mapping."
    ),
    _Other("an HL7 v2 message", re.compile(r"MSH\W")),
    _Other("XML", re.compile(r"<[?!a-zA-Z]")),
    _Other(
        "a form",
        re.compile(r"[^\r\n=&]+=[^\r\n&]*(?:&[^\r\n=&]+=[^\r\n&]*)*[\r\n]*\Z"),
        "Send a table, or write `reads: form` in the mapping.",
    ),
)
"""What people send in place of a table. A form comes last: what has an equals sign can be many things."""


def _other_format(start: str) -> _Other | None:
    begun = start.lstrip()
    return next((other for other in _OTHERS if other.begins.match(begun)), None)


def sample(content: BinaryIO, encoding: str) -> str:
    """The first characters of ``content``, which is left at its start."""
    with Text(content, encoding) as text:
        return _SPREADSHEETS_LINE.sub("", text.read(SAMPLE_CHARACTERS).lstrip("\ufeff"), count=1)


_SPREADSHEETS_LINE = re.compile(r"\Asep=[^\r\n]?(?:\r\n|\r|\n)", re.IGNORECASE)
"""What some exports write before the header, for spreadsheets: the delimiter, which shows in the header itself."""


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


def survey(content: BinaryIO, encoding: str, delimiter: str, layout: Layout) -> Table:
    """The table in ``content``, once it has been seen to be whole.

    Raises `Unreadable` when there is no row, the header has faults or the end is missing; `TooLarge`.
    """
    with Text(content, encoding) as text:
        taken: list[str] = []
        header, line = _header(_reader(text, taken, delimiter), taken)
        found = columns(header, layout, f"line {line}")
        table = Table(encoding, delimiter, "".join(taken).lstrip("\ufeff"), found)
        if "" not in found.names and skim(text, delimiter, found):
            return table
    with Text(content, encoding) as text:
        taken = []
        reader = _reader(text, taken, delimiter)
        _header(reader, taken)
        walk(reader, taken, found)
        return table


def _reader(text: io.TextIOWrapper, taken: list[str], delimiter: str, most: int = ROW_CHARACTERS_MOST) -> CsvReader:
    return csv.reader(lines(text, taken, most), delimiter=delimiter, strict=True)


def _header(reader: CsvReader, taken: list[str]) -> tuple[list[str], int]:
    """The first row that holds anything but the spreadsheet's line, and the line it stands on."""
    line = 1
    try:
        for row in reader:
            if any(cell.strip("\ufeff \t\xa0") for cell in row) and not _SPREADSHEETS_LINE.match(
                "".join(taken).lstrip("\ufeff")
            ):
                row[0] = row[0].lstrip("\ufeff")
                return row, line
            taken.clear()
            line = reader.line_num + 1
    except csv.Error:
        raise Unreadable("the header row cannot be split into columns", where=f"line {line}", cure=QUOTE) from None
    raise Unreadable("the file is empty", cure="Check how the file was made and sent, then send it again whole.")


def _rows(content: BinaryIO, table: Table) -> Rows:
    columns = table.columns
    width = len(columns.names)
    with Text(content, table.encoding) as text:
        taken: list[str] = []
        reader = _reader(text, taken, table.delimiter, _SURVEYED_MOST)
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
            if cells and '="' in raw:
                cells = _shown(cells)
            if cells and "#" in raw:
                fault = refuse_failed(cells, f"line {line}")
            blank = not cells and not fault and not any(map(str.strip, row))
            yield Row(f"line {line}", cells, blank, partial(_content, table, raw), fault)


_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')


def _shown(cells: dict[str, Any]) -> dict[str, Any]:
    """``cells`` with ``="00123"`` as spreadsheets show it: how exports keep them from taking the zeros away."""
    read = {
        name: found[1].replace('""', '"').strip() if (found := _TEXT_FORMULA.fullmatch(cell)) else cell
        for name, cell in cells.items()
    }
    return {name: cell for name, cell in read.items() if cell}


_RAGGED = "A cell that holds the delimiter or a line end stands in quotation marks: correct the row, then send it again."


def _unsplit(wrong: str, line: int) -> RejectedInput:
    if "field larger" in wrong:
        cure = "Shorten it. When it runs on over many rows, a quotation mark is missing: correct it, then send the file again."
        return TooLarge(f"a cell has more than {CELL_CHARACTERS_MOST:,} characters", where=f"line {line}", cure=cure)
    return Unreadable(
        "a quotation mark is out of place, so the row cannot be split",
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
    return InvalidValue(f"the row has {len(row):,} cells and the header {width:,}", where=f"line {line}", cure=_RAGGED), row


def _content(table: Table, raw: str) -> bytes:
    """Header and row, each with a line end: alone, a row that had none would look cut short."""
    return encoded(
        "".join(part if part.endswith(("\n", "\r")) else part + "\n" for part in (table.header, raw)), table.encoding
    )
