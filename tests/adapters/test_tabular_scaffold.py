"""The first mapping file that is written from a sample."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.check import check
from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.mapping.scaffold import scaffold as write_mapping
from adapters.tabular.translate import TabularTranslator
from schemas.errors import BackboneError
from tests.tabular_rows import ARRIVAL

SAMPLES = Path(__file__).parents[2] / "gateway" / "samples"


def scaffold(sample: bytes, name: str, source_id: str) -> str:
    return write_mapping(io.BytesIO(sample), name, source_id)


@pytest.mark.parametrize("sample", ["riverside-services.csv", "willow-contacts.csv"])
def test_a_mapping_is_written_that_loads_passes_its_test_and_reads_the_sample(sample: str) -> None:
    content = (SAMPLES / sample).read_bytes()
    text = scaffold(content, sample, "some-source")
    mapping = load_mapping(text, "some-source.yaml")
    assert mapping.source == "some-source"
    (outcome,) = check(mapping)
    assert outcome.differences == ()
    items = list(TabularTranslator(mapping).translate(io.BytesIO(content), ARRIVAL))
    assert sum(len(item.events) for item in items) > 0


def test_what_columns_hold_is_guessed_from_their_names() -> None:
    text = scaffold((SAMPLES / "willow-contacts.csv").read_bytes(), "willow-contacts.csv", "willow")
    for line in (
        "record: [Member ID]",
        "nhs_number: NHS Number",
        "occurred_at: '$day(`Date`)'",
        "birthDate: '$day(`Date of Birth`)'",
        "name: ['$name(`Name`)']",
        "address: [{postalCode: '$postcode(`Postcode`)'}]",
    ):
        assert line in text


def test_nothing_of_the_samples_rows_gets_into_the_file() -> None:
    rows = "Ref,Name,NHS Number,When,Notes\nCANARY1,Canary Two,9990000026,14/05/1999,canary three\n"
    text = scaffold(rows.encode(), "sample.csv", "some-source")
    assert not [cell for cell in rows.splitlines()[1].split(",") if cell in text]


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (b'[{"ref": "1", "day": "03/02/2026"}]', "json"),
        (b'{"ref": "1", "day": "03/02/2026"}', "json"),
        (b'{"ref": "1", "day": "03/02/2026"}\n{"ref": "2"}\n', "ndjson"),
        (b"ref=1&day=03%2F02%2F2026", "form"),
        (b"ref;day\n1;03/02/2026\n", "csv"),
        (b"ref;day\n1;03/02/2026\n2;04/0", "csv"),
    ],
)
def test_the_kind_of_content_is_seen(sample: bytes, kind: str) -> None:
    mapping = load_mapping(scaffold(sample, "sample", "some-source"), "x.yaml")
    assert (mapping.layout.kind, mapping.record) == (kind, ("ref",))


def test_a_spreadsheet_is_a_sample_too() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Case ref", 'What\'s "new": `x`', "yes", "true", "Day"])
    book.active.append(["1", "x", "y", "z", "03/02/2026"])
    file = io.BytesIO()
    book.save(file)
    mapping = load_mapping(scaffold(file.getvalue(), "sample.xlsx", "some-source"), "x.yaml")
    assert mapping.layout.kind == "xlsx" and check(mapping)[0].passed


def test_a_date_is_found_by_what_stands_in_the_column() -> None:
    mapping = scaffold(b"ref,seen\n1,03/02/2026\n", "sample.csv", "s")
    assert "$day(`seen`)" in mapping


def test_a_date_and_a_time_in_columns_of_their_own_become_a_moment() -> None:
    text = scaffold(b"ref,visit date,visit time\n1,03/02/2026,10:30\n", "sample.csv", "s")
    assert "occurred_at: '$moment(`visit date`, `visit time`)'" in text
    assert check(load_mapping(text, "s.yaml"))[0].passed


def test_of_a_long_sample_in_lines_the_start_is_enough_and_one_json_text_is_read_whole() -> None:
    row = b"1,03/02/2026," + b"x" * 1000 + b"\n"
    assert "record: [ref]" in scaffold(b"ref,day,note\n" + row * 2000, "long.csv", "s")
    entry = b'{"ref": "1", "day": "03/02/2026", "note": "' + b"x" * 1000 + b'"}'
    assert "record: [ref]" in scaffold(b"[" + b",".join([entry] * 2000) + b"]", "long.json", "s")


@pytest.mark.parametrize("sample", [b"", b"\x00\x01", b"a,b\n", b"[]", b"{", b"PK\x03\x04", b"`a`\n1\n"])
def test_a_sample_that_cannot_be_read_says_why(sample: bytes) -> None:
    with pytest.raises(BackboneError) as caught:
        scaffold(sample, "sample", "some-source")
    assert caught.value.cure


_NAMES = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="`"), min_size=1, max_size=12)


@given(
    st.lists(
        _NAMES.filter(lambda name: bool(name.split())), min_size=1, max_size=6, unique_by=lambda name: " ".join(name.split())
    )
)
def test_whatever_the_columns_are_called_the_mapping_loads(names: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([names, ["x"] * len(names)])
    try:
        mapping = scaffold(text.getvalue().encode(), "sample.csv", "some-source")
    except BackboneError:
        return
    assert load_mapping(mapping, "x.yaml").source == "some-source"
