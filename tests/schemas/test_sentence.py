"""Titles: one plain sentence, from whatever valid FHIR says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.catalogue import CATALOGUE
from schemas.fhir.check import faults_in
from schemas.resources.encounter import expected_discharge_extension, movement_extension, readiness_extension
from schemas.sentence import concept, plain_date, render, title

EXAMPLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fhir_examples.json").read_text(encoding="utf-8"))

TEMPLATES = [
    ("plain words", {}, "Plain words"),
    ("{a} and {b}", {"a": "one", "b": "two"}, "One and two"),
    ("x[ from {a}][, to {b}]", {"b": "B"}, "X, to B"),
    ("x[ from {a}, to {b}| from {a}| to {b}]", {"a": "A", "b": "B"}, "X from A, to B"),
    ("x[ from {a}, to {b}| from {a}| to {b}]", {"b": "B"}, "X to B"),
    ("x[ from {a}, to {b}| from {a}| to {b}]", {}, "X"),
    ("[{a}|contact] by {b}", {"b": "Willow"}, "Contact by Willow"),
    ("[{a}: ]{b}", {"a": "", "b": "b"}, "B"),
    ("{a}", {"a": "[{b}|{a}]", "b": "never"}, "[{b}|{a}]"),
    ("x[: {a}]", {"a": "{b} | c", "b": "never"}, "X: {b} | c"),
    ("{a}", {"a": "élan"}, "Élan"),
]


@pytest.mark.parametrize(("template", "words", "sentence"), TEMPLATES)
def test_a_template_is_filled_in(template: str, words: dict[str, str], sentence: str) -> None:
    assert render(template, words) == sentence


DATES = [
    ("2026-02-03", "3 February 2026"),
    ("2026-02-03T23:30:00+00:00", "3 February 2026"),
    ("2026-12", "December 2026"),
    ("2026", "2026"),
]


@pytest.mark.parametrize(("text", "words"), DATES)
def test_a_date_is_said_as_people_say_it(text: str, words: str) -> None:
    assert plain_date(text) == words


CONCEPTS: list[tuple[Any, str]] = [
    ({"text": "Meals"}, "Meals"),
    ({"text": "Meals", "coding": [{"display": "Hot meals"}]}, "Meals"),
    ({"coding": [{"code": "1"}, {"display": "Hot meals"}]}, "Hot meals"),
    ([{"coding": [{"code": "1"}]}, {"text": "Meals"}], "Meals"),
    ([], ""),
    ({}, ""),
    (None, ""),
    ("Meals", ""),
]


@pytest.mark.parametrize(("element", "words"), CONCEPTS)
def test_a_concept_is_said_by_its_first_words(element: Any, words: str) -> None:
    assert concept(element) == words


IMP = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}}
WARD = {"location": {"display": "Kingsmill Ward"}}
HOSPITAL = {"serviceProvider": {"display": "Northfield Hospital"}}
HOME = {"hospitalization": {"dischargeDisposition": {"text": "own home"}}}
PATIENT = {"reference": "Patient/1"}
TASK = {"resourceType": "Task", "status": "rejected", "intent": "plan"}
REQUEST = {"resourceType": "ServiceRequest", "status": "active", "intent": "plan", "subject": PATIENT}
CARER = {"resourceType": "RelatedPerson", "patient": PATIENT}
GOAL = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Walk to the shop"}, "subject": PATIENT}
ALARM = {"resourceType": "Communication", "status": "completed"}

SENTENCES: list[tuple[str, dict[str, Any], str]] = [
    (
        "encounter-discharged-1",
        IMP | {"location": [WARD]} | HOSPITAL | HOME,
        "Discharged from Kingsmill Ward, Northfield Hospital, to own home",
    ),
    ("encounter-discharged-1", IMP | HOME, "Discharged to own home"),
    ("encounter-admitted-1", IMP | {"location": [WARD]}, "Admitted to Kingsmill Ward"),
    ("encounter-admitted-1", IMP, "Admitted at Willow Befriending"),
    ("encounter-transferred-1", IMP, "Moved within Willow Befriending"),
    ("encounter-attended-1", IMP, "Seen by Willow Befriending"),
    ("encounter-changed-1", IMP | {"extension": [movement_extension("leave of absence")]}, "Leave of absence"),
    (
        "encounter-changed-1",
        IMP | {"location": [WARD], "extension": [movement_extension("return from leave")]},
        "Return from leave, Kingsmill Ward",
    ),
    ("encounter-changed-1", IMP | {"location": [WARD]}, "Details of the stay updated at Kingsmill Ward"),
    ("encounter-cancelled-1", IMP, "Stay cancelled"),
    ("referral-requested-1", REQUEST, "Referred by Willow Befriending"),
    ("referral-changed-1", REQUEST | {"code": {"text": "befriending"}}, "Referral for befriending updated"),
    ("referral-cancelled-1", REQUEST | {"code": {"text": "befriending"}}, "Referral for befriending cancelled"),
    ("notice-given-1", REQUEST | {"code": {"text": "assessment"}}, "Council told that care may be needed: assessment"),
    ("notice-answered-1", REQUEST, "Council answered the hospital"),
    ("notice-withdrawn-1", REQUEST, "Hospital took back its notice to the council"),
    ("carer-ended-1", CARER | {"name": [{"text": "Joan Example"}]}, "No longer a carer: Joan Example"),
    (
        "encounter-discharge-planned-1",
        IMP | {"extension": [readiness_extension("medically fit"), expected_discharge_extension("2026-02-03")]},
        "Discharge planned for 3 February 2026: medically fit",
    ),
    ("encounter-cancelled-1", IMP | {"extension": [movement_extension("discharge")]}, "Discharge cancelled"),
    ("encounter-planned-1", IMP | {"type": [{"text": "appointment"}]}, "Appointment planned"),
    (
        "encounter-planned-1",
        IMP | {"location": [WARD], "period": {"start": "2026-03-01"}},
        "Stay planned at Kingsmill Ward, for 1 March 2026",
    ),
    (
        "encounter-planned-1",
        IMP
        | {
            "location": [WARD | {"status": "planned"}, {"location": {"display": "Assessment Unit"}, "status": "active"}],
            "period": {"start": "2026-02-02"},
        },
        "Move planned to Kingsmill Ward",
    ),
    ("contact-made-1", IMP | {"type": [{"text": "Home visit"}]}, "Home visit by Willow Befriending"),
    ("contact-made-1", IMP, "Contact by Willow Befriending"),
    ("contact-missed-1", IMP | {"reasonCode": [{"text": "no answer"}]}, "Missed contact by Willow Befriending: no answer"),
    (
        "referral-requested-1",
        REQUEST | {"code": {"text": "befriending"}, "performer": [{}, {"display": "Willow Befriending"}]},
        "Referred for befriending to Willow Befriending",
    ),
    (
        "referral-declined-1",
        TASK | {"owner": {"display": "Willow Befriending"}, "statusReason": {"text": "no volunteer nearby"}},
        "Referral declined by Willow Befriending: no volunteer nearby",
    ),
    ("alarm-raised-1", ALARM | {"reasonCode": [{"text": "fall"}]}, "Alarm raised: fall"),
    (
        "goal-progressed-1",
        GOAL | {"achievementStatus": {"text": "improving"}},
        "Progress towards a goal: Walk to the shop, improving",
    ),
    (
        "carer-named-1",
        CARER | {"name": [{"given": [None, "Joan"], "_given": [{"id": "a"}, None], "family": "Example"}]},
        "Carer named: Joan Example",
    ),
    ("carer-named-1", CARER | {"relationship": [{"text": "daughter"}]}, "Carer named: daughter"),
    ("person-registered-1", {"resourceType": "Patient"}, "Registered with Willow Befriending"),
    (
        "alert-raised-1",
        {"resourceType": "Flag", "status": "active", "code": {"text": "Key safe\n  at the\tdoor"}, "subject": PATIENT},
        "Alert: Key safe at the door",
    ),
]


@pytest.mark.parametrize(("name", "focus", "sentence"), SENTENCES)
def test_a_resource_is_told_in_one_sentence(name: str, focus: dict[str, Any], sentence: str) -> None:
    assert title(CATALOGUE[name].title, focus, "Willow Befriending") == sentence


@pytest.mark.parametrize("focus", [row[1] for row in SENTENCES if "{}" not in str(row[1])])
def test_the_sentences_above_are_of_valid_resources(focus: dict[str, Any]) -> None:
    assert faults_in(focus) == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_valid_resource_leaves_a_title_speechless(example: str) -> None:
    focus = EXAMPLES[example]
    for row in CATALOGUE.values():
        if row.focus in (focus["resourceType"], "Resource"):
            assert title(row.title, focus, "Willow Befriending")[0].isupper()


ENTRIES = [
    {"fullUrl": "urn:uuid:a", "resource": {"resourceType": "Organization", "name": "Willow Befriending"}},
    {"resource": {"resourceType": "Practitioner", "id": "1", "name": [{"given": ["Joan"], "family": "Example"}]}},
    {"fullUrl": "urn:uuid:c", "resource": {"resourceType": "PractitionerRole"}},
]
CALLED = [
    ({"reference": "urn:uuid:a"}, "Referred to Willow Befriending"),
    ({"reference": "urn:uuid:a", "display": "Willow"}, "Referred to Willow"),
    ({"reference": "Practitioner/1"}, "Referred to Joan Example"),
    ({"reference": "urn:uuid:c"}, "Referred by Northfield Surgery"),
    ({"reference": "urn:uuid:elsewhere"}, "Referred by Northfield Surgery"),
    ({"identifier": {"value": "a"}}, "Referred by Northfield Surgery"),
]


@pytest.mark.parametrize(("performer", "sentence"), CALLED)
def test_what_a_reference_leads_to_is_called_by_its_own_name(performer: dict[str, Any], sentence: str) -> None:
    request = REQUEST | {"performer": [performer]}
    assert title(CATALOGUE["referral-requested-1"].title, request, "Northfield Surgery", ENTRIES) == sentence


def test_a_category_without_text_is_no_service() -> None:
    request = REQUEST | {"category": [{"coding": [{"code": "validation", "display": "For Validation"}]}, {"text": "a fall"}]}
    assert title(CATALOGUE["referral-requested-1"].title, request, "Northfield Surgery") == "Referred for a fall"


def test_a_long_word_is_cut_at_a_blank() -> None:
    summary = {"resourceType": "CarePlan", "title": "word " * 100}
    sentence = title(CATALOGUE["plan-agreed-1"].title, summary, "Willow Befriending")
    assert sentence.endswith("word…")
    assert len(sentence) < 140


def test_a_long_word_without_a_blank_is_cut_all_the_same() -> None:
    sentence = title(CATALOGUE["plan-agreed-1"].title, {"resourceType": "CarePlan", "title": "x" * 500}, "Willow Befriending")
    assert sentence.endswith("x…")
    assert len(sentence) < 140
