"""Where a key stands in a TOML text."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.lines import KeyPath, key_lines, line_of

TEXT = '''# comment with = and [brackets]
a = 1
"quoted = key" = 2   # and a comment = here
long = """
b = 3
[not.a.table]
""" # ]
list = [
  "x", # ] =
  { c = 1 },
]
dotted.key.'of parts' = "]["

[table]  # header
a = 1
[table.below]
a = 1
[[source]]
id = "one"
[source.places]
KM = "Kingsmill"
[[source]]
id = "two"
match = { sending_application = "PAS" }
[[source.test]]
row = 1
[[source.test]]
row = 2
'''

LINES: list[tuple[KeyPath, int]] = [
    (("a",), 2),
    (("quoted = key",), 3),
    (("long",), 4),
    (("list",), 8),
    (("dotted", "key", "of parts"), 12),
    (("table",), 14),
    (("table", "a"), 15),
    (("table", "below", "a"), 17),
    (("source", 0), 18),
    (("source", 0, "id"), 19),
    (("source", 0, "places", "KM"), 21),
    (("source", 1, "id"), 23),
    (("source", 1, "match"), 24),
    (("source", 1, "test", 0, "row"), 26),
    (("source", 1, "test", 1, "row"), 28),
]


def test_the_text_of_this_table_is_toml() -> None:
    assert tomllib.loads(TEXT)["source"][1]["test"][1] == {"row": 2}


@pytest.mark.parametrize(("path", "line"), LINES)
def test_every_key_has_the_line_it_begins_on(path: KeyPath, line: int) -> None:
    assert key_lines(TEXT)[path] == line


def test_nothing_but_keys_and_tables_has_a_line() -> None:
    assert ("b",) not in key_lines(TEXT)
    assert ("not", "a", "table") not in key_lines(TEXT)


def test_a_key_of_an_inline_table_has_the_line_of_the_table() -> None:
    assert line_of(("source", 1, "match", "sending_application"), key_lines(TEXT)) == 24


def test_what_is_nowhere_has_no_line() -> None:
    assert line_of(("nowhere",), key_lines(TEXT)) is None


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=6))
def test_any_key_is_found_whatever_its_name(values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'

    text = "\n".join(f"{quoted(key)} = {quoted(value)}" for key, value in values.items())
    assert key_lines(text) == {(key,): line for line, key in enumerate(tomllib.loads(text), 1)}
