"""CSV: what is read, what is a fault of one row, and what is refused whole."""

from __future__ import annotations

import codecs
import csv
import gc
import io
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.readers.failed import FAILURES
from adapters.tabular.readers.read import read
from adapters.tabular.rows.layout import Layout
from adapters.tabular.rows.limits import CELL_CHARACTERS_MOST, COLUMNS_MOST, ROW_CHARACTERS_MOST
from schemas.errors import RejectedInput
from tests.tabular_rows import HEADER, ROW, SERVICES, items_of, one_event, refusal

ANY = Layout("csv", (), None)


def cells(content: bytes, layout: Layout = ANY) -> list[dict[str, str]]:
    """The cells of the rows of ``content`` that have no fault."""
    return [row.cells for row in read(io.BytesIO(content), layout) if not row.fault]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
def test_the_delimiter_is_the_one_that_makes_the_columns(delimiter: str) -> None:
    content = (HEADER + ROW).replace(",", delimiter)
    assert one_event(content).type == "service-started-1"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_found_without_knowing_the_columns(delimiter: str) -> None:
    content = io.StringIO()
    csv.writer(content, delimiter=delimiter).writerows(
        [["id", "name", "day"], ["1", "Lee, A; B", "03/02/2026"], ["2", "Bo", "x"]]
    )
    assert cells(content.getvalue().encode())[0] == {"id": "1", "name": "Lee, A; B", "day": "03/02/2026"}


def test_a_delimiter_that_is_set_is_not_guessed() -> None:
    mapping = SERVICES.replace("reads: csv", 'reads: csv\ndelimiter: ";"')
    assert one_event((HEADER + ROW).replace(",", ";"), mapping).type == "service-started-1"
    assert "missing" in refusal(HEADER + ROW, mapping)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"], ids=lambda name: name.replace("-", "")
)
def test_every_common_encoding_is_read_and_makes_the_same_event(encoding: str) -> None:
    text = HEADER + ROW.replace("Meals", "Café – Zoë’s")
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    assert one_event(mark + text.encode(encoding)).id == one_event(text).id


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(ends: str) -> None:
    items = items_of((HEADER + ROW + ROW).replace("\n", ends))
    assert [item.position for item in items] == ["line 2", "line 3"] and all(item.events for item in items)


def test_a_last_line_needs_no_line_end() -> None:
    assert one_event((HEADER + ROW).rstrip()).type == "service-started-1"


def test_a_row_is_named_by_the_line_it_begins_on() -> None:
    content = HEADER + '1001,,Service,"Meals\non\nwheels",03/02/2026\n' + ROW.replace("03/02", "31/02") + "\n" + ROW
    items = items_of(content)
    assert [item.position for item in items] == ["line 2", "line 5", "line 6", "line 7"]
    assert items[1].rejection is not None and items[1].rejection.error.where.startswith("line 5, ")


def test_blank_rows_say_nothing() -> None:
    items = items_of(HEADER + ROW + "\n" + ",,,,\n" + "  , , ,,\n" + ROW)
    assert [len(item.events) for item in items] == [1, 0, 0, 0, 1]
    assert not any(item.rejection for item in items)


def test_the_order_of_the_columns_and_columns_nobody_reads_change_no_event() -> None:
    turned = "Notes,Event Start Date,Service Type,Event Type,NHS Number,Person Id\nx,03/02/2026,Meals,Service,9990000018,1001\n"
    assert one_event(turned).id == one_event(HEADER + ROW).id


def test_spaces_in_a_header_are_made_single() -> None:
    assert one_event(HEADER.replace("Person Id", " Person  Id ") + ROW).id == one_event(HEADER + ROW).id


