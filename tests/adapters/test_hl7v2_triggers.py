"""Each trigger makes the events written beside its sample: which facts, of which stay or person, when, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle

from adapters.hl7v2.content.triggers import TRIGGERS
from schemas.event import Event, encode, payload
from schemas.fhir.bundle import focus_of
from schemas.fhir.check import faults_in
from schemas.source import VisitNumbersAre
from tests.samples.hl7v2 import northfield
from tests.samples.hl7v2.northfield import ARRIVAL, PSEUDONYMS, RECORD, SOURCE, event, events, focus, item, message, sentence

SAMPLES = sorted(Path(northfield.__file__).parent.glob("*.hl7"))
LATER = northfield.ARRIVAL._replace(received_at=datetime(2026, 2, 14, 15, 0, tzinfo=UTC))


def fact(*natural_key: str) -> str:
    return PSEUDONYMS.fact(SOURCE.id, *natural_key)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_makes_the_events_beside_it(sample: Path) -> None:
    expected = json.loads(sample.with_suffix(".json").read_text(encoding="utf-8"))
    made = item(sample.read_bytes(), LATER)
    assert [_shown(one) for one in made.events] == [_named(one) for one in expected["events"]]
    assert list(made.flags) == expected.get("flags", [])


def _shown(one: Event) -> dict[str, Any]:
    about = focus_of(payload(one))
    shown = {"type": one.type, "fact": one.subject, "time": one.time, "precision": one.timeprecision}
    return shown | ({"status": about["status"]} if "status" in about else {})


def _named(expected: Mapping[str, Any]) -> dict[str, Any]:
    return {**expected, "fact": fact(*(RECORD if part == "RECORD" else part for part in expected["fact"]))}


def test_every_trigger_has_a_sample() -> None:
    assert {sample.stem[:3].upper() for sample in SAMPLES} == set(TRIGGERS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_every_payload_is_fhir_by_our_schema_and_by_an_independent_one(sample: Path) -> None:
    for one in item(sample.read_bytes(), LATER).events:
        assert faults_in(payload(one)) == []
        Bundle.model_validate(payload(one))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_translated_twice_gives_the_same_bytes(sample: Path) -> None:
    first, second = (item(sample.read_bytes(), LATER) for _ in range(2))
    assert [encode(one) for one in first.events] == [encode(one) for one in second.events]


CANCELLATIONS = [
    ("A01", "A11", {}),
    ("A02", "A12", {}),
    ("A03", "A13", {"PV1-45": "20260210143000"}),
    ("A04", "A11", {"PV1-2": "E"}),
    ("A04", "A11", {"PV1-2": "O"}),
    ("A05", "A38", {"PV1-2": "P"}),
    ("A14", "A27", {}),
    ("A15", "A26", {"PV1-42": "AMU"}),
    ("A16", "A25", {}),
    ("A21", "A52", {}),
    ("A22", "A53", {}),
]


@pytest.mark.parametrize(("trigger", "cancels", "changes"), CANCELLATIONS)
def test_a_cancellation_names_exactly_the_fact_it_cancels_and_comes_after_it(
    trigger: str, cancels: str, changes: Mapping[str, str]
) -> None:
    happened = event(message(trigger, changes))
    cancelled = event(message(cancels, {**changes, "EVN-2": "20260210145900"}))
    assert cancelled.type == "encounter-cancelled-1"
    assert cancelled.subject == happened.subject
    assert cancelled.order > happened.order
    assert cancelled.correlationid == happened.correlationid != ""


@pytest.mark.parametrize("trigger", ["A02", "A21", "A22"])
def test_what_happens_several_times_in_a_visit_is_several_facts(trigger: str) -> None:
    one, other = (event(message(trigger, {"EVN-6": f"202602{day}120000"})) for day in ("03", "04"))
    assert one.subject != other.subject
    assert one.correlationid == other.correlationid


def test_a_cancellation_that_gives_another_time_is_translated_and_says_what_of_which_visit() -> None:
    moved = event(message("A02", {"EVN-6": "20260203105500"}))
    cancelled = event(message("A12", {"EVN-6": "20260203113000"}))
    assert cancelled.subject != moved.subject
    assert cancelled.correlationid == moved.correlationid
    assert sentence(cancelled).startswith("Move cancelled")


def test_a_fact_stated_again_after_its_cancellation_stands_again() -> None:
    orders = [
        event(message(trigger, {"EVN-2": f"2026021014{minute}00"})).order
        for trigger, minute in (("A03", 31), ("A13", 35), ("A03", 40))
    ]
    assert orders == sorted(orders)


def test_an_old_snapshot_sent_late_does_not_come_after_a_new_one() -> None:
    new = event(message("A08", {"EVN-6": "20260205120000", "EVN-2": "20260205120100"}))
    old = event(message("A08", {"EVN-6": "20260204120000", "EVN-2": "20260206080000"}))
    assert old.order < new.order


def test_of_two_messages_at_one_time_the_sequence_number_decides() -> None:
    ninth, tenth = (event(message("A08", {"MSH-13": number})).order for number in ("9", "10"))
    assert ninth < tenth


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A08"])
def test_a_snapshot_sent_again_is_the_same_resource(trigger: str) -> None:
    again = {"MSH-7": "20260210150000", "MSH-10": "NF00000099", "EVN-2": "20260210150000"}
    assert focus(message(trigger)) == focus(message(trigger, again))


@pytest.mark.parametrize("trigger", sorted(set(TRIGGERS) - {"A11", "A16", "A25", "A27", "A34", "A35", "A38", "A40"}))
def test_a_discharge_plan_in_any_message_is_one_fact_of_the_visit(trigger: str) -> None:
    planned = event(message("A16", {"PV2-9": "20260212"}))
    made = events(message(trigger, {"PV2-9": "20260212", "ZU1-22": "Y"}))
    (plan,) = [one for one in made if one.type == "encounter-discharge-planned-1"]
    assert plan.subject == planned.subject
    assert sentence(plan).endswith(", for 12 February 2026: medically fit")


@pytest.mark.parametrize("changes", [{"ZU1-22": "N"}, {"PV2-9": '""'}, {"ZU1-22": '""', "ZU1-24": '""'}])
def test_a_plan_that_no_longer_holds_is_withdrawn(changes: Mapping[str, str]) -> None:
    planned = event(message("A16", {"PV2-9": "20260212"}))
    _, withdrawn = events(message("A08", changes))
    assert (withdrawn.type, withdrawn.subject) == ("encounter-cancelled-1", planned.subject)


def test_not_medically_fit_at_admission_withdraws_nothing() -> None:
    assert [one.type for one in events(message("A01", {"ZU1-22": "N"}))] == ["encounter-admitted-1"]


DEATHS = [
    ("PID-29 and PID-30", "A31", {"PID-29": "20260209", "PID-30": "Y"}, ("2026-02-09T00:00:00.000Z", "day")),
    ("PID-29 alone", "A08", {"PID-29": "202602091415"}, ("2026-02-09T14:15:00.000Z", "minute")),
    ("a day filled up with midnight", "A31", {"PID-29": "20260209000000"}, ("2026-02-09T00:00:00.000Z", "day")),
    ("PID-30 alone", "A31", {"PID-30": "Y"}, ("2026-02-10T14:30:00.000Z", "second")),
    ("discharge method", "A03", {"PV1-36": "4", "PV1-45": "20260210142000"}, ("2026-02-10T14:20:00.000Z", "second")),
    ("discharge destination", "A03", {"PV1-37": "79"}, ("2026-02-10T14:30:00.000Z", "second")),
]


@pytest.mark.parametrize(("_", "trigger", "changes", "died"), DEATHS)
def test_a_death_is_one_fact_of_the_record_however_it_is_said(
    _: str, trigger: str, changes: Mapping[str, str], died: tuple[str, str]
) -> None:
    (death,) = [one for one in events(message(trigger, changes)) if one.type == "person-died-1"]
    assert death.subject == fact("person", RECORD, "died")
    assert (death.time, death.timeprecision) == died
    assert focus_of(payload(death)).keys() & {"deceasedBoolean", "deceasedDateTime"}


NO_DEATHS = [
    ("not dead", "A08", {"PID-30": "N"}, ()),
    ("a date that is none", "A08", {"PID-29": "N"}, ("time-invalid at PID-29",)),
    ("a date in the future", "A08", {"PID-29": "20300101"}, ("time-in-future at PID-29",)),
    ("a date, and not dead", "A08", {"PID-29": "20260209", "PID-30": "N"}, ("death-contradicted at PID-30",)),
    ("discharged dead, and not dead", "A03", {"PV1-36": "4", "PID-30": "N"}, ("death-contradicted at PV1-36",)),
    ("stillborn", "A03", {"PV1-36": "5", "PV1-37": "79"}, ()),
]


@pytest.mark.parametrize(("_", "trigger", "changes", "flags"), NO_DEATHS)
def test_nobody_is_called_dead_in_doubt(_: str, trigger: str, changes: Mapping[str, str], flags: tuple[str, ...]) -> None:
    made = item(message(trigger, changes))
    assert [one.type for one in made.events if one.type == "person-died-1"] == []
    assert made.flags == flags


@pytest.mark.parametrize(
    ("trigger", "changes"),
    [("A31", {"PID-30": "N"}), ("A13", {}), ("A08", {"PID-29": '""'}), ("A31", {"PID-29": '""', "PID-30": '""'})],
)
def test_a_death_stated_by_mistake_is_withdrawn(trigger: str, changes: Mapping[str, str]) -> None:
    withdrawn = events(message(trigger, changes))[-1]
    assert (withdrawn.type, withdrawn.subject) == ("entry-withdrawn-1", fact("person", RECORD, "died"))


TIMES = [
    ("EVN-6 says when", "A03", {"PV1-45": "20260210142000"}, (), "2026-02-10T14:30:00.000Z"),
    ("else the discharge", "A03", {"PV1-45": "20260210142000"}, ("EVN-6",), "2026-02-10T14:20:00.000Z"),
    ("else the admission", "A01", {}, ("EVN-6",), "2026-02-02T21:40:00.000Z"),
    ("else when it was recorded", "A02", {}, ("EVN-6",), "2026-02-10T14:33:00.000Z"),
    ("else when it was sent", "A02", {}, ("EVN",), "2026-02-10T14:33:05.000Z"),
]


@pytest.mark.parametrize(("_", "trigger", "changes", "without", "time"), TIMES)
def test_when_it_happened(_: str, trigger: str, changes: Mapping[str, str], without: tuple[str, ...], time: str) -> None:
    assert event(message(trigger, changes, without)).time == time


SENSITIVITIES = [
    ({"PV1-16": "N"}, "N"),
    ({"PV1-16": "I"}, "N"),
    ({"PV1-16": "Y"}, "R"),
    ({"PV1-16": "S"}, "V"),
    ({"ZU8-4": "1"}, "V"),
    ({"ZU8-4": "2", "PV1-16": "Y"}, "V"),
    ({"ZU8-4": "0"}, "N"),
]


@pytest.mark.parametrize(("changes", "asked"), SENSITIVITIES)
def test_all_events_of_a_message_are_as_guarded_as_it_asks(changes: Mapping[str, str], asked: str) -> None:
    made = events(message("A03", {**changes, "PV1-36": "4", "PV2-9": "20260210"}))
    assert [one.dataclassification for one in made] == [asked] * 3


def test_a_discharge_reads_as_a_sentence() -> None:
    made = event(message("A03", {"PV1-37": "19"}))
    assert sentence(made) == "Discharged from Kingsmill Ward, Northfield Hospital, to own home"


def test_a_plan_says_what_is_planned_and_for_when() -> None:
    stay = event(message("A14", {"PV2-8": "20260301"}))
    assert sentence(stay) == "Stay planned at Kingsmill Ward, Northfield Hospital, for 1 March 2026"
    move = event(message("A15", {"PV1-42": "NR^^^RX1"}))
    assert sentence(move) == "Move planned to NR, Northfield Hospital"


def test_an_attendance_that_was_none_is_not_called_one() -> None:
    outpatient = {"PV1-2": "O", "ZU3-3": "3"}
    assert event(message("A04", outpatient)).type == "contact-missed-1"
    assert event(message("A04", {**outpatient, "ZU3-3": "2"})).type == "encounter-cancelled-1"
    assert event(message("A04", {**outpatient, "ZU3-3": "5"})).type == "encounter-attended-1"


def test_a_second_person_or_stay_in_a_message_that_merges_nothing_is_not_passed_over_in_silence() -> None:
    again = b"PID|2||NF9^^^RX1^MR||Other\rPV1|2|I|KM\r"
    found = item(message("A01") + again)
    assert found.events == item(message("A01") + again).events != ()
    assert found.flags == ("segment-repeated at PID", "segment-repeated at PV1")
    assert item(message("A01")).flags == ()


def test_without_a_visit_number_the_record_and_the_admission_name_the_stay() -> None:
    admitted, moved = (item(message(trigger, without=["PV1-19"])) for trigger in ("A01", "A02"))
    assert admitted.events[0].correlationid == moved.events[0].correlationid != ""
    assert admitted.flags == ("visit-number-missing at PV1-19",)


@pytest.mark.parametrize(("numbers", "shared"), [(VisitNumbersAre.UNIQUE, True), (VisitNumbersAre.PER_PATIENT, False)])
def test_two_patients_visits_of_one_number_are_one_or_two_as_the_source_says(numbers: VisitNumbersAre, shared: bool) -> None:
    arrival = ARRIVAL._replace(source=msgspec.structs.replace(SOURCE, visit_numbers=numbers))
    hers, moved = (event(message(trigger), arrival) for trigger in ("A01", "A02"))
    his = event(message("A01", {"PID-3": "NF300300^^^RX1^MR"}), arrival)
    assert (hers.subject == his.subject) is shared
    assert (hers.correlationid == his.correlationid) is shared
    assert hers.correlationid == moved.correlationid != "", "one patient's messages of one number are of one visit"


def test_a_merge_links_the_surviving_record_to_each_one_it_replaces() -> None:
    raw = message("A40", {"MRG-1": "NF1^^^RX1^MR"}, ["PV1", "PV2"])
    pid = raw[raw.index(b"PID") : raw.index(b"MRG")]
    twice = raw + pid.replace(b"NF204417", b"NF300300") + b"MRG|NF2^^^RX1^MR\r"
    first, second = events(twice)
    assert first.partitionkey == RECORD != second.partitionkey
    links = [focus_of(payload(one))["link"] for one in (first, second)]
    assert [link[0]["other"]["identifier"] for link in links] == [
        {"system": SOURCE.urn, "value": "NF1"},
        {"system": SOURCE.urn, "value": "NF2"},
    ]
    assert "generalPractitioner" not in focus_of(payload(second)), "of two people it is not said whose GP it is"
