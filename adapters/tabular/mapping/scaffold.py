"""Writes a first mapping file from a sample: ``backbone source scaffold``.

A person has to check what it guesses from the names of the columns. Nothing from the sample's rows gets into the file; its test
is about an invented person.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

import orjson

from adapters.tabular.expressions import dates
from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.readers.read import read
from adapters.tabular.readers.read_csv import header_of
from adapters.tabular.readers.read_sheet import is_sheet
from adapters.tabular.rows.layout import Layout, Row
from adapters.tabular.rows.limits import COLUMNS_MOST, SHEET_BYTES_MOST
from schemas.errors import InvalidRequest


class _Guess(NamedTuple):
    """What a column seems to hold."""

    name: re.Pattern[str]
    example: str
    """Invented, for the test."""


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_GUESSES: dict[str, _Guess] = {
    "nhs": _Guess(_named(r"\bnhs\b.*(no|num|id)|^nhs$"), "9990000018"),
    "birth": _Guess(_named(r"birth|\bdob\b"), "09/03/1941"),
    "death": _Guess(_named(r"death|deceased|\bdod\b"), ""),
    "postcode": _Guess(_named(r"post ?code"), "NF4 2QZ"),
    "gender": _Guess(_named(r"\b(gender|sex)\b"), "Female"),
    "first": _Guess(_named(r"(first|given|fore) ?name"), "Margaret"),
    "last": _Guess(_named(r"(last|family) ?name|surname"), "Ellis-Whitmore"),
    "whole": _Guess(_named(r"^(full |member |client |person )?name$"), "Mrs Margaret Ellis-Whitmore"),
    "phone": _Guess(_named(r"phone|\btel\b|mobile"), "01632 960114"),
    "when": _Guess(_named(r"\bdate\b|\bday\b|_date|_at$"), "03/02/2026"),
    "time": _Guess(_named(r"\btime\b|_time$"), "10:30"),
    "id": _Guess(
        _named(r"(person|client|member|patient|user|customer|case|people).*(id|identifier|no|number|ref|reference)\b"), "1001"
    ),
    "any id": _Guess(_named(r"\b(id|identifier|ref|reference)\b|_id$"), "1001"),
}
"""In the order they are tried; the first that fits a column's name has it."""

_PATIENT: Sequence[tuple[tuple[str, ...], Callable[..., str]]] = (
    (("first", "last"), lambda first, last: f"name: ['$name({first}, {last})']"),
    (("whole",), lambda whole: f"name: ['$name({whole})']"),
    (("birth",), lambda birth: f"birthDate: '$day({birth})'"),
    (("gender",), lambda gender: f"gender: '$gender({gender})'"),
    (("postcode",), lambda postcode: f"address: [{{postalCode: '$postcode({postcode})'}}]"),
    (("phone",), lambda phone: f"telecom: [{{system: '\"phone\"', value: '$phone({phone})'}}]"),
)
"""Lines of ``patient:`` and the guesses they need."""


SAMPLE_BYTES = 1024 * 1024
"""Read of a sample in lines: its header and first rows are enough."""


def scaffold(content: BinaryIO, name: str, source_id: str) -> str:
    """A mapping file for the source ``source_id``, from a sample of what it sends; ``name`` is the sample file's name.

    Of lines only the first are read, a spreadsheet or one JSON text whole. Raises `RejectedInput` when the sample cannot be
    read or is over the limits of its format, `InvalidRequest` when it has no column.
    """
    sample = content.read(SAMPLE_BYTES)
    kind = _kind(sample)
    sample = _whole_lines(sample) if kind in ("csv", "ndjson") else sample + content.read(SHEET_BYTES_MOST)
    columns = [column for column in _columns(sample, kind) if "`" not in column][:COLUMNS_MOST]
    if not columns:
        raise InvalidRequest("the sample names no column", where=name)
    guessed = _guess(columns, _first(sample, kind))
    return "\n".join(_lines(name, source_id, kind, columns, guessed)) + "\n"


def _kind(sample: bytes) -> str:
    if is_sheet(sample):
        return "xlsx"
    start = sample.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return "json"
    if start.startswith(b"{"):
        return "ndjson" if b"\n" in start.strip() and start.partition(b"\n")[0].rstrip().endswith(b"}") else "json"
    return "form" if b"=" in start and b"\n" not in start.strip() and b"," not in start else "csv"


