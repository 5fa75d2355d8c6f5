"""What each resource says in each state, and when it happened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from adapters.fhir.rules import FACTS, KINDS, TIMES, WITHDRAWN
from adapters.tabular.mapping.complete import FOCUS_RULES
from schemas.catalogue import CATALOGUE
from schemas.event import Precision, payload
from schemas.fhir.bundle import focus_of
from schemas.sentence import title
from tests.adapters.fhir_cases import (
    ARRIVAL,
    ARRIVED,
    LEAST,
    LOCAL,
    PATIENT,
    SOURCE,
    Resource,
    bundle,
    event,
    only,
    refusal,
    resource,
)

AMB, HOME = {"class_": {"code": "AMB"}}, {"class_": {"code": "HH"}}
NOTICE = {"code": {"coding": [{"system": "http://snomed.info/sct", "code": "975701000000106"}]}}
ALARM = {"category": [{"coding": [{"code": "alert"}]}]}
ABOUT_ME = {"questionnaire": "https://example.org/Questionnaire/About-Me|1"}
PROGRESS = {"achievementStatus": {"text": "improving"}}

SAYS: list[tuple[str, str, dict[str, Any], str]] = [
    ("Encounter", "planned", {}, "encounter-planned-1"),
    ("Encounter", "arrived", {}, "encounter-admitted-1"),
    ("Encounter", "triaged", {}, "encounter-admitted-1"),
    ("Encounter", "in-progress", {}, "encounter-admitted-1"),
    ("Encounter", "in-progress", AMB, "encounter-attended-1"),
    ("Encounter", "in-progress", HOME, "contact-made-1"),
    ("Encounter", "onleave", {}, "encounter-changed-1"),
    ("Encounter", "finished", {}, "encounter-discharged-1"),
    ("Encounter", "finished", AMB, "encounter-attended-1"),
    ("Encounter", "finished", {"class_": {"code": "EMER"}}, "encounter-attended-1"),
    ("Encounter", "finished", {"class_": {"display": "no code"}}, "encounter-attended-1"),
    ("Encounter", "finished", HOME, "contact-made-1"),
    ("Encounter", "cancelled", {}, "encounter-cancelled-1"),
    ("Appointment", "booked", {}, "encounter-planned-1"),
    ("Appointment", "pending", {}, "encounter-planned-1"),
    ("Appointment", "waitlist", {}, "encounter-planned-1"),
    ("Appointment", "fulfilled", {}, "encounter-attended-1"),
    ("Appointment", "checked-in", {}, "encounter-attended-1"),
    ("Appointment", "noshow", {}, "contact-missed-1"),
    ("Appointment", "cancelled", {}, "encounter-cancelled-1"),
    ("ServiceRequest", "active", {}, "referral-requested-1"),
    ("ServiceRequest", "on-hold", {}, "referral-changed-1"),
    ("ServiceRequest", "revoked", {}, "referral-cancelled-1"),
    ("ServiceRequest", "completed", {}, "referral-completed-1"),
    ("ServiceRequest", "active", NOTICE, "notice-given-1"),
    ("ServiceRequest", "completed", NOTICE, "notice-answered-1"),
    ("ServiceRequest", "revoked", NOTICE, "notice-withdrawn-1"),
    ("Task", "accepted", {}, "referral-accepted-1"),
    ("Task", "in-progress", {}, "referral-accepted-1"),
    ("Task", "rejected", {}, "referral-declined-1"),
    ("Task", "completed", {}, "referral-completed-1"),
    ("Task", "completed", {"focus": {"type": "ServiceRequest", "identifier": {"value": "1"}}}, "referral-completed-1"),
    ("EpisodeOfCare", "active", {}, "service-started-1"),
    ("EpisodeOfCare", "onhold", {}, "service-changed-1"),
    ("EpisodeOfCare", "finished", {}, "service-ended-1"),
    ("EpisodeOfCare", "cancelled", {}, "service-ended-1"),
    ("ClinicalImpression", "completed", {}, "assessment-completed-1"),
    ("Flag", "active", {}, "alert-raised-1"),
    ("Flag", "inactive", {}, "alert-cleared-1"),
    ("Communication", "completed", ALARM, "alarm-raised-1"),
    ("Communication", "in-progress", {"category": [{"text": "Telecare alarm"}]}, "alarm-raised-1"),
    ("CarePlan", "active", {}, "plan-agreed-1"),
    ("CarePlan", "completed", {}, "plan-reviewed-1"),
    ("CarePlan", "revoked", {}, "plan-reviewed-1"),
    ("Goal", "active", {}, "goal-set-1"),
    ("Goal", "accepted", {}, "goal-set-1"),
    ("Goal", "active", PROGRESS, "goal-progressed-1"),
    ("Goal", "completed", {}, "goal-progressed-1"),
    ("Goal", "completed", PROGRESS, "goal-progressed-1"),
    ("Consent", "active", {}, "choice-recorded-1"),
    ("Consent", "inactive", {}, "choice-recorded-1"),
    ("DocumentReference", "current", {}, "document-received-1"),
    ("DocumentReference", "superseded", {}, "document-received-1"),
    ("QuestionnaireResponse", "completed", ABOUT_ME, "about-me-written-1"),
    ("QuestionnaireResponse", "amended", ABOUT_ME, "about-me-written-1"),
    ("RelatedPerson", "", {}, "carer-named-1"),
    ("RelatedPerson", "", {"active": True}, "carer-named-1"),
    ("RelatedPerson", "", {"active": False}, "carer-ended-1"),
    ("Patient", "", {}, "person-changed-1"),
    ("Patient", "", {"meta": {"versionId": "1"}}, "person-registered-1"),
]


def stated(resource_type: str, status: str, elements: dict[str, Any]) -> Resource:
    """The resource in that state, with its Patient unless it is one."""
    if resource_type == "Patient":
        return PATIENT | elements
    state = {KINDS[resource_type].status: status} if status else {}
    return bundle(resource(resource_type, **elements, **state), PATIENT)


@pytest.mark.parametrize(("resource_type", "status", "elements", "makes"), SAYS)
def test_a_resource_says_by_its_type_and_status(resource_type: str, status: str, elements: dict[str, Any], makes: str) -> None:
    made = event(stated(resource_type, status, elements))
    assert made.type == makes
    assert CATALOGUE[makes].focus == focus_of(payload(made))["resourceType"]
    assert title(CATALOGUE[makes].title, focus_of(payload(made)), SOURCE.name, payload(made)["entry"])


def test_every_row_of_the_tables_is_tried_above() -> None:
    tried = {(resource_type, makes) for resource_type, _, _, makes in SAYS}
    rows = {(name, rule.makes.name) for name, kind in KINDS.items() for rule in kind.rules}
    assert rows - tried == {("Patient", "person-died-1"), ("Patient", "records-merged-1")}


NOT_UNDERSTOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("Encounter", "unknown", {}),
    ("ServiceRequest", "draft", {}),
    ("Task", "requested", {}),
    ("Task", "accepted", {"focus": {"reference": "Observation/1"}}),
    ("Task", "accepted", {"focus": {"display": "something"}}),
    ("EpisodeOfCare", "waitlist", {}),
    ("ClinicalImpression", "in-progress", {}),
    ("Communication", "completed", {}),
    ("Communication", "preparation", ALARM),
    ("CarePlan", "draft", {}),
    ("Goal", "rejected", {}),
    ("Consent", "draft", {}),
    ("QuestionnaireResponse", "completed", {}),
    ("QuestionnaireResponse", "completed", {"questionnaire": "https://example.org/Questionnaire/triage"}),
]


@pytest.mark.parametrize(("resource_type", "status", "elements"), NOT_UNDERSTOOD)
def test_a_state_that_no_event_type_tells_is_kept_and_not_guessed_at(
    resource_type: str, status: str, elements: dict[str, Any]
) -> None:
    assert refusal(stated(resource_type, status, elements)) == ("unsupported", f"{resource_type}.{KINDS[resource_type].status}")


@pytest.mark.parametrize("resource_type", sorted(set(LEAST) - {"RelatedPerson"}))
def test_what_was_entered_in_error_is_withdrawn_whatever_it_had_stated(resource_type: str) -> None:
    states = [row for row in SAYS if row[0] == resource_type]
    if resource_type == "Communication":
        states = states[:1]
    facts = set()
    for _, status, elements, _ in states:
        facts.add(event(stated(resource_type, status, {"id": "x"} | elements)).subject)
    item = only(stated(resource_type, "entered-in-error", {"id": "x"}))
    assert {made.type for made in item.events} == {"entry-withdrawn-1"}
    assert facts <= {made.subject for made in item.events}
    assert {focus_of(payload(made))["resourceType"] for made in item.events} == {resource_type}


def test_a_document_whose_content_was_an_error_is_withdrawn_too() -> None:
    assert event(stated("DocumentReference", "current", {"docStatus": "entered-in-error"})).type == "entry-withdrawn-1"


def test_what_is_cancelled_is_a_version_of_what_was_planned() -> None:
    planned = event(stated("Encounter", "planned", {"id": "x"}))
    cancelled = event(stated("Encounter", "cancelled", {"id": "x"}))
    assert cancelled.subject == planned.subject
    assert cancelled.id != planned.id


def test_an_admission_and_the_discharge_after_it_are_two_facts_of_one_visit() -> None:
    admitted = event(stated("Encounter", "in-progress", {"id": "x"}))
    discharged = event(stated("Encounter", "finished", {"id": "x"}))
    assert discharged.subject != admitted.subject
    assert discharged.correlationid == admitted.correlationid != ""


DEATHS = [({"deceasedBoolean": True}, True), ({"deceasedDateTime": "2026-01-30"}, True), ({"deceasedBoolean": False}, False)]


@pytest.mark.parametrize(("elements", "dead"), DEATHS)
def test_a_patient_who_died_is_told_of_as_such(elements: dict[str, Any], dead: bool) -> None:
    types = [made.type for made in only(PATIENT | elements).events]
    assert types == ["person-changed-1", "person-died-1"][: 1 + dead]


@pytest.mark.parametrize(
    ("said", "time", "precision"),
    [
        ("2025-06-22T00:00:00+00:00", "2025-06-21T23:00:00.000Z", Precision.DAY),
        ("2025-06-22T00:00:00.000+01:00", "2025-06-21T23:00:00.000Z", Precision.DAY),
        ("2025-06-22T00:00:01+00:00", "2025-06-22T00:00:01.000Z", Precision.SECOND),
    ],
)
def test_a_day_of_death_filled_up_with_midnight_is_a_day(said: str, time: str, precision: Precision) -> None:
    (death,) = [made for made in only(PATIENT | {"deceasedDateTime": said}).events if made.type == "person-died-1"]
    assert (death.time, death.timeprecision) == (time, precision)


def test_a_patient_that_replaces_another_record_is_a_merge() -> None:
    merged = PATIENT | {"link": [{"other": {"identifier": LOCAL | {"value": "N1"}}, "type": "replaces"}]}
    assert [made.type for made in only(merged).events] == ["person-changed-1", "records-merged-1"]


MODIFIED: list[tuple[Resource, str]] = [
    (stated("Flag", "active", {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}), "Flag.modifierExtension"),
    (stated("Flag", "active", {"implicitRules": "urn:x"}), "Flag.implicitRules"),
    (stated("ServiceRequest", "active", {"doNotPerform": True}), "ServiceRequest.doNotPerform"),
    (PATIENT | {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "Patient.modifierExtension"),
]


@pytest.mark.parametrize(("document", "where"), MODIFIED)
def test_what_changes_the_meaning_of_a_resource_is_not_passed_over(document: Resource, where: str) -> None:
    assert refusal(document) == ("unsupported", where)


def test_a_request_that_may_be_performed_is_one() -> None:
    assert event(stated("ServiceRequest", "active", {"doNotPerform": False})).type == "referral-requested-1"


# --- when it happened ---------------------------------------------------------------------------------------------------------

PERIOD = {"period": {"start": "2026-02-01", "end": "2026-02-03T15:30:00+00:00"}}
UPDATED = {"meta": {"lastUpdated": "2026-02-05T10:00:00Z"}}

WHEN: list[tuple[str, str, dict[str, Any], str, Precision]] = [
    ("Encounter", "in-progress", PERIOD, "2026-02-01T00:00:00.000Z", Precision.DAY),
    ("Encounter", "finished", PERIOD, "2026-02-03T15:30:00.000Z", Precision.SECOND),
    ("Encounter", "finished", UPDATED, "2026-02-05T10:00:00.000Z", Precision.SECOND),
    ("Encounter", "finished", UPDATED | {"period": {"start": "2026-02-01"}}, "2026-02-05T10:00:00.000Z", Precision.SECOND),
    ("Encounter", "finished", {"period": {"start": "2026-02-01"}}, "2026-02-01T00:00:00.000Z", Precision.DAY),
    ("Appointment", "booked", {"start": "2026-10-12T12:30:00+01:00"}, "2026-10-12T11:30:00.000Z", Precision.SECOND),
    ("ServiceRequest", "active", {"authoredOn": "2026-07"}, "2026-06-30T23:00:00.000Z", Precision.MONTH),
    ("ServiceRequest", "active", {"occurrencePeriod": {"start": "2026"}}, "2026-01-01T00:00:00.000Z", Precision.YEAR),
    ("ServiceRequest", "revoked", UPDATED | {"authoredOn": "2026-01-01"}, "2026-02-05T10:00:00.000Z", Precision.SECOND),
    ("Task", "rejected", {"lastModified": "2026-02-02T10:00:00Z"}, "2026-02-02T10:00:00.000Z", Precision.SECOND),
    ("EpisodeOfCare", "active", PERIOD, "2026-02-01T00:00:00.000Z", Precision.DAY),
    ("EpisodeOfCare", "finished", PERIOD, "2026-02-03T15:30:00.000Z", Precision.SECOND),
    ("Flag", "active", {"period": {"start": "2026-07-01"}}, "2026-06-30T23:00:00.000Z", Precision.DAY),
    ("Communication", "completed", ALARM | {"sent": "2016-12-31T23:59:60Z"}, "2016-12-31T23:59:59.000Z", Precision.SECOND),
    ("CarePlan", "active", {"created": "2026-02-03"}, "2026-02-03T00:00:00.000Z", Precision.DAY),
    ("Goal", "active", {"startDate": "2026-02-03"}, "2026-02-03T00:00:00.000Z", Precision.DAY),
    ("Goal", "active", PROGRESS | {"statusDate": "2026-02-04"}, "2026-02-04T00:00:00.000Z", Precision.DAY),
    ("Consent", "active", {"dateTime": "2026-02-03T10:00:00.123456789Z"}, "2026-02-03T10:00:00.123Z", Precision.SECOND),
    ("DocumentReference", "current", {"date": "2026-02-03T10:00:00.5+14:00"}, "2026-02-02T20:00:00.500Z", Precision.SECOND),
    (
        "DocumentReference",
        "current",
        {"content": [{"attachment": {"creation": "2026-02-02"}}]},
        "2026-02-02T00:00:00.000Z",
        Precision.DAY,
    ),
    ("QuestionnaireResponse", "completed", ABOUT_ME | {"authored": "2026-02"}, "2026-02-01T00:00:00.000Z", Precision.MONTH),
    ("RelatedPerson", "", {"period": {"start": "2020"}}, "2020-01-01T00:00:00.000Z", Precision.YEAR),
    ("RelatedPerson", "", {"active": False} | PERIOD, "2026-02-03T15:30:00.000Z", Precision.SECOND),
    ("ClinicalImpression", "completed", {"date": "2026-02-03"}, "2026-02-03T00:00:00.000Z", Precision.DAY),
    ("Flag", "active", UPDATED, "2026-02-05T10:00:00.000Z", Precision.SECOND),
]


@pytest.mark.parametrize(("resource_type", "status", "elements", "time", "precision"), WHEN)
def test_when_it_happened_is_said_by_the_best_element_there_is(
    resource_type: str, status: str, elements: dict[str, Any], time: str, precision: Precision
) -> None:
    made = event(stated(resource_type, status, elements))
    assert (made.time, made.timeprecision) == (time, precision)


def test_without_a_word_of_its_own_the_bundles_time_holds() -> None:
    document = bundle(resource("Flag", status="active"), PATIENT, timestamp="2026-02-06T07:00:00Z")
    assert event(document).time == "2026-02-06T07:00:00.000Z"


def test_without_any_word_the_time_of_arrival_holds_and_is_flagged() -> None:
    item = only(stated("Flag", "active", {}))
    assert item.events[0].time == "2026-02-10T09:00:00.000Z"
    assert item.flags == ("time-of-arrival at Flag",)


def test_what_cannot_have_happened_yet_is_flagged_and_what_is_planned_is_not() -> None:
    assert only(stated("Flag", "active", {"period": {"start": "2027-01-01"}})).flags == ("time-in-future at time",)
    planned = only(stated("Encounter", "planned", {"class": {"code": "AMB"}, "period": {"start": "2027-01-01"}}))
    assert (planned.events[0].type, planned.flags) == ("encounter-planned-1", ())


def test_the_same_document_later_is_the_same_event() -> None:
    document = stated("Flag", "active", {"id": "x"})
    later = ARRIVAL._replace(received_at=ARRIVED + timedelta(days=1))
    assert event(document, later).id == event(document).id


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_calendar_is_refused(time: str) -> None:
    assert refusal(stated("Consent", "active", {"dateTime": time}))[0] == "invalid-value"


NOT_OF_FHIR = {
    "encounter-transferred-1": "an Encounter that goes on says that something changed, not that it was a move",
    "encounter-discharge-planned-1": "R4 has no element for a discharge that is planned",
}
"""Event types that no FHIR resource makes, and why."""


def test_every_event_type_is_made_of_a_resource_or_a_reason_says_why_not() -> None:
    made = {rule.makes.name for kind in KINDS.values() for rule in kind.rules} | {WITHDRAWN.name}
    assert made == CATALOGUE.keys() - NOT_OF_FHIR.keys()
    assert made >= FACTS.keys()


def test_the_tables_of_times_and_of_what_a_type_says_have_every_event_type() -> None:
    assert TIMES.keys() == CATALOGUE.keys()
    assert FOCUS_RULES.keys() == CATALOGUE.keys()


# --- versions ---------------------------------------------------------------------------------------------------------------

SEQUENCES: list[tuple[dict[str, Any], str]] = [
    ({"meta": {"versionId": "7"}}, "000000000007"),
    ({"meta": {"lastUpdated": "2026-02-05T11:00:00+01:00"}}, "2026-02-05T10:00:00.000Z"),
    ({"meta": {"versionId": "7", "lastUpdated": "2026-02-05T10:00:00Z"}}, "2026-02-05T10:00:00.000Z/000000000007"),
    ({"meta": {"versionId": "1.0.0-alpha", "lastUpdated": "2026-02-05T10:00:00Z"}}, "2026-02-05T10:00:00.000Z"),
    ({"meta": {"versionId": "9" * 40}}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("elements", "sequence"), SEQUENCES)
def test_versions_are_ordered_by_when_they_were_written_then_by_number(elements: dict[str, Any], sequence: str) -> None:
    assert event(stated("Flag", "active", elements)).sequence == sequence


def test_a_resource_without_a_version_is_ordered_by_its_bundle() -> None:
    document = bundle(resource("Flag", status="active"), PATIENT, timestamp="2026-02-06T07:00:00Z")
    assert event(document).sequence == "2026-02-06T07:00:00.000Z"


NAMED: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"id": "x"}, {"id": "x", "code": {"text": "b"}}, True),
    ({"id": "x"}, {"id": "y"}, False),
    (
        {"id": "x", "identifier": [{"system": "a", "value": "1"}]},
        {"id": "y", "identifier": [{"system": "a", "value": "1"}]},
        True,
    ),
    ({"identifier": [{"system": "a", "value": "1"}]}, {"identifier": [{"system": "b", "value": "1"}]}, False),
    (
        {"id": "x", "identifier": [{"use": "old", "value": "0"}, {"value": "1"}]},
        {"id": "y", "identifier": [{"value": "1"}]},
        True,
    ),
    ({}, {}, True),
    ({}, {"code": {"text": "b"}}, False),
]


@pytest.mark.parametrize(("one", "other", "same"), NAMED)
def test_a_fact_is_named_by_the_business_identifier_else_the_id_else_the_content(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    subjects = [event(stated("Flag", "active", elements)).subject for elements in (one, other)]
    assert (subjects[0] == subjects[1]) is same


GUARDED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "N"),
    ({}, {"code": "R"}, "R"),
    ({}, {"code": "V"}, "V"),
    ({}, {"code": "S"}, "V"),
    ({}, {"code": "REDACTED"}, "V"),
    ({}, {"code": "U"}, "N"),
    ({"code": "R"}, {}, "R"),
    ({"code": "R"}, {"code": "V"}, "V"),
    ({}, {"system": "urn:other", "code": "V"}, "N"),
]


@pytest.mark.parametrize(("of_flag", "of_patient", "expected"), GUARDED)
def test_a_label_on_any_resource_guards_the_event(of_flag: dict[str, Any], of_patient: dict[str, Any], expected: str) -> None:
    def labelled(label: dict[str, Any]) -> dict[str, Any]:
        system = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"}
        return {"meta": {"security": [system | label]}} if label else {}

    document = bundle(resource("Flag", status="active") | labelled(of_flag), PATIENT | labelled(of_patient))
    assert event(document).dataclassification == expected