@pytest.mark.parametrize(
    ("row", "code", "says"),
    [
        ("1001,9990000018,Service\n", "invalid-value", "the row has 3 cells and the header 5 at line 3"),
        ("1001,9990000018,Service,Meals,03/02/2026,more\n", "invalid-value", "the row has 6 cells and the header 5 at line 3"),
        ('1001,9990000018,"Ser"vice,Meals,03/02/2026\n', "unreadable", "quotation mark"),
        ("x," * 10_000 + "\n", "too-large", "more than 1,000 cells"),
        (
            f"1001,,Service,{'x' * (CELL_CHARACTERS_MOST + 1)},03/02/2026\n",
            "too-large",
            "a cell has more than 131,072 characters at line 3. Shorten it.",
        ),
    ],
    ids=["short", "long", "quotes", "ten thousand cells", "long cell"],
)
def test_a_row_that_cannot_be_split_is_rejected_alone(row: str, code: str, says: str) -> None:
    items = items_of(HEADER + ROW + row + ROW)
    assert [bool(item.events) for item in items] == [True, False, True]
    rejection = items[1].rejection
    assert rejection is not None and rejection.error.code == code and says in str(rejection.error) and not rejection.whole
    assert items[1].position == "line 3"


@pytest.mark.parametrize("failure", ["#N/A", "#REF!", '"#DIV/0!"', " #VALUE! "])
def test_a_formula_that_failed_before_the_sheet_was_saved_as_csv_is_a_fault_of_its_row(failure: str) -> None:
    row = ROW.replace("Meals", failure)
    failed, other = items_of(HEADER.strip() + ",Notes\n" + row.strip() + ",x\n" + ROW.strip() + f",{failure}\n")
    assert failed.rejection is not None and failed.rejection.error.where == 'line 2, column "Service Type"'
    assert "formula" in str(failed.rejection.error)
    assert len(other.events) == 1, "in a column that nobody reads it does no harm"


