"""The expressions that are run without the engine say what the engine says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.expressions.engine import Expressions
from adapters.tabular.expressions.functions import functions
from adapters.tabular.expressions.shortcut import shortcut
from adapters.tabular.expressions.tokens import tokens
from schemas.errors import InvalidValue

COLUMNS = ["A", "B c", "D", "true", "and"]
FUNCTIONS = functions({"m": {"x": "ex", "y": {"k": "v"}, "*": "other"}, "n": {"x": "1"}, "o": {"*": "*"}})
CELLS = ["x", "y", "yes", "no", "03/02/2026", "31/02/2026", "Ann Lee", "10:30", "female", "0", "é"]

_texts = st.sampled_from([*CELLS, "", "true", 'say \\"so\\"', "\\u00e9"]).map(lambda text: f'"{text}"')
_atoms = st.one_of(
    st.sampled_from(COLUMNS).map(lambda name: f"`{name}`"), st.sampled_from(["A", "D", "true", "false", "'x'"]), _texts
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["=", "!=", " and ", " or ", " & ", " /* why */ = "]), inner).map("".join),
        st.tuples(inner, inner, inner).map(lambda parts: f"{parts[0]} ? {parts[1]} : {parts[2]}"),
        inner.map(lambda part: f"({part})"),
        st.tuples(st.sampled_from(["exists", "not"]), inner).map(lambda parts: f"${parts[0]}({parts[1]})"),
        st.tuples(st.sampled_from([name for name in FUNCTIONS if name != "code"]), inner).map(
            lambda parts: f"${parts[0]}({parts[1]})"
        ),
        st.tuples(st.sampled_from(["moment", "name"]), inner, inner).map(lambda parts: f"${parts[0]}({parts[1]}, {parts[2]})"),
        st.tuples(st.sampled_from("mno"), inner).map(lambda parts: f'$code("{parts[0]}", {parts[1]})'),
        st.tuples(inner, st.lists(_texts, min_size=1, max_size=3)).map(lambda parts: f"{parts[0]} in [{', '.join(parts[1])}]"),
    )


EXPRESSIONS = st.recursive(_atoms, _larger, max_leaves=8)
ROWS = st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(CELLS))


def _engine(expression: str, row: dict[str, Any]) -> Any:
    try:
        return Expressions([expression], FUNCTIONS).values(row).get("0")
    except InvalidValue as fault:
        return ("impossible", fault.message)


def _shortcut(expression: str, row: dict[str, Any]) -> Any:
    found = shortcut(tokens(expression), FUNCTIONS)
    if found is None:
        return _engine(expression, row)
    try:
        return found.run(row)
    except ImpossibleError as impossible:
        return ("impossible", str(impossible))


@given(EXPRESSIONS, ROWS)
def test_a_shortcut_says_what_the_engine_says(expression: str, row: dict[str, Any]) -> None:
    short, long = _shortcut(expression, row), _engine(expression, row)
    assert (short, type(short)) == (long, type(long))


@pytest.mark.parametrize(
    "expression",
    [
        "`A`",
        "A",
        '"text"',
        "$day(`A`)",
        '`A` = "x"',
        '$code("m", `A`)',
        "$exists(`A`) ? $day(`A`) : $day(`D`)",
        '`A` in ["x", "y"]',
    ],
)
def test_the_plainest_expressions_need_no_engine(expression: str) -> None:
    assert shortcut(tokens(expression), FUNCTIONS) is not None


@pytest.mark.parametrize(
    "expression",
    [
        "A.b",
        "A[0]",
        "$uppercase(A)",
        "A + 1",
        "[A]",
        '{"a": A}',
        "$x := A",
        "A ~> $day",
        "A = B = D",
        "null",
        "$$",
        "A & $name(D)",
    ],
)
def test_all_else_is_left_to_the_engine(expression: str) -> None:
    assert shortcut(tokens(expression), FUNCTIONS) is None
