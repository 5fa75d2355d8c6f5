"""Spreadsheets: what a cell is, what is a fault of one row, and what is refused before anything opens it."""

from __future__ import annotations

import datetime
import io
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from adapters.tabular.readers.read import read
from adapters.tabular.rows.layout import Layout
from adapters.tabular.rows.limits import SHEET_PARTS_MOST
from schemas.errors import RejectedInput
from tests.tabular_rows import HEADER, ROW, SERVICES, items_of, one_event, refusal

ROOT = Path(__file__).parents[2]
NAMES = HEADER.strip().split(",")
DAY = datetime.date(2026, 2, 3)
CELLS = ["1001", "9990000018", "Service", "Meals", DAY]
Rows = Sequence[Sequence[Any]]


def xlsx(rows: Rows, prepare: Callable[[openpyxl.Workbook], None] = lambda book: None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    prepare(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def xls(rows: Rows) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet")
    dated = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    for at, row in enumerate(rows):
        for place, cell in enumerate(row):
            if cell is not None:
                sheet.write(at, place, cell, *([dated] if isinstance(cell, datetime.date) else []))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def ods(rows: Rows) -> bytes:
    book = OpenDocumentSpreadsheet()
    table = Table(name="Sheet")
    for row in rows:
        line = TableRow()
        for cell in row:
            line.addElement(_ods_cell(cell))
        table.addElement(line)
    book.spreadsheet.addElement(table)
    file = io.BytesIO()
    book.write(file)
    return file.getvalue()


def _ods_cell(cell: Any) -> TableCell:
    if isinstance(cell, datetime.date):
        return TableCell(valuetype="date", datevalue=cell.isoformat())
    if isinstance(cell, int | float):
        return TableCell(valuetype="float", value=str(cell))
    if isinstance(cell, str) and cell.startswith("="):
        return TableCell(formula=f"of:{cell}")
    made = TableCell(valuetype="string") if cell else TableCell()
    if cell:
        made.addElement(P(text=cell))
    return made


WRITERS: dict[str, Callable[[Rows], bytes]] = {"xlsx": xlsx, "xls": xls, "ods": ods}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_row_of_a_sheet_is_the_event_that_the_row_is_as_csv(write: Callable[[Rows], bytes]) -> None:
    as_csv = one_event(HEADER + ROW.replace("03/02/2026", "2026-02-03"))
    assert one_event(write([NAMES, CELLS])) == as_csv
    numbers = [1001, 9990000018, "Service", "Meals", DAY]
    assert one_event(write([NAMES, numbers])).id == as_csv.id


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_row_is_named_by_its_number_in_the_sheet_and_blank_ones_say_nothing(write: Callable[[Rows], bytes]) -> None:
    blank = [None] * 5
    items = items_of(write([blank, NAMES, CELLS, blank, [*CELLS[:4], "31/02/2026"], CELLS]))
    assert [item.position for item in items] == ["row 3", "row 4", "row 5", "row 6"]
    assert [len(item.events) for item in items] == [1, 0, 0, 1]
    assert items[2].rejection is not None
    assert items[2].rejection.error.where == 'row 5, column "Event Start Date"'


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("reads", ["csv", "xlsx"])
def test_a_rejected_row_is_kept_as_csv_that_makes_the_same_events_once_mended(
    write: Callable[[Rows], bytes], reads: str
) -> None:
    row = ["1001", "9990000018", "Servis", 'Me"a\nls; =1+1', DAY]
    mapping = SERVICES.replace("reads: csv", f"reads: {reads}\nunmatched: reject")
    content = write([NAMES, CELLS, row])
    rejection = items_of(content, mapping)[1].rejection
    assert rejection is not None and rejection.error.code == "invalid-value"
    mended = mapping.replace('"Service"', '"Servis"').replace("unmatched: reject", "unmatched: ignore")
    (again,) = items_of(rejection.content, mended)
    assert [event.id for event in again.events] == [event.id for event in items_of(content, mended)[1].events] != []


def _cells_of(content: bytes, sheet: str = "") -> list[dict[str, str]]:
    return [row.cells for row in read(io.BytesIO(content), Layout("xlsx", (), None, sheet=sheet)) if not row.blank]


def test_a_cell_is_the_text_that_it_shows() -> None:
    shown = {
        "text": ("=not a formula", "=not a formula"),
        "zeros": ("0012", "0012"),
        "whole": (1234567890123, "1234567890123"),
        "part": (0.5, "0.5"),
        "truth": (True, "true"),
        "day": (DAY, "2026-02-03"),
        "moment": (datetime.datetime(2026, 2, 3, 10, 15, 30), "2026-02-03T10:15:30"),
        "time": (datetime.time(10, 30), "10:30"),
        "hours": (datetime.timedelta(hours=30), "30:00"),
        "formula": ("=1+1", "#N/A"),
    }

    def prepare(book: openpyxl.Workbook) -> None:
        book.active["A2"].data_type = "s"

    (cells,) = _cells_of(xlsx([list(shown), [value for value, _ in shown.values()]], prepare))
    assert cells == {name: text for name, (_, text) in shown.items()}


def test_of_a_formula_its_last_result_counts() -> None:
    content = _with_part(xlsx([NAMES, [*CELLS[:3], "=1", DAY]]), b"<f>1</f><v />", b"<f>1</f><v>Meals</v>")
    content = _with_part(content, b'<c r="D2"', b'<c r="D2" t="str"')
    assert one_event(content).id == one_event(HEADER + ROW.replace("03/02/2026", "2026-02-03")).id


def _with_part(content: bytes, old: bytes, new: bytes, name: str = "xl/worksheets/sheet1.xml") -> bytes:
    """The workbook with ``old`` in one of its parts replaced."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        for part in before.infolist():
            held = before.read(part)
            assert part.filename != name or old in held, held
            after.writestr(part.filename, held.replace(old, new) if part.filename == name else held)
    return made.getvalue()


def test_a_formula_that_failed_is_a_fault_of_its_row_only_where_the_mapping_reads_it() -> None:
    def prepare(book: openpyxl.Workbook) -> None:
        for cell in ("E2", "F3"):
            book.active[cell] = "#N/A"
            book.active[cell].data_type = "e"

    failed, other = items_of(xlsx([[*NAMES, "Notes"], [*CELLS, "x"], [*CELLS, "y"]], prepare))
    assert failed.rejection is not None and failed.rejection.error.where == 'row 2, column "Event Start Date"'
    assert "formula" in str(failed.rejection.error) and len(other.events) == 1


@pytest.mark.parametrize("write", [xlsx, ods], ids=["xlsx", "ods"])
def test_a_formula_that_was_never_calculated_is_a_fault_of_its_row_too(write: Callable[[Rows], bytes]) -> None:
    failed, other = items_of(write([NAMES, [*CELLS[:4], "=TODAY()"], CELLS]))
    assert failed.rejection is not None and failed.rejection.error.where == 'row 2, column "Event Start Date"'
    assert "formula" in str(failed.rejection.error) and len(other.events) == 1
    (again,) = items_of(failed.rejection.content)
    assert again.rejection is not None and "formula" in str(again.rejection.error), "it makes no event without its date"


def test_a_formula_may_have_an_empty_result() -> None:
    content = _with_part(xlsx([NAMES, [*CELLS[:3], "=1", DAY]]), b"<f>1</f><v />", b"<f>1</f><v></v>")
    content = _with_part(content, b'<c r="D2"', b'<c r="D2" t="str"')
    assert items_of(content)[0].rejection is None


def test_rows_of_nothing_but_formulas_without_results_are_not_passed_over() -> None:
    formulas = ["=A1", "=B1", "=C1", "=D1", "=E1"]
    items = items_of(xlsx([NAMES, CELLS, formulas, formulas]))
    assert [item.position for item in items if item.rejection] == ["row 3", "row 4"]
    assert [item.position for item in items_of(xlsx([NAMES, formulas])) if item.rejection] == ["row 2"]


def test_a_cell_longer_than_text_may_be_is_a_fault_of_its_row() -> None:
    long, other = items_of(ods([NAMES, [*CELLS[:3], "x" * 140_000, DAY], CELLS]))
    assert long.rejection is not None and long.rejection.error.code == "too-large" and len(other.events) == 1


def test_of_several_filled_sheets_the_mapping_names_one() -> None:
    def prepare(book: openpyxl.Workbook) -> None:
        book.create_sheet("Empty")
        book.create_sheet("Lookups").append(["x"])

    content = xlsx([NAMES, CELLS], prepare)
    assert "more than one filled sheet" in refusal(content)
    assert "no sheet of the name" in refusal(content, SERVICES.replace("reads: csv", "reads: xlsx\nsheet: Nowhere"))
    assert one_event(content, SERVICES.replace("reads: csv", "reads: xlsx\nsheet: Sheet")).type == "service-started-1"


def test_hidden_and_empty_sheets_are_passed_over() -> None:
    def prepare(book: openpyxl.Workbook) -> None:
        book.create_sheet("Empty")
        hidden = book.create_sheet("Lookups")
        hidden.append(["x"])
        hidden.sheet_state = "hidden"

    assert one_event(xlsx([NAMES, CELLS], prepare)).type == "service-started-1"


def test_control_characters_that_no_text_may_hold_are_left_out() -> None:
    content = _with_part(xlsx([["a"], ["one_two"]]), b"one_two", b"one_x0001_two", "xl/sharedStrings.xml")
    (cells,) = _cells_of(content)
    assert "\x01" not in cells["a"]


# refused whole


def test_every_cut_of_every_format_is_refused_whole() -> None:
    chance = random.Random(1)
    for write in WRITERS.values():
        content = write([NAMES, *([CELLS] * 20)])
        for _ in range(4):
            (item,) = items_of(content[: chance.randrange(10, len(content) - 1_000)])
            assert item.rejection is not None and item.rejection.whole


def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def bomb(mebibytes: int, told: int) -> bytes:
    """An archive with one part that inflates to so many MiB, and says that it has ``told`` bytes."""

    def deflated(content: bytes) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)

    part = deflated(b"<a>") + deflated(b" " * (1 << 20)) * mebibytes + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    raw = bytearray(zipped({"xl/worksheets/sheet1.xml": part}, zipfile.ZIP_STORED))
    directory = raw.rindex(b"PK\x01\x02")
    for place in (8, directory + 10):
        struct.pack_into("<H", raw, place, zipfile.ZIP_DEFLATED)
    for place in (22, directory + 24):
        struct.pack_into("<L", raw, place, told)
    return bytes(raw)


@pytest.mark.parametrize("told", [400 << 20, 600 << 20, 4_000_000_000])
def test_a_zip_bomb_is_refused_by_its_directory(told: int) -> None:
    assert "inflates to more than its size allows" in refusal(bomb(1, told))


def test_a_zip_bomb_that_lies_about_its_size_is_refused_when_it_has_inflated_so_far() -> None:
    assert "inflates to more than its size allows" in refusal(bomb(300, 2_000))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("told", [2_000, 200 << 20])
def test_ten_megabytes_that_inflate_to_ten_gigabytes_take_no_memory(told: int) -> None:
    """In a process of its own, whose peak is measured."""
    program = f"""
from pathlib import Path
from tests.adapters.test_tabular_sheet import bomb
from tests.tabular_rows import refusal
content = bomb(10 * 1024, {told})
message = refusal(content)
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(len(content), message, peak.split()[1], sep="|")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    size, message, peak = done.stdout.strip().split("|")
    assert 9_000_000 < int(size) < 12_000_000 and "inflates to more" in message
    assert int(peak) < 300 * 1024, "kilobytes"


DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'


@pytest.mark.parametrize(
    "doctype", [DOCTYPE, EXTERNAL, DOCTYPE.decode().encode("utf-16")], ids=["entities", "external", "utf-16"]
)
@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/_rels/workbook.xml.rels"]
)
def test_a_document_type_in_any_part_is_refused(doctype: bytes, part: str) -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx([NAMES, CELLS]))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert "declares a document type" in refusal(zipped(parts | {part: doctype}))


