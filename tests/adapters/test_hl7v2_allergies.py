"""AL1: what the person must not be given stands beside what the message is about."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.allergyintolerance import AllergyIntolerance

from schemas.event import payload
from schemas.fhir.bundle import patient_reference
from tests.samples.hl7v2.northfield import RECORD, SOURCE, event, events, message

AL1 = {"AL1-1": "1", "AL1-2": "DA", "AL1-3": "91936005^Penicillin^SCT", "AL1-4": "SV", "AL1-5": "Rash~Wheezing"}
SNOMED = "http://snomed.info/sct"
OWN = f"{SOURCE.urn}:allergen"


def allergies(raw: bytes) -> list[dict[str, Any]]:
    entries = [entry["resource"] for entry in payload(events(raw)[0])["entry"]]
    return [resource for resource in entries if resource["resourceType"] == "AllergyIntolerance"]


@pytest.mark.parametrize("trigger", ["A01", "A03", "A08", "A28"])
def test_an_allergy_is_told_with_whatever_the_message_is_about(trigger: str) -> None:
    (allergy,) = allergies(message(trigger, AL1))
    assert allergy["code"] == {"coding": [{"system": SNOMED, "code": "91936005"}], "text": "Penicillin"}
    assert allergy["patient"] == patient_reference(RECORD)
    assert (allergy["category"], allergy["criticality"]) == (["medication"], "high")
    assert allergy["reaction"] == [{"manifestation": [{"text": "Rash"}, {"text": "Wheezing"}], "severity": "severe"}]
    AllergyIntolerance.model_validate(allergy)


SENT: list[tuple[str, str, str, object]] = [
    ("AL1-3", "^Penicillin", "code", {"text": "Penicillin"}),
    ("AL1-3", "PEN^Penicillin^L", "code", {"coding": [{"system": OWN, "code": "PEN"}], "text": "Penicillin"}),
    ("AL1-3", "NUTS", "code", {"coding": [{"system": OWN, "code": "NUTS"}], "text": "NUTS"}),
    ("AL1-2", "FA", "category", ["food"]),
    ("AL1-2", "PA^Pollen", "category", ["environment"]),
    ("AL1-2", "MA", "category", None),
    ("AL1-2", '""', "category", None),
    ("AL1-4", "MI", "criticality", "low"),
    ("AL1-4", "MO", "criticality", None),
    ("AL1-4", "U", "criticality", "unable-to-assess"),
    ("AL1-4", "XX", "reaction", [{"manifestation": [{"text": "Rash"}, {"text": "Wheezing"}]}]),
    ("AL1-5", "", "reaction", None),
    ("AL1-5", '""', "reaction", None),
]


@pytest.mark.parametrize(("field", "sent", "element", "value"), SENT)
def test_what_is_said_of_an_allergy(field: str, sent: str, element: str, value: object) -> None:
    (allergy,) = allergies(message("A01", AL1 | {field: sent}))
    assert allergy.get(element) == value


@pytest.mark.parametrize("sent", ["", '""', "^", '^""'])
def test_an_allergy_to_nothing_is_none(sent: str) -> None:
    assert allergies(message("A01", AL1 | {"AL1-3": sent})) == []


def test_several_are_several_in_their_order() -> None:
    raw = message("A01", AL1) + b"AL1|2|FA|^Peanuts\r"
    assert [one["code"]["text"] for one in allergies(raw)] == ["Penicillin", "Peanuts"]


@pytest.mark.parametrize("trigger", ["A01", "A08"])
def test_a_discharge_plan_in_the_same_message_does_not_repeat_them(trigger: str) -> None:
    _, plan = events(message(trigger, AL1 | {"PV2-9": "20260212"}))
    assert len(payload(plan)["entry"]) == 2


@pytest.mark.parametrize("segment", ["DG1", "PR1", "OBX"])
def test_diagnoses_procedures_and_observations_are_in_no_event(segment: str) -> None:
    told = event(message("A01", {f"{segment}-1": "1", f"{segment}-3": "F10.2^Canary diagnosis^I10"}))
    assert b"Canary" not in bytes(told.data)
