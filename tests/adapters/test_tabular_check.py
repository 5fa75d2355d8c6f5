"""A mapping's own tests: what passes, and how a difference reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.tabular.check import check
from adapters.tabular.mapping.load import load_mapping
from tests.tabular_rows import SERVICES, SOURCE

DOCS = Path(__file__).parents[2] / "docs" / "mapping-files.md"


def differences(makes: str, row: str = "", mapping: str = SERVICES) -> tuple[str, ...]:
    """What differs for the test of `SERVICES` with this said of it."""
    text = mapping.replace("    makes: [{event: service-started-1, occurred_at: 2026-02-03}]", f"    {makes}")
    (outcome,) = check(
        load_mapping(text.replace("Service Type: Meals, Event", f"Service Type: Meals, {row}Event"), "x.yaml"), SOURCE
    )
    assert outcome.line == SERVICES.splitlines().index("tests:") + 2
    assert outcome.passed is not bool(outcome.differences)
    return outcome.differences


@pytest.mark.parametrize(
    "makes",
    [
        "makes: [{event: service-started-1, occurred_at: 2026-02-03}]",
        "makes: [{event: service-started-1, occurred_at: 3 Feb 2026, precision: day}]",
        "makes: [{event: service-started-1, focus: {type: [{text: Meals}], status: active}}]",
        "makes: [{event: service-started-1, patient: {identifier: [{value: '1001'}]}}]",
        'makes: [{event: service-started-1, title: "Service started: Meals", sensitivity: N, sequence: ""}]',
        "makes: [{event: service-started-1, flags: [], others: []}]",
    ],
)
def test_what_is_as_the_test_says_passes_and_what_it_does_not_name_may_be_anything(makes: str) -> None:
    assert differences(makes) == ()


@pytest.mark.parametrize(
    ("makes", "difference"),
    [
        (
            "makes: [{event: service-started-1, occurred_at: 2026-02-04}]",
            "service-started-1: occurred_at is 2026-02-03T00:00:00.000Z to the day; expected 2026-02-04",
        ),
        (
            "makes: [{event: service-started-1, occurred_at: 2026-02-03T00:00:00Z}]",
            "service-started-1: occurred_at is 2026-02-03T00:00:00.000Z to the day; expected 2026-02-03T00:00:00Z",
        ),
        ("makes: [{event: service-started-1, occurred_at: soon}]", "service-started-1: the expected occurred_at is not a date"),
        ("makes: [{event: service-ended-1}]", "makes service-started-1; expected service-ended-1"),
        ("makes: []", "makes service-started-1; expected no event"),
        ("rejects: invalid-value", "makes service-started-1; expected to be rejected with invalid-value"),
        (
            "makes: [{event: service-started-1, focus: {type: [{text: Tea}]}}]",
            "service-started-1: focus.type[0].text is 'Meals'; expected 'Tea'",
        ),
        (
            "makes: [{event: service-started-1, focus: {period: {end: x}}}]",
            "service-started-1: focus.period.end is None; expected 'x'",
        ),
    ],
)
def test_a_difference_is_said_with_both_sides(makes: str, difference: str) -> None:
    assert differences(makes) == (difference,)


def test_a_rejection_nobody_expected_is_shown_with_its_reason() -> None:
    (difference,) = differences(
        "makes: []", mapping=SERVICES.replace("Event Start Date: 03/02/2026", "Event Start Date: 31/02/2026")
    )
    assert difference.startswith("is rejected: the value is a date that does not exist")
    assert 'column "Event Start Date"' in difference


def test_a_row_is_received_after_every_date_in_it_unless_the_test_says_when() -> None:
    ahead = SERVICES.replace("Event Start Date: 03/02/2026", "Event Start Date: 03/02/2126")
    assert differences("makes: [{event: service-started-1}]", mapping=ahead) == ()
    assert differences("rejects: invalid-value\n    received_at: 2026-01-01") == ()
    (wrong,) = differences("makes: []\n    received_at: soon")
    assert wrong == "received_at is not a date"


def test_the_mapping_in_the_documentation_passes_its_tests() -> None:
    text = next(block for block in re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL) if block.startswith("source:"))
    outcomes = check(load_mapping(text, "docs.yaml"))
    assert outcomes and all(outcome.passed for outcome in outcomes)


def test_a_failed_test_that_misspells_a_column_is_told_so() -> None:
    told = differences(
        "makes: [{event: service-started-1}]", mapping=SERVICES.replace("Event Type: Service", "Evnt Type: Service")
    )
    assert told == (
        "makes no event; expected service-started-1",
        'nothing reads the column "Evnt Type" of the row. Write "Event Type" instead.',
    )
