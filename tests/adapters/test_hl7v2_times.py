"""Dates and times of every precision and spelling, and the two nights of the year on which the clocks change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.content.reading import TIME_RULES
from adapters.hl7v2.text.times import moment
from schemas.event import instant
from tests.samples.hl7v2.northfield import event, focus, item, message, patient

READ = [
    ("2026", "2026", "2026-01-01T00:00:00.000Z", "year"),
    ("202602", "2026-02", "2026-02-01T00:00:00.000Z", "month"),
    ("20260203", "2026-02-03", "2026-02-03T00:00:00.000Z", "day"),
    ("20260703", "2026-07-03", "2026-07-02T23:00:00.000Z", "day"),
    ("2026020310", "2026-02-03T10:00:00+00:00", "2026-02-03T10:00:00.000Z", "minute"),
    ("202602031015", "2026-02-03T10:15:00+00:00", "2026-02-03T10:15:00.000Z", "minute"),
    ("20260203101530", "2026-02-03T10:15:30+00:00", "2026-02-03T10:15:30.000Z", "second"),
    ("20260703101530", "2026-07-03T10:15:30+01:00", "2026-07-03T09:15:30.000Z", "second"),
    ("20260203101530.5", "2026-02-03T10:15:30.500+00:00", "2026-02-03T10:15:30.500Z", "second"),
    ("20260203101530.1234", "2026-02-03T10:15:30.123+00:00", "2026-02-03T10:15:30.123Z", "second"),
    ("20260203101530+0000", "2026-02-03T10:15:30+00:00", "2026-02-03T10:15:30.000Z", "second"),
    ("20260203101530-0500", "2026-02-03T15:15:30+00:00", "2026-02-03T15:15:30.000Z", "second"),
    ("202607031015+0100", "2026-07-03T10:15:00+01:00", "2026-07-03T09:15:00.000Z", "minute"),
    ("20260203+0100", "2026-02-03", "2026-02-03T00:00:00.000Z", "day"),
    ("2025-05-05 23:23:28", "2025-05-05T23:23:28+01:00", "2025-05-05T22:23:28.000Z", "second"),
    ("2026-02-03T10:15:30Z", "2026-02-03T10:15:30+00:00", "2026-02-03T10:15:30.000Z", "second"),
    ("1926-08-11", "1926-08-11", "1926-08-10T23:00:00.000Z", "day"),
    ("19760121+", "1976-01-21", "1976-01-21T00:00:00.000Z", "day"),
    ("19691201120000", "1969-12-01T12:00:00+01:00", "1969-12-01T11:00:00.000Z", "second"),
]


@pytest.mark.parametrize(("sent", "fhir", "utc", "precision"), READ)
def test_a_time_is_read_to_its_precision(sent: str, fhir: str, utc: str, precision: str) -> None:
    read = moment(sent)
    assert read is not None
    assert (read.fhir, read.utc, read.precision, read.missing_hour) == (fhir, utc, precision, False)
    assert instant(read.at) == utc


CLOCKS = [
    ("the hour before it comes twice", "20261025005959", "2026-10-24T23:59:59.000Z", False),
    ("twice, so the first", "20261025010000", "2026-10-25T00:00:00.000Z", False),
    ("twice, and the offset says the first", "20261025013000+0100", "2026-10-25T00:30:00.000Z", False),
    ("twice, and the offset says the second", "20261025013000+0000", "2026-10-25T01:30:00.000Z", False),
    ("after it came twice", "20261025020000", "2026-10-25T02:00:00.000Z", False),
    ("before the missing hour", "20260329005959", "2026-03-29T00:59:59.000Z", False),
    ("missing: as if the clocks had not gone forward", "20260329010000", "2026-03-29T01:00:00.000Z", True),
    ("missing, near its end", "20260329015959", "2026-03-29T01:59:59.000Z", True),
    ("missing, but an offset says which instant", "20260329013000+0000", "2026-03-29T01:30:00.000Z", False),
    ("after the missing hour", "20260329020000", "2026-03-29T01:00:00.000Z", False),
]


@pytest.mark.parametrize(("_", "sent", "utc", "missing"), CLOCKS)
def test_the_clocks_go_back_and_forward(_: str, sent: str, utc: str, missing: bool) -> None:
    read = moment(sent)
    assert read is not None
    assert (read.utc, read.missing_hour) == (utc, missing)


def test_a_time_in_the_missing_hour_is_taken_as_a_real_instant_and_flagged() -> None:
    made = item(message("A02", {"EVN-6": "20250330013000"}))
    assert made.events[0].time == "2025-03-30T01:30:00.000Z"
    assert made.flags == ("time-in-missing-hour at EVN-6",)


NO_TIMES = [
    "",
    "0",
    "0000",
    "00000101",
    "00010101",
    "99991231",
    "20260231",
    "20260013",
    "20260000",
    "2026020324",
    "202602031060",
]
NO_TIMES += [
    "20260203101560",
    "20260203101530+9900",
    "20260203101530+1460",
    "yesterday",
    "2026-2-3",
    "٢٠٢٦٠٢٠٣",
    "²⁰²⁶⁰²⁰³",
    "1849",
]


@pytest.mark.parametrize("sent", NO_TIMES)
def test_what_is_no_time_is_none(sent: str) -> None:
    assert moment(sent) is None


@given(st.text(max_size=30))
def test_no_text_breaks_it(sent: str) -> None:
    read = moment(sent)
    assert read is None or instant(read.at) == read.utc


@given(st.from_regex(r"\d{4,18}([.]\d{1,4})?([+-]\d{4})?", fullmatch=True))
def test_no_digits_break_it_and_text_order_is_time_order(sent: str) -> None:
    read = moment(sent)
    if read is not None:
        assert instant(read.at) == read.utc
        assert len(read.utc) == 24


IMPOSSIBLE = [
    ("A02", "EVN-6", "invalid-value"),
    ("A02", "EVN-2", "time-invalid at EVN-2"),
    ("A02", "MSH-7", None),
    ("A01", "PV1-44", "time-invalid at PV1-44"),
    ("A03", "PV1-45", "time-invalid at PV1-45"),
    ("A05", "PV2-8", "time-invalid at PV2-8"),
    ("A16", "PV2-9", "time-invalid at PV2-9"),
    ("A16", "ZU1-24", "time-invalid at ZU1-24"),
    ("A05", "EVN-3", "time-invalid at EVN-3"),
    ("A31", "PID-7", "time-invalid at PID-7"),
    ("A31", "PID-29", "time-invalid at PID-29"),
]


@pytest.mark.parametrize(("trigger", "field", "said"), IMPOSSIBLE)
@pytest.mark.parametrize("sent", ["20260231", "0000", "99991231", "unknown"])
def test_an_impossible_time_is_rejected_where_it_says_when_and_left_out_elsewhere(
    trigger: str, field: str, said: str | None, sent: str
) -> None:
    made = item(message(trigger, {field: sent}))
    if said == "invalid-value":
        assert made.rejection is not None
        assert (made.rejection.error.code, made.rejection.error.where) == (said, field)
    else:
        assert made.rejection is None
        assert made.flags == ((said,) if said else ())


def test_every_field_that_holds_a_time_has_a_rule_for_impossible_ones() -> None:
    assert {field for _, field, _ in IMPOSSIBLE} == set(TIME_RULES)


FUTURE = [
    ("A02", "EVN-6", "time-in-future at EVN-6"),
    ("A31", "PID-7", "time-in-future at PID-7"),
    ("A16", "PV2-9", None),
    ("A05", "PV2-8", None),
]


@pytest.mark.parametrize(("trigger", "field", "flag"), FUTURE)
def test_a_time_in_the_future_is_flagged_unless_it_is_a_plan(trigger: str, field: str, flag: str | None) -> None:
    assert item(message(trigger, {field: "20270101"})).flags == ((flag,) if flag else ())


def test_a_clock_that_is_a_little_ahead_is_believed() -> None:
    made = item(message("A02", {"EVN-6": "20260211140000"}))
    assert (made.flags, made.events[0].time) == ((), "2026-02-11T14:00:00.000Z")


@pytest.mark.parametrize(("sent", "flags"), [("20260211235959", ()), ("20260212000000", ("time-in-future at EVN-6",))])
def test_the_day_after_the_day_of_receipt_is_the_last_that_is_believed(sent: str, flags: tuple[str, ...]) -> None:
    assert item(message("A02", {"EVN-6": sent})).flags == flags


def test_nobody_has_a_date_of_birth_that_cannot_be() -> None:
    assert "birthDate" not in patient(message("A31", {"PID-7": "20270101"}))


def test_a_birth_date_is_the_day_that_was_written() -> None:
    assert patient(message(changes={"PID-7": "19410609003000"}))["birthDate"] == "1941-06-09"
    assert patient(message(changes={"PID-7": "1941"}))["birthDate"] == "1941"


def test_a_stay_that_ends_before_it_began_has_no_end() -> None:
    made = item(message("A08", {"PV1-45": "20260101"}))
    assert made.flags == ("times-contradict at PV1-45",)
    assert focus(message("A08", {"PV1-45": "20260101"}))["period"] == {"start": "2026-02-02T21:40:00+00:00"}


def test_an_expected_discharge_just_after_midnight_in_summer_is_on_the_day_people_mean() -> None:
    made = focus(message("A16", {"PV2-9": "20260610003000"}))
    assert made["extension"][-1]["valueDateTime"] == "2026-06-10T00:30:00+01:00"


def test_the_day_of_an_event_without_a_time_is_londons() -> None:
    made = event(message("A02", {"EVN-6": "20250703"}))
    assert (made.time, made.timeprecision) == ("2025-07-02T23:00:00.000Z", "day")
