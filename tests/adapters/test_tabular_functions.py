"""The functions that a mapping's expressions may call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.expressions.functions import FUNCTIONS, JSONATA, REFUSED, functions
from schemas.fhir.check import faults_in

DOCS = Path(__file__).parents[2] / "docs" / "mapping-files.md"
CODES = {
    "service": {"meals": "Meals on wheels", "day care": {"display": "Day centre"}},
    "open": {"*": "*"},
    "other": {"*": "x"},
}


def call(name: str, *values: Any) -> Any:
    return functions(CODES)[name].call(*values)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("postcode", ("nf42qz",), "NF4 2QZ"),
        ("postcode", (" NF4  2QZ ",), "NF4 2QZ"),
        ("postcode", ("GIR 0AA",), "GIR 0AA"),
        ("postcode", ("NF4",), "NF4"),
        ("nhs_number", ("999 000 0018",), "9990000018"),
        ("nhs_number", (9990000018,), "9990000018"),
        ("nhs_number", (9990000018.0,), "9990000018"),
        ("nhs_number", ("9990000019",), None),
        ("nhs_number", ("9999999999",), None),
        ("gender", ("F",), "female"),
        ("gender", ("1",), "male"),
        ("gender", ("Not stated",), "unknown"),
        ("gender", ("Non-binary",), "other"),
        ("gender", ("see notes",), None),
        ("phone", ("01632 960114",), "01632960114"),
        ("phone", ("1632960114",), "01632960114"),
        ("phone", ("+44 (0)1632 960-114",), "01632960114"),
        ("phone", ("00 33 1 23 45 67 89",), "+33123456789"),
        ("phone", ("ex-directory",), None),
        ("phone", ("01632 960114 ext 5",), "01632960114"),
        ("phone", ("daughter (07700 900123)",), "07700900123"),
        ("phone", ("01632 960114 / +44 7700 900123",), "01632960114"),
        ("phone", ("ring after 10, ref 12345",), None),
        ("phone", ("1 " * 5_000,), None),
        ("yes", ("Y",), True),
        ("yes", ("no",), False),
        ("yes", (True,), True),
        ("yes", ("Unknown",), None),
        ("name", ("Mrs Margaret Ellis-Whitmore",), {"family": "Ellis-Whitmore", "given": ["Margaret"], "prefix": ["Mrs"]}),
        ("name", ("ELLIS, Margaret Rose",), {"family": "ELLIS", "given": ["Margaret", "Rose"]}),
        ("name", ("Margaret", "van Ellis"), {"family": "van Ellis", "given": ["Margaret"], "text": "Margaret van Ellis"}),
        ("name", ("Margaret",), {"family": "Margaret"}),
        ("code", ("service", "MEALS "), "Meals on wheels"),
        ("code", ("service", "Day  care"), {"display": "Day centre"}),
        ("code", ("open", "Anything"), "Anything"),
        ("code", ("other", "Anything"), "x"),
        ("day", ("03/02/2026",), "2026-02-03"),
        ("day", (46056,), "2026-02-03"),
        ("moment", ("03/02/2026", "10:30"), "2026-02-03T10:30:00Z"),
    ],
)
def test_a_function_makes_of_a_cell(name: str, values: tuple[Any, ...], expected: Any) -> None:
    made = call(name, *values)
    assert made.items() >= expected.items() if isinstance(expected, dict) else made == expected


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_of_nothing_a_function_makes_nothing(name: str, nothing: str | None) -> None:
    values = ("service", nothing) if name == "code" else (nothing,)
    assert call(name, *values) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [("day", ("31/02/2026",)), ("yes", ("perhaps",)), ("code", ("service", "Canary")), ("postcode", (["a list"],))],
)
def test_what_cannot_be_is_refused_without_being_quoted(name: str, values: tuple[Any, ...]) -> None:
    with pytest.raises(ImpossibleError) as caught:
        call(name, *values)
    assert str(values[-1]) not in str(caught.value)


@given(st.sampled_from(sorted(FUNCTIONS)), st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.text())))
def test_no_cell_raises_anything_but_that_it_is_impossible(name: str, cell: Any) -> None:
    try:
        made = call(name, *(("service", cell) if name == "code" else (cell,)))
    except ImpossibleError:
        return
    assert made is None or made not in ("", {}, [])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])), st.text(alphabet="Aa -,.'"))
def test_every_name_is_a_fhir_name_or_nothing(first: str, last: str) -> None:
    name = call("name", first, last)
    assert name is None or faults_in({"resourceType": "Patient", "name": [name]}) == []


@pytest.mark.parametrize("name", [*FUNCTIONS])
def test_the_documentation_explains_every_function(name: str) -> None:
    assert f"### `${name}(" in DOCS.read_text()


def test_the_documentation_says_which_functions_may_not_be_called_and_why() -> None:
    text = DOCS.read_text()
    assert [name for name in REFUSED if f"`${name}`" not in text] == []


@pytest.mark.parametrize("name", sorted(JSONATA | set(REFUSED)))
def test_the_engine_has_every_function_that_is_named(name: str) -> None:
    assert jsonata.evaluate(f"$exists(${name})", {}) is True