def test_a_document_type_in_an_ods_is_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(ods([NAMES, CELLS]))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert "declares a document type" in refusal(zipped(parts | {"content.xml": DOCTYPE}))


def _flagged_as_encrypted(content: bytes) -> bytes:
    raw = bytearray(content)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(mark)
        raw[at + flags] |= 1
    return bytes(raw)


def _sparse_xlsx() -> bytes:
    def prepare(book: openpyxl.Workbook) -> None:
        book.active["XFD1048000"] = "x"

    return xlsx([NAMES, CELLS], prepare)


def _full() -> bytes:
    def prepare(book: openpyxl.Workbook) -> None:
        book.active["A1048576"] = "x"

    return xlsx([NAMES, CELLS], prepare)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: xlsx([]), "empty"),
        (lambda: xlsx([NAMES]), "a header row and nothing under it"),
        (lambda: xlsx([[*NAMES, "Person Id"], [*CELLS, "x"]]), "have the same name"),
        (lambda: xlsx([NAMES[:4], CELLS[:4]]), 'a column is missing: "Event Start Date" at row 1'),
        (lambda: xlsx([[*NAMES, None], [*CELLS, "x"]]), "column 6 has values but no name at row 2"),
        (lambda: xlsx([[f"column{place}" for place in range(1_001)], CELLS]), "more than 1,000 columns"),
        (lambda: b"PK\x03\x04" + b"rubbish" * 100, "broken"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"rubbish" * 500, "damaged"),
        (
            lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600),
            "encrypted",
        ),
        (lambda: _flagged_as_encrypted(xlsx([NAMES, CELLS])), "encrypted"),
        (lambda: zipped({f"part{place}": b"" for place in range(SHEET_PARTS_MOST + 1)}), "more than 2,000 parts"),
        (lambda: zipped({"xl/workbook.xml": b"<a><b></a>"}), "not XML"),
        (lambda: zipped({"xl/workbook.xml": b'<?xml version="1.0" encoding="UTF-9"?><a/>'}), "not XML"),
        (lambda: zipped({"xl/workbook.xml": b'<?xml version="1.0" encoding="utf-7"?><a/>'}), "not XML"),
        (lambda: zipped({"some.txt": b"no workbook"}), "damaged"),
        (lambda: zipped({"a": b"x" * 100}, zipfile.ZIP_BZIP2), "broken"),
        (_sparse_xlsx, "more cells than can be held"),
        (_full, "full to the last row"),
        (lambda: xls([["x"], *[[None]] * 65_534, ["x"]]), "full to the last row"),
    ],
    ids=range(19),
)
def test_a_spreadsheet_that_cannot_be_trusted_is_refused_whole(make: Callable[[], bytes], says: str) -> None:
    assert says in refusal(make())