def test_blank_cells_too_many_do_no_harm() -> None:
    assert one_event(HEADER + ROW.strip() + ",,,\n").id == one_event(HEADER + ROW).id
    assert one_event(HEADER.strip() + ",,\n" + ROW).id == one_event(HEADER + ROW).id


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\n\n  \n", "the file is empty"),
        (HEADER.encode(), "a header row and nothing under it"),
        ((HEADER + ROW + "1002,,Serv").encode(), "ends within its last row"),
        ((HEADER + ROW + '1002,,Service,"Mea').encode(), "ends within a quoted cell"),
        ((HEADER + ROW + '1002,,Service,"Meals,03/02/2026\n' + ROW).encode(), "ends within a quoted cell"),
        ((HEADER + ROW.replace("Meals", "Café") + "1003,,Café").encode()[:-1], "ends within a character"),
        (
            HEADER.replace("Service Type", "Person Id").encode() + ROW.encode(),
            'columns 1 and 4 have the same name (both "Person Id")',
        ),
        (b"Notes,Notes," + HEADER.encode() + b"a,b," + ROW.encode(), "columns 1 and 2 have the same name at line 1"),
        (HEADER.replace("Service Type", "").encode() + ROW.encode(), 'a column is missing: "Service Type"'),
        (HEADER.strip().encode() + b",\n" + ROW.strip().encode() + b",x\n", "column 6 has values but no name at line 2"),
        (HEADER.replace("Person Id", "Id").replace("NHS", "N").encode() + ROW.encode(), "columns are missing"),
        (ROW.encode() * 2, "columns are missing"),
        (bytes(range(256)) * 20, "control characters"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 500, "control characters"),
        (HEADER.encode() + b"1001,,Service,\x81\x8d,03/02/2026\n", "neither UTF-8 nor cp1252"),
        (b",".join(b"column%d" % place for place in range(10_000)) + b"\n" + b"," * 9_999, "more than 1,000 columns"),
        (
            HEADER.encode() + b"1001,,Service," + b"x" * (ROW_CHARACTERS_MOST + 1) + b",03/02/2026\n",
            "more than 1,048,576 characters",
        ),
        (b'{"Person Id": "1"}', "this looks like JSON"),
        (b' [\n {"Person Id": "1"}]', "this looks like JSON"),
        (b"Person Id=1&Service Type=Meals", "this looks like a form"),
        (b"MSH|^~\\&|PAS|RX1\rPID|1\r", "this looks like an HL7 v2 message"),
        (b"<html><body>Not found</body></html>\n<p>\n", "this looks like XML"),
        (b'<?xml version="1.0"?><rows/>', "this looks like XML"),
        (HEADER.encode() + b'1001,,Service,"' + b"x\n" * ROW_CHARACTERS_MOST, "never closed"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(content: bytes, says: str) -> None:
    assert says in refusal(content)


def test_nothing_is_taken_from_a_file_whose_fault_comes_last() -> None:
    items = items_of(HEADER + ROW * 5_000 + "1001,,Ser")
    assert len(items) == 1 and items[0].rejection is not None and items[0].rejection.whole


def test_a_file_cut_anywhere_within_a_row_is_refused_or_lacks_no_column() -> None:
    whole = (HEADER + ROW + ROW.replace("1001", "1002")).encode()
    for end in range(len(HEADER) + 1, len(whole)):
        items = items_of(whole[:end])
        last = whole[:end].splitlines()[-1]
        assert last.count(b",") == 4 or (len(items) == 1 and items[0].rejection is not None and items[0].rejection.whole)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("words", ["Meals", "Café", "CafÃ©", '"Me,al\ns"'])
def test_a_rejected_row_alone_is_rejected_alike_and_once_mended_makes_the_same_event(encoding: str, words: str) -> None:
    row = ROW.replace("Meals", words)
    content = (HEADER + ROW + row.replace("Service,", "Servis,") + row).encode(encoding)
    content = (codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b"") + content
    strict = SERVICES.replace("reads: csv", "reads: csv\nunmatched: reject")
    rejected = next(item for item in items_of(content, strict) if item.rejection)
    assert rejected.rejection is not None
    again = items_of(rejected.rejection.content, strict)
    assert [item.rejection.error.code for item in again if item.rejection] == ["invalid-value"]
    mended = strict.replace('= "Service"\'', 'in ["Service", "Servis"]\'')
    (in_file,) = [item for item in items_of(content, mended) if item.position == rejected.position]
    (alone,) = items_of(rejected.rejection.content, mended)
    assert [event.id for event in alone.events] == [event.id for event in in_file.events] != []


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('="00123"', "00123"),
        ('"=""00123"""', "00123"),
        ('="a ""b"""', 'a "b"'),
        ('=""', None),
        ("=1+1", "=1+1"),
        ('"see =""x"""', 'see ="x"'),
    ],
)
def test_a_text_written_as_a_formula_so_that_a_spreadsheet_lets_it_be_is_that_text(sent: str, read: str | None) -> None:
    (found,) = cells(f"a,b\nx,{sent}\n".encode(), Layout("csv", ("a", "b"), None))
    assert found.get("b") == read


@pytest.mark.parametrize("before", ["sep=;\r\n", "\ufeffSEP=;\n", "sep=\t\n"])
def test_a_line_for_spreadsheets_before_the_header_is_passed_over(before: str) -> None:
    delimiter = before.strip("\r\n\ufeff")[-1]
    content = f"{before}a;b;c\nx;;z\nx;y\n".replace(";", delimiter).encode()
    first, second = read(io.BytesIO(content), Layout("csv", ("a", "b", "c"), None))
    assert (first.position, first.cells) == ("line 3", {"a": "x", "c": "z"})
    assert second.position == "line 4" and second.fault is not None
    kept = second.content().decode("utf-8-sig")
    assert kept == "a;b;c\nx;y\n".replace(";", delimiter)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything(content: bytes) -> None:
    for item in items_of(content):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)


@given(st.text(alphabet=st.sampled_from("ab,;\t|\"'\n\r é\ufeff\x00"), max_size=200))
def test_no_text_after_a_header_raises_anything(text: str) -> None:
    for item in items_of(HEADER + text):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)


