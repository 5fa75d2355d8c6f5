"""Finds the cells of a spreadsheet whose formula failed (``#N/A``, ``#REF!``).

What opens the sheet gives them as blank, and a blank cell is no statement: a date that could not be calculated would be left
out of the event without a word.

Source: ECMA-376 part 1 §18.3.1.4 (``c``, type ``e``), §18.2.19 (``sheet``); ODF 1.3 part 3 §9.1 and LibreOffice's ``calcext``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from adapters.tabular.archive import Archive, xml_parser
from schemas.errors import TooLarge

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


Start = Callable[[str, dict[str, str]], None]


def _parse(archive: Archive, part: str, start: Start, end: Callable[[str], None] | None = None) -> None:
    if part not in archive.parts:
        return
    parser = xml_parser()
    parser.StartElementHandler = start
    if end:
        parser.EndElementHandler = end
    for piece in archive.pieces(part):
        parser.Parse(piece, False)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _add(cells: Cells, row: int, column: int) -> None:
    cells.add((row, column))
    if len(cells) > FAILED_MOST:
        raise TooLarge(
            f"the sheet has more than {FAILED_MOST:,} cells whose formula failed", cure="Mend the formula in the sheet."
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


def _in_xlsx(archive: Archive, part: str) -> Cells:
    cells: Cells = set()

    def start(name: str, attributes: dict[str, str]) -> None:
        if attributes.get("t") == "e" and _local(name) == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            row = attributes.get("r", "")[len(letters) :]
            if letters and row:
                _add(cells, int(row) - 1, column_of(letters))

    _parse(archive, part, start)
    return cells


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
            if self._here and "error" in (attributes.get("calcext:value-type"), attributes.get("office:value-type")):
                self._mark(min(times, FAILED_MOST))
            self._column += times

    def _mark(self, times: int) -> None:
        for row in range(self._row, self._row + min(self._rows, FAILED_MOST)):
            for column in range(self._column, self._column + times):
                _add(self.cells, row, column)

    def end(self, name: str) -> None:
        if _local(name) == "table-row":
            self._row += self._rows


def _times(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 1


def _in_ods(archive: Archive, sheet: str) -> Cells:
    tables = _Tables(sheet)
    _parse(archive, "content.xml", tables.start, tables.end)
    return tables.cells