def test_a_part_that_is_not_what_its_checksum_says_is_refused() -> None:
    content = bytearray(zipped({"xl/workbook.xml": b"<a/>"}, zipfile.ZIP_STORED))
    content[content.index(b"<a/>") + 1] = ord("b")
    assert "broken" in refusal(bytes(content))


def test_overlapping_parts_are_refused() -> None:
    content = bytearray(zipped({"a.xml": b"<a/>", "b.xml": b"<a/>"}, zipfile.ZIP_STORED))
    struct.pack_into("<L", content, content.rindex(b"PK\x01\x02") + 20, 2_000_000)
    assert "overlap" in refusal(bytes(content))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(WRITERS)), st.randoms(use_true_random=False))
def test_no_damage_to_a_spreadsheet_raises_anything(kind: str, chance: random.Random) -> None:
    content = bytearray(WRITERS[kind]([NAMES, *([CELLS] * 5)]))
    for _ in range(chance.randrange(1, 20)):
        content[chance.randrange(8, len(content))] = chance.choice([0, 1, 127, 255, chance.randrange(256)])
    for item in items_of(bytes(content)):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)


@given(
    st.binary(max_size=300), st.sampled_from([b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x05\x06" + bytes(18)])
)
@settings(max_examples=30, deadline=None)
def test_no_bytes_raise_anything(content: bytes, start: bytes) -> None:
    for item in items_of(start + content):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)
