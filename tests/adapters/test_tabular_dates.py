"""Dates and times as people in the United Kingdom write them."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.expressions.dates import ImpossibleError, day, happened_at, moment, precision
from schemas.event import Precision, instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("03/02/2026", "2026-02-03"),
        ("3/2/2026", "2026-02-03"),
        ("03-02-2026", "2026-02-03"),
        ("03.02.2026", "2026-02-03"),
        ("03 02 2026", "2026-02-03"),
        ("2026-02-03", "2026-02-03"),
        ("2026/02/03", "2026-02-03"),
        ("20260203", "2026-02-03"),
        ("3 Feb 2026", "2026-02-03"),
        ("3-Feb-2026", "2026-02-03"),
        ("3 february 2026", "2026-02-03"),
        ("3rd Sept 2026", "2026-09-03"),
        ("1st of March 2026", "2026-03-01"),
        ("Tue 3 Feb 2026", "2026-02-03"),
        ("Tuesday, 3 February 2026", "2026-02-03"),
        ("46056", "2026-02-03"),
        ("46056.4375", "2026-02-03"),
        ("29/02/2024", "2024-02-29"),
        ("02/2026", "2026-02"),
        ("2026-02", "2026-02"),
        ("Feb 2026", "2026-02"),
        ("2026", "2026"),
        ("03/02/2026 10:30", "2026-02-03"),
        ("3 Feb 2026, 2pm", "2026-02-03"),
        ("2026-02-03T10:30:00Z", "2026-02-03"),
        ("2026-07-03T23:30:00Z", "2026-07-04"),
        ("2026-02-03 00:00:00.000", "2026-02-03"),
    ],
)
def test_a_date_is_read_day_first_and_keeps_its_precision(text: str, expected: str) -> None:
    assert day(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("31/02/2026", "does not exist"),
        ("29/02/2023", "does not exist"),
        ("00/01/2026", "does not exist"),
        ("32/01/2026", "does not exist"),
        ("02/13/2026", "the day comes first"),
        ("3 Fev 2026", "no such month"),
        ("03/02/26", "two digits"),
        ("3 Feb 26", "two digits"),
        ("03/02/0226", "too far"),
        ("03/02/9999", "too far"),
        ("1066", "too far"),
        ("٠٣/٠٢/٢٠٢٦", "not a date"),
        ("Wednesday", "not a date"),
        ("x.y", "not a date"),
        ("9" * 60, "not a date"),
    ],
)
def test_what_cannot_be_a_date_says_why_and_not_what(text: str, reason: str) -> None:
    with pytest.raises(ImpossibleError, match=reason) as caught:
        day(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "time", "expected"),
    [
        ("03/02/2026", "10:30", "2026-02-03T10:30:00Z"),
        ("03/07/2026", "10:30", "2026-07-03T09:30:00Z"),
        ("03/02/2026", "10.30am", "2026-02-03T10:30:00Z"),
        ("03/02/2026", "2:30 p.m.", "2026-02-03T14:30:00Z"),
        ("03/02/2026", "12am", "2026-02-03T00:00:00Z"),
        ("03/02/2026", "12 pm", "2026-02-03T12:00:00Z"),
        ("03/02/2026", "1430", "2026-02-03T14:30:00Z"),
        ("03/02/2026", "1430hrs", "2026-02-03T14:30:00Z"),
        ("03/02/2026", "0.4375", "2026-02-03T10:30:00Z"),
        ("03/02/2026", "10:30:15", "2026-02-03T10:30:15Z"),
        ("03/02/2026", "10:30:15.5", "2026-02-03T10:30:15.500Z"),
        ("03/02/2026", "", "2026-02-03"),
        ("02/2026", "", "2026-02"),
        ("03/02/2026 10:30", "", "2026-02-03T10:30:00Z"),
        ("3 Feb 2026 at 10:30", "", "2026-02-03T10:30:00Z"),
        ("46056.4375", "", "2026-02-03T10:30:00Z"),
        ("2026-07-03T10:30:00+01:00", "", "2026-07-03T09:30:00Z"),
        ("2026-02-03T10:30:00+0500", "", "2026-02-03T05:30:00Z"),
        ("2026-02-03T10:30:00Z", "", "2026-02-03T10:30:00Z"),
    ],
)
def test_a_time_is_londons_unless_it_says_its_offset(text: str, time: str, expected: str) -> None:
    assert moment(text, time) == expected


def test_of_the_hour_that_october_repeats_the_first_is_meant() -> None:
    assert moment("25/10/2026", "01:30") == "2026-10-25T00:30:00Z"


def test_a_time_in_the_hour_that_march_skips_is_moved_forward_by_it() -> None:
    assert moment("29/03/2026", "01:30") == moment("29/03/2026", "02:30") == "2026-03-29T01:30:00Z"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("03/02/2026", "24:00"),
        ("03/02/2026", "10:61"),
        ("03/02/2026", "10:30:61"),
        ("03/02/2026", "13pm"),
        ("03/02/2026", "10"),
        ("03/02/2026", "soon"),
        ("02/2026", "10:30"),
        ("31/02/2026", "10:30"),
        ("10:30", ""),
        ("2026-02-03T10:30:00+99:00", ""),
    ],
)
def test_what_cannot_be_a_time_is_refused(text: str, time: str) -> None:
    with pytest.raises(ImpossibleError):
        moment(text, time)


@pytest.mark.parametrize(
    ("text", "expected", "first_instant"),
    [
        ("2026", Precision.YEAR, "2026-01-01T00:00:00.000Z"),
        ("2026-07", Precision.MONTH, "2026-06-30T23:00:00.000Z"),
        ("2026-07-03", Precision.DAY, "2026-07-02T23:00:00.000Z"),
        ("2026-07-03T09:30:00Z", Precision.MINUTE, "2026-07-03T09:30:00.000Z"),
        ("2026-07-03T09:30:15Z", Precision.SECOND, "2026-07-03T09:30:15.000Z"),
        ("2026-07-03T09:30:00.500Z", Precision.SECOND, "2026-07-03T09:30:00.500Z"),
    ],
)
def test_a_day_stays_a_day_and_begins_at_midnight_in_london(text: str, expected: Precision, first_instant: str) -> None:
    assert precision(text) is expected
    assert instant(happened_at(text)) == first_instant


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_text_raises_anything_but_that_it_is_impossible(text: str, time: str) -> None:
    for read in (lambda: day(text), lambda: moment(text), lambda: moment(text, time)):
        with contextlib.suppress(ImpossibleError):
            assert precision(read()) in Precision


@given(st.dates(min_value=date(1850, 1, 1), max_value=date(2199, 12, 31)))
def test_every_day_is_the_same_however_it_is_written(any_day: date) -> None:
    written = (any_day.strftime(form) for form in ("%d/%m/%Y", "%Y-%m-%d", "%Y%m%d", "%d %B %Y", "%a %d-%b-%Y"))
    assert {day(text) for text in written} == {any_day.isoformat()}


@pytest.mark.parametrize(
    "hostile", ["1" * 1_000_000, "1111T" * 200_000, "3 Feb " * 100_000, " " * 1_000_000, "0." + "9" * 1_000_000]
)
def test_a_megabyte_is_refused_at_once(hostile: str) -> None:
    for read in (lambda: day(hostile), lambda: moment(hostile), lambda: moment("03/02/2026", hostile)):
        with pytest.raises(ImpossibleError):
            read()