def _whole_lines(sample: bytes) -> bytes:
    """The sample up to its last line end: a part of a larger file is cut anywhere."""
    lines = sample[: sample.rfind(b"\n") + 1]
    return lines if lines.count(b"\n") > 1 else sample


def _first(sample: bytes, kind: str) -> Row | None:
    rows = read(io.BytesIO(sample), Layout(kind, (), None))
    return next((row for row in rows if not row.blank and not row.fault), None)


def _columns(sample: bytes, kind: str) -> list[str]:
    """The names of the sample's columns, those without a cell in the first row included."""
    row = _first(sample, kind)
    if row is None:
        return []
    if kind not in ("csv", "xlsx"):
        return list(row.cells)
    return header_of(io.BytesIO(row.content()))


def _guess(columns: Sequence[str], row: Row | None) -> dict[str, str]:
    """The column that seems to hold each thing."""
    left = list(columns)
    found: dict[str, str] = {}
    for thing, guess in _GUESSES.items():
        column = next((column for column in left if guess.name.search(column)), None)
        if column:
            found[thing] = column
            left.remove(column)
    if "when" not in found and row:
        dated = next((column for column in left if _is_date(row.cells.get(column))), None)
        found |= {"when": dated} if dated else {}
    return found


def _is_date(cell: object) -> bool:
    try:
        return isinstance(cell, str) and len(dates.day(cell)) == 10
    except ImpossibleError:
        return False


def _quoted(text: str) -> str:
    """A text that YAML reads as this text, whatever it holds."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 _]*[A-Za-z0-9]", text) and text not in ("true", "false", "null")
    return text if plain else orjson.dumps(text).decode()


def _column(text: str) -> str:
    """A column as an expression within single quotes of YAML."""
    return f"`{text}`".replace("'", "''")


def _key(text: str) -> str:
    """A column as a part of a key, where a call of a function would be an expression."""
    return f"'{_column(text)}'" if text.startswith("$") else _quoted(text)


def _lines(name: str, source_id: str, kind: str, columns: Sequence[str], guessed: dict[str, str]) -> list[str]:
    record = guessed.get("id") or guessed.get("any id") or columns[0]
    when = guessed.get("when") or columns[0]
    time = guessed.get("time") if when != columns[0] else None
    reason = next((column for column in columns if column not in {*guessed.values(), record, when}), None)
    patient = [
        say(*(_column(guessed[need]) for need in needs)) for needs, say in _PATIENT if all(need in guessed for need in needs)
    ]
    day = f"'$day({_column(when)})'"
    occurred = f"'$moment({_column(when)}, {_column(time)})'" if time else day
    return [
        f"# How the records of {source_id} become events: a first guess from {name}, for you to correct.",
        "# docs/mapping-files.md explains every key and function.",
        f"source: {_quoted(source_id)}",
        f"reads: {kind}",
        "# Whose record a row is, at this source:",
        f"record: [{_quoted(record)}]",
        *([f"nhs_number: {_quoted(guessed['nhs'])}"] if "nhs" in guessed else []),
        "# A file without one of these is refused; those that may be missing go under `optional:`.",
        "columns:",
        *(f"  - {_quoted(column)}" for column in columns),
        *(["patient:", *(f"  {line}" for line in patient)] if patient else []),
        "each:",
        "  # What a row says happened: one of the catalogue. More entries make more events.",
        "  - event: contact-made-1",
        "    # What names the fact: a row with the same key is a correction of it.",
        f"    key: [{_key(record)}, {day}]",
        f"    occurred_at: {occurred}",
        *([f"    focus:\n      reasonCode: [{{text: '{_column(reason)}'}}]"] if reason else []),
        "# Run by `backbone source check`; the person is invented.",
        "tests:",
        "  - row:",
        *(f"      {_quoted(column)}: {orjson.dumps(_example(column, guessed, when)).decode()}" for column in columns),
        "    makes:",
        f"      - {{event: contact-made-1, occurred_at: {'2026-02-03T10:30:00Z' if time else '2026-02-03'}{_reason(reason)}}}",
    ]


def _reason(column: str | None) -> str:
    return ', focus: {reasonCode: [{text: "Example"}]}' if column else ""


def _example(column: str, guessed: dict[str, str], when: str) -> str:
    if column == when:
        return _GUESSES["when"].example
    thing = next((thing for thing, held in guessed.items() if held == column), "")
    return _GUESSES[thing].example if thing else "Example"