@given(
    st.lists(
        st.lists(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=8), min_size=3, max_size=3),
        min_size=1,
    )
)
def test_what_is_written_as_csv_is_read_as_it_was(rows: list[list[str]]) -> None:
    trimmed = [[cell.strip() for cell in row] for row in rows]
    if any(cell in FAILURES for row in trimmed for cell in row):
        return  # that is what a spreadsheet shows of a formula that failed, and a fault of the row
    if any(cell.startswith('="') for row in trimmed for cell in row):
        return  # a text written as a formula
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b", "c"], *rows])
    layout = Layout("csv", ("a", "b", "c"), None)
    if not any(any(row) for row in trimmed):
        return
    expected = [{name: cell for name, cell in zip("abc", row, strict=True) if cell} for row in trimmed]
    assert cells(text.getvalue().encode(), layout) == expected


class _Long(io.RawIOBase):
    """A file of many rows that is made while it is read."""

    def __init__(self, rows: int) -> None:
        self._size = len(HEADER) + rows * len(ROW)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._size}[whence]
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # typeshed: WriteableBuffer
        chunk = b"".join(self._chunks(len(buffer)))[: min(len(buffer), self._size - self._at)]
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def _chunks(self, size: int) -> Iterator[bytes]:
        if self._at < len(HEADER):
            yield HEADER[self._at :].encode()
        skip = max(self._at - len(HEADER), 0) % len(ROW)
        yield (ROW * (size // len(ROW) + 2))[skip:].encode()


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(rows: int) -> int:
        tracemalloc.start()
        try:
            seen = sum(1 for _ in read(io.BufferedReader(_Long(rows)), Layout("csv", ("Person Id",), None)))
            assert seen == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1_000)
    assert peak(16_000) < peak(8_000) + 128 * 1024


@pytest.mark.parametrize("make", [io.BytesIO, partial(tempfile.SpooledTemporaryFile, max_size=10), tempfile.TemporaryFile])
def test_every_kind_of_file_is_read_and_left_open_at_its_start(make: Callable[[], BinaryIO]) -> None:
    with make() as file:
        file.write((HEADER + ROW).encode())
        for _ in range(2):
            assert len(list(read(file, ANY))) == 1
            assert not file.closed and file.tell() == 0


def test_a_file_may_be_closed_before_all_of_it_was_read() -> None:
    file = io.BytesIO((HEADER + ROW * 3).encode())
    rows = read(file, ANY)
    assert next(rows).position == "line 2"
    file.close()
    del rows
    gc.collect()


def test_the_widest_file_is_read() -> None:
    header = ",".join(f"column{place}" for place in range(COLUMNS_MOST))
    assert len(cells((header + "\n" + ",".join("x" * COLUMNS_MOST) + "\n").encode())[0]) == COLUMNS_MOST


_PIECES = st.lists(st.sampled_from(['"', '""', ",", "\n", "\r\n", "a", "b c", ',"', '",', '"\n', '\n"', ' "']), max_size=40)


@given(_PIECES, st.booleans())
def test_a_file_that_is_only_skimmed_is_judged_as_one_that_is_split(pieces: list[str], ended: bool) -> None:
    """A column without a name makes the reader split the whole file before it takes a row; nothing else differs."""
    body = "".join(pieces) + ("\n" if ended else "")
    layout = Layout("csv", ("x", "y"), None, delimiter=",")

    def judged(header: str) -> object:
        try:
            return [(row.position, row.cells, str(row.fault)) for row in read(io.BytesIO((header + body).encode()), layout)]
        except RejectedInput as refusal:
            return refusal.message

    skimmed, split = judged("x,y\n"), judged("x,y,\n")
    if isinstance(split, str) and "no name" in split:
        return
    if isinstance(split, list) and isinstance(skimmed, list):
        assert [(at, cells) for at, cells, fault in skimmed if fault == "None"] == [
            (at, cells) for at, cells, fault in split if fault == "None"
        ]
    else:
        assert skimmed == split
