"""The FHIR facade's shapes: one Patient of many records, and searchsets of payloads."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.patient import Patient

from consumers.people.query import KnownPatient
from gateway.routes.fhir.capability import capability_statement
from gateway.routes.fhir.facade import PageEntry, entries_of, entry, person_as_patient, searchset
from schemas.fhir.bundle import RECORD_URN
from schemas.fhir.check import faults_in
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, RecordKey
from schemas.resources.person import DELETED

PERSON = "a" * 32
NHS = {"system": NHS_NUMBER, "value": "9990000018"}
HOSPITAL = {"system": SOURCE_URN + "northfield-pas", "value": "N100"}
COUNCIL = {"system": SOURCE_URN + "riverside-adult-care", "value": "1001"}


def record(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def known(*rows: tuple[str, dict[str, Any]]) -> list[KnownPatient]:
    return [KnownPatient(RecordKey(f"r{number}"), "", sector, patient) for number, (sector, patient) in enumerate(rows)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (known(("nhs", record(gender="female"))), {"gender": "female"}),
        (known(("council", record(gender="unknown")), ("nhs", record(gender="female"))), {"gender": "female"}),
        (
            known(("council", record(birthDate="1941-05-02")), ("nhs", record(gender="female"))),
            {"gender": "female", "birthDate": "1941-05-02"},
        ),
        (
            known(("council", record(identifier=[COUNCIL, NHS])), ("nhs", record(identifier=[HOSPITAL, NHS]))),
            {"identifier": [NHS, HOSPITAL, COUNCIL]},
        ),
        (
            known(("nhs", record(deceasedBoolean=True)), ("council", record(deceasedDateTime="2026-02-03"))),
            {"deceasedBoolean": True},
        ),
        (known(("nhs", record(id="own", meta={"versionId": "7"}, link=[]))), {}),
        (known(("nhs", record(extension=[{"url": DELETED, "valueString": "telecom"}]))), {}),
        (
            known(
                (
                    "nhs",
                    record(generalPractitioner=[{"reference": "#gp", "display": "Dr Okafor"}, {"reference": "Practitioner/1"}]),
                )
            ),
            {"generalPractitioner": [{"display": "Dr Okafor"}]},
        ),
        (
            known(("nhs", record(managingOrganization={"reference": "https://fhir.example/Organization/1"}))),
            {"managingOrganization": {"reference": "https://fhir.example/Organization/1"}},
        ),
    ],
)
def test_a_patient_is_the_union_of_what_the_records_say(records: list[KnownPatient], expected: dict[str, Any]) -> None:
    patient = person_as_patient(PERSON, records)
    assert patient == {"resourceType": "Patient", "id": PERSON, **expected}
    assert faults_in(patient) == []
    Patient.model_validate(patient)


def payload(focus: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    subject = record(id="r1", name=[{"family": "Sample"}])
    parts = [("urn:care-backbone:fact:f1", focus), (RECORD_URN + "r1", subject)]
    parts += [(f"urn:care-backbone:fact:f1:{place}", other) for place, other in enumerate(others, 2)]
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": one} for url, one in parts]}


ENCOUNTER = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
    "subject": {"reference": RECORD_URN + "r1"},
}
LOCATION = {"resourceType": "Location", "name": "Kingsmill Ward"}
URL = f"http://127.0.0.1:8080/fhir/Patient/{PERSON}"
ANSWER = PageEntry("e1", "2026-02-03T10:00:00.000Z", "northfield-pas", payload(ENCOUNTER, LOCATION))


def test_a_payload_becomes_entries_about_the_one_patient() -> None:
    found = list(entries_of([ANSWER], URL, frozenset()))
    assert [(one["resource"]["resourceType"], one["search"]["mode"]) for one in found] == [
        ("Encounter", "match"),
        ("Location", "include"),
    ]
    encounter = found[0]["resource"]
    assert encounter["subject"] == {"reference": URL}
    assert encounter["meta"] == {"lastUpdated": "2026-02-03T10:00:00.000Z", "source": "urn:care-backbone:source:northfield-pas"}
    assert ENCOUNTER["subject"] == {"reference": RECORD_URN + "r1"}, "the payload itself is left alone"


def test_a_senders_own_addresses_are_made_ones_that_no_other_entry_has() -> None:
    parts = [
        (
            "urn:uuid:1",
            {
                "resourceType": "Task",
                "status": "accepted",
                "intent": "order",
                "for": {"reference": "urn:uuid:2"},
                "focus": {"reference": "ServiceRequest/9"},
                "owner": {"reference": "Organization/elsewhere"},
            },
        ),
        ("urn:uuid:2", record(id="p")),
        (
            "https://sender.example/ServiceRequest/9",
            {
                "resourceType": "ServiceRequest",
                "id": "9",
                "status": "active",
                "intent": "plan",
                "subject": {"reference": "Patient/p"},
            },
        ),
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": url, "resource": one} for url, one in parts],
    }
    answers = [PageEntry(event, "2026-02-03T10:00:00.000Z", "riverside-bars", bundle) for event in ("e1", "e2")]
    found = list(entries_of(answers, URL, frozenset()))
    task, request = (one["resource"] for one in found[:2])
    assert task["for"] == request["subject"] == {"reference": URL}
    assert task["focus"] == {"reference": found[1]["fullUrl"]}
    assert task["owner"] == {"reference": "Organization/elsewhere"}
    assert len({one["fullUrl"] for one in found}) == 4
    assert faults_in(searchset(found, URL, None)) == []


@pytest.mark.parametrize(("types", "expected"), [({"Location"}, ["Location"]), ({"Encounter"}, ["Encounter"]), ({"Goal"}, [])])
def test_only_the_types_wanted_are_given(types: set[str], expected: list[str]) -> None:
    assert [one["resource"]["resourceType"] for one in entries_of([ANSWER], URL, types)] == expected


@pytest.mark.parametrize("entries", [[], [entry(URL, record(id=PERSON)), *entries_of([ANSWER], URL, frozenset())]])
def test_a_searchset_is_fhir(entries: list[dict[str, Any]]) -> None:
    bundle = searchset(entries, URL + "/$everything", URL + "/$everything?after=x", None)
    assert faults_in(bundle) == []
    Bundle.model_validate(bundle)
    assert [link["relation"] for link in bundle["link"]] == ["self", "next"]
    assert "total" not in bundle
    assert searchset([], URL, None, 0)["total"] == 0


def test_the_capability_statement_is_fhir() -> None:
    statement = capability_statement("http://127.0.0.1:8080/fhir")
    assert CapabilityStatement.model_validate(statement).fhirVersion == "4.0.1"
