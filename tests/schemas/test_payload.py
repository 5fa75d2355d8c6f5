"""The payload's builders: the Bundle, and the Patient as one source knows them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.fhir.bundle import collection, focus_of, patient_of, patient_reference
from schemas.fhir.check import faults_in
from schemas.identifiers import NHS_NUMBER, LocalId, NhsNumber
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import (
    VERIFICATION_CODES,
    VERIFICATION_STATUS,
    deleted_elements,
    local_identifier,
    local_ids,
    mark_deleted,
    merged_from,
    merged_identifiers,
    nhs_number_identifier,
    unchecked_number_identifier,
    verified_number,
)
from schemas.source import NumbersAre, Sector, Source

KEYS = Pseudonyms(b"0123456789abcdef0123456789abcdef")
HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation="RX1")
CHARITY = Source(id="willow-contacts", name="Willow Befriending", sector=Sector.VOLUNTARY, nhs_numbers=NumbersAre.STATED)
NUMBER = NhsNumber("9990000018")
RECORD = KEYS.record(HOSPITAL.id, LocalId("N4411"))
FACT = KEYS.fact(HOSPITAL.id, "visit 1", "discharge")
PATIENT: dict[str, Any] = {"resourceType": "Patient", "identifier": [local_identifier(HOSPITAL, LocalId("N4411"))]}
FLAG = {"resourceType": "Flag", "status": "active", "code": {"text": "a"}, "subject": patient_reference(RECORD)}
WARD = {"resourceType": "Location", "name": "Kingsmill Ward"}


def urls(bundle: dict[str, Any]) -> list[str]:
    return [entry["fullUrl"] for entry in bundle["entry"]]


def test_the_focus_stands_first_and_the_patient_is_among_the_entries() -> None:
    bundle = collection(FLAG, FACT, PATIENT, RECORD, (WARD,))
    assert faults_in(bundle) == []
    assert [entry["resource"] for entry in bundle["entry"]] == [FLAG, PATIENT, WARD]
    assert focus_of(bundle) is FLAG
    assert patient_of(bundle) is PATIENT


def test_a_patient_who_is_the_focus_stands_there_once() -> None:
    bundle = collection(PATIENT, FACT, PATIENT, RECORD, (WARD,))
    assert [entry["resource"] for entry in bundle["entry"]] == [PATIENT, WARD]
    assert focus_of(bundle) is patient_of(bundle)


def test_every_entry_has_a_url_of_its_own_and_the_patients_is_what_references_name() -> None:
    bundle = collection(FLAG, FACT, PATIENT, RECORD, (WARD, WARD))
    assert len(set(urls(bundle))) == 4
    assert urls(bundle)[1] == patient_reference(RECORD)["reference"]


def test_urls_that_were_received_are_kept_and_the_others_made() -> None:
    bundle = collection(FLAG, FACT, PATIENT, RECORD, (WARD, WARD), ("urn:uuid:a", "", "urn:uuid:c"))
    assert urls(bundle)[0] == "urn:uuid:a"
    assert urls(bundle)[2] == "urn:uuid:c"
    assert urls(bundle)[1] == patient_reference(RECORD)["reference"]
    assert urls(bundle)[3] == urls(collection(FLAG, FACT, PATIENT, RECORD, (WARD, WARD)))[3]


def test_a_bundle_without_a_patient_has_none() -> None:
    assert patient_of({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": WARD}]}) is None


STATUSES = [
    (HOSPITAL, "", "01", NUMBER),
    (HOSPITAL, "01", "01", NUMBER),
    (HOSPITAL, "04", "04", None),
    (CHARITY, "", "02", None),
    (CHARITY, "01", "01", NUMBER),
]


@pytest.mark.parametrize(("source", "stated", "code", "linked_on"), STATUSES)
def test_a_number_is_linked_on_when_it_is_stated_to_be_verified_or_its_source_traces(
    source: Source, stated: str, code: str, linked_on: NhsNumber | None
) -> None:
    identifier = nhs_number_identifier(NUMBER, stated, source)
    assert identifier["extension"][0]["valueCodeableConcept"]["coding"] == [{"system": VERIFICATION_CODES, "code": code}]
    assert verified_number({"resourceType": "Patient", "identifier": [identifier]}) == linked_on


def verified(**identifier: Any) -> dict[str, Any]:
    extension = {"url": VERIFICATION_STATUS, "valueCodeableConcept": {"coding": [{"code": "01"}]}}
    return {"resourceType": "Patient", "identifier": [{"extension": [extension]} | identifier]}


NOT_LINKED_ON = [
    ("a number that cannot be one", verified(system=NHS_NUMBER, value="9990000019")),
    ("a placeholder", verified(system=NHS_NUMBER, value="9999999999")),
    ("no number", verified(system=NHS_NUMBER)),
    ("another system", verified(system="urn:x", value=NUMBER)),
    ("no system", verified(value=NUMBER)),
    ("no status", {"resourceType": "Patient", "identifier": [{"system": NHS_NUMBER, "value": NUMBER}]}),
    ("no identifier", {"resourceType": "Patient"}),
    ("what was sent as a number", {"resourceType": "Patient", "identifier": [unchecked_number_identifier("123")]}),
]


@pytest.mark.parametrize("patient", [row[1] for row in NOT_LINKED_ON], ids=[row[0] for row in NOT_LINKED_ON])
def test_nothing_else_is_linked_on(patient: dict[str, Any]) -> None:
    assert faults_in(patient) == []
    assert verified_number(patient) is None


ODD_EXTENSIONS: list[dict[str, Any]] = [
    {"url": VERIFICATION_STATUS, "valueString": "01"},
    {"url": VERIFICATION_STATUS, "valueCodeableConcept": {"text": "01"}},
    {"url": VERIFICATION_STATUS, "valueCodeableConcept": {"coding": [{"display": "01"}]}},
]


@pytest.mark.parametrize("extension", ODD_EXTENSIONS)
def test_a_status_in_another_shape_is_no_status(extension: dict[str, Any]) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"extension": [extension], "system": NHS_NUMBER, "value": NUMBER}]}
    assert faults_in(patient) == []
    assert verified_number(patient) is None


def test_local_identifiers_are_told_with_their_source() -> None:
    national = nhs_number_identifier(NUMBER, "", HOSPITAL)
    valueless = {"system": HOSPITAL.urn}
    patient = {"resourceType": "Patient", "identifier": [national, *PATIENT["identifier"], valueless]}
    assert list(local_ids(patient)) == [("northfield-pas", "N4411")]


def test_an_element_that_the_source_deleted_is_told_from_one_it_left_out() -> None:
    patient: dict[str, Any] = {"resourceType": "Patient", "extension": [{"url": "urn:x", "valueString": "telecom"}]}
    mark_deleted(patient, ["address", "deceased"])
    assert faults_in(patient) == []
    assert deleted_elements(patient) == ["address", "deceased"]


def test_nothing_deleted_leaves_no_mark() -> None:
    patient: dict[str, Any] = {"resourceType": "Patient"}
    mark_deleted(patient, [])
    assert patient == {"resourceType": "Patient"}
    assert deleted_elements(patient) == []


def test_the_records_that_one_replaces_are_told_by_their_identifiers() -> None:
    old = local_identifier(HOSPITAL, LocalId("N1"))
    links = [
        merged_from(old),
        {"other": {"reference": "Patient/2"}, "type": "replaces"},
        {"other": {"identifier": old}, "type": "seealso"},
    ]
    patient = {"resourceType": "Patient", "link": links}
    assert faults_in(patient) == []
    assert merged_identifiers(patient) == [old]
