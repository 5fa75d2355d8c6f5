"""Finds the cells of a spreadsheet whose formula has no result: it failed (``#N/A``, ``#REF!``), or was never calculated.

The library that opens the sheet returns them as blank, and a blank cell states nothing: a date that could not be calculated
would silently be left out of the event. Programs other than spreadsheets often write formulas without results.

In a table of text, where a spreadsheet wrote it, and where a rejected row is kept, such a cell is one of `FAILURES`.

Source: ECMA-376 part 1 §18.3.1.4 (``c``: type ``e``, ``f`` and ``v``), §18.2.19 (``sheet``), §18.17.3 (error values); ODF 1.3
part 3 §9.1 (``table:formula``, ``office:value-type``) and LibreOffice's ``calcext``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from adapters.tabular.readers.archive import XML_WORDS, Archive
from adapters.tabular.rows.layout import named
from adapters.xml import SafeXml
from schemas.errors import InvalidValue, TooLarge

NOT_AVAILABLE = "#N/A"
"""How a cell without a result is kept."""
FAILURES = frozenset(
    {NOT_AVAILABLE, "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
"""What spreadsheets show, and write into CSV, in place of a result."""
FAILED_MOST = 100_000
"""Cells named at most: a sheet with more is not data but a broken formula pulled down."""

Cells = set[tuple[int, int]]
"""Rows and columns, both from 0."""


def failed_cells(archive: Archive, sheet: str) -> Cells:
    """The failed cells of the sheet called ``sheet``. Raises `TooLarge`."""
    if not archive.marked:
        return set()
    if "content.xml" in archive.parts:
        return _in_ods(archive, sheet)
    part = _part_of(archive, sheet)
    return _in_xlsx(archive, part) if part in archive.marked else set()


def refuse_failed(cells: Mapping[str, Any], where: str) -> InvalidValue | None:
    """The fault of the row at ``where`` when one of its ``cells`` holds no result."""
    columns = [name for name, cell in cells.items() if cell in FAILURES]
    if not columns:
        return None
    return InvalidValue(
        "a formula failed or was never calculated, so that the cell holds no value",
        where=f"{where}, {named(columns)}",
        cure="Open it in a spreadsheet program, mend the formula, save it and send it again.",
    )


Start = Callable[[str, dict[str, str]], None]


def _parse(
    archive: Archive,
    part: str,
    start: Start,
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    if part not in archive.parts:
        return
    xml = SafeXml(XML_WORDS, start, end, text)
    for piece in archive.pieces(part):
        xml.read(piece)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _add(cells: Cells, row: int, column: int) -> None:
    cells.add((row, column))
    if len(cells) > FAILED_MOST:
        raise TooLarge(
            f"the sheet has more than {FAILED_MOST:,} cells whose formula has no result", cure="Mend the formula in the sheet."
        )


def _part_of(archive: Archive, sheet: str) -> str:
    """The part that holds the sheet, by way of the workbook and its relationships."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def workbook(name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "sheet":
            ids[attributes.get("name", "")] = next((value for key, value in attributes.items() if _local(key) == "id"), "")

    def relationships(name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    _parse(archive, "xl/workbook.xml", workbook)
    _parse(archive, "xl/_rels/workbook.xml.rels", relationships)
    target = targets.get(ids.get(sheet, ""), "")
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))


class _Formulas:
    """Follows the cells of an xlsx sheet. One of type ``str`` has a result, if an empty one."""

    def __init__(self) -> None:
        self.cells: Cells = set()
        self._reference = self._type = ""
        self._formula = self._value = self._in_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = _local(name)
        if kind == "c":
            self._reference, self._type = attributes.get("r", ""), attributes.get("t", "")
            self._formula = self._value = False
        elif kind == "f":
            self._formula = True
        elif kind == "v":
            self._in_value = True

    def text(self, _: str) -> None:
        self._value = self._value or self._in_value

    def end(self, name: str) -> None:
        kind = _local(name)
        if kind == "v":
            self._in_value = False
        elif kind == "c" and (self._type == "e" or (self._formula and not self._value and self._type != "str")):
            letters = self._reference.rstrip("0123456789")
            row = self._reference[len(letters) :]
            if letters and row:
                _add(self.cells, int(row) - 1, column_of(letters))


def _in_xlsx(archive: Archive, part: str) -> Cells:
    formulas = _Formulas()
    _parse(archive, part, formulas.start, formulas.end, formulas.text)
    return formulas.cells


def column_of(letters: str) -> int:
    """``A`` is 0, ``AA`` is 26."""
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


class _Tables:
    """Follows rows and columns of an ods sheet, in which both may be repeated."""

    def __init__(self, sheet: str) -> None:
        self.cells: Cells = set()
        self._sheet = sheet
        self._here = False
        self._row = self._column = 0
        self._rows = 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = _local(name)
        if kind == "table":
            self._here = attributes.get("table:name") == self._sheet
            self._row = 0
        elif kind == "table-row":
            self._rows = _times(attributes.get("table:number-rows-repeated"))
            self._column = 0
        elif kind in ("table-cell", "covered-table-cell"):
            times = _times(attributes.get("table:number-columns-repeated"))
            if self._here and _lacks_result(attributes):
                self._mark(min(times, FAILED_MOST))
            self._column += times

    def _mark(self, times: int) -> None:
        for row in range(self._row, self._row + min(self._rows, FAILED_MOST)):
            for column in range(self._column, self._column + times):
                _add(self.cells, row, column)

    def end(self, name: str) -> None:
        if _local(name) == "table-row":
            self._row += self._rows


def _lacks_result(attributes: dict[str, str]) -> bool:
    """A cell of an ods sheet that failed, or has a formula and no value."""
    kinds = attributes.get("calcext:value-type"), attributes.get("office:value-type")
    return "error" in kinds or ("table:formula" in attributes and not any(kinds))


def _times(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 1


def _in_ods(archive: Archive, sheet: str) -> Cells:
    tables = _Tables(sheet)
    _parse(archive, "content.xml", tables.start, tables.end)
    return tables.cells
