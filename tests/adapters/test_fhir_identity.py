"""Whose record a Patient is, and what is added to what was received."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.fhir.identity import STATUSES
from schemas.event import payload
from schemas.fhir.bundle import patient_of
from schemas.identifiers import LocalId, NhsNumber
from schemas.resources.person import VERIFICATION_CODES, VERIFICATION_STATUS, local_ids, verified_number
from tests.adapters.fhir_cases import (
    ARRIVAL,
    KEYS,
    LOCAL,
    NHS,
    NUMBER,
    PATIENT,
    SOURCE,
    STATED,
    SUBJECT,
    Resource,
    at,
    bundle,
    event,
    only,
    refusal,
    resource,
)

CARE_CONNECT = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-NHSNumberVerificationStatus-1"
CARE_CONNECT_CODES = "https://fhir.hl7.org.uk/STU3/CodeSystem/CareConnect-NHSNumberVerificationStatus-1"
RETIRED = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus"
HOSPITAL_NUMBER = {"system": "https://fhir.nhs.uk/Id/local-patient-identifier", "value": "A1234521"}
MRN = {
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
    "system": "urn:x",
    "value": "7",
}
CARD = {"system": "https://library.example/cards", "value": "42"}


def number(code: str = "", url: str = VERIFICATION_STATUS, system: str = VERIFICATION_CODES, **changes: Any) -> Resource:
    """An NHS number with a verification status, in any spelling."""
    status = {"url": url, "valueCodeableConcept": {"coding": [{"system": system, "code": code}]}}
    return ({"extension": [status]} if code else {}) | {"system": NHS, "value": NUMBER} | changes


def of(*identifiers: Resource) -> Resource:
    return {"resourceType": "Patient", "meta": {"lastUpdated": "2026-02-01T08:00:00Z"}, "identifier": list(identifiers)}


def record(local: str) -> str:
    return KEYS.record(SOURCE.id, LocalId(local))


BY_NUMBER = KEYS.record_by_number(SOURCE.id, NhsNumber(NUMBER))

RECORDS: list[tuple[str, list[Resource], str]] = [
    ("the source's own", [LOCAL], record("N4411")),
    ("the source's own before all others", [number("01"), CARD, MRN, HOSPITAL_NUMBER, LOCAL], record("N4411")),
    ("a national system of local numbers", [number("01"), HOSPITAL_NUMBER], record(f"{HOSPITAL_NUMBER['system']}|A1234521")),
    ("an organisation's record numbers", [{"system": "https://fhir.nhs.uk/Id/MRN/RX1", "value": "1"}], record("https://fhir.nhs.uk/Id/MRN/RX1|1")),
    ("a medical record number by its type", [number("01"), MRN], record("urn:x|7")),
    ("the NHS number", [number("01")], BY_NUMBER),
    ("the NHS number before an unknown system", [CARD, number("01")], BY_NUMBER),
    ("an unknown system when there is nothing else", [CARD], record("https://library.example/cards|42")),
    ("of unknown systems always the same", [CARD | {"system": "urn:z"}, CARD], record("https://library.example/cards|42")),
    ("an NHS number with blanks", [number("01", value="999 000 0018")], BY_NUMBER),
    ("an NHS number under an old system", [number(system="http://fhir.nhs.net/Id/nhs-number")], BY_NUMBER),
    ("an NHS number over http", [{"system": "http://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}], BY_NUMBER),
    ("not an old identifier", [LOCAL | {"use": "old", "value": "N1"}, number("01")], BY_NUMBER),
    ("blanks around it left away", [LOCAL | {"value": " N4411 "}], record("N4411")),
]  # fmt: skip


@pytest.mark.parametrize(("identifiers", "key"), [row[1:] for row in RECORDS], ids=[row[0] for row in RECORDS])
def test_the_record_is_named_by(identifiers: list[Resource], key: str) -> None:
    assert event(of(*identifiers)).partitionkey == key


@pytest.mark.parametrize(
    "patient", [of(), PATIENT | {"identifier": [{"value": "1"}]}, PATIENT | {"identifier": [{"system": NHS}]}]
)
def test_a_patient_whom_nothing_names_is_refused(patient: Resource) -> None:
    patient = {name: value for name, value in patient.items() if value}
    assert refusal(patient) == ("missing-identifier", "Patient.identifier")


def test_a_patient_without_identifiers_is_refused() -> None:
    assert refusal({"resourceType": "Patient"}) == ("missing-identifier", "Patient.identifier")


def test_two_nhs_numbers_name_nobody() -> None:
    assert refusal(of(number("01"), number("01", value="9990000026"))) == ("missing-identifier", "Patient.identifier")
    assert event(of(LOCAL, number("01"), number("01", value="9990000026"))).partitionkey == record("N4411")


@pytest.mark.parametrize("value", ["9990000019", "9999999999", "123", "unknown", "٩٩٩٠٠٠٠٠١٨"])
def test_a_number_that_cannot_be_one_is_flagged_and_names_nobody(value: str) -> None:
    item = only(of(LOCAL, number("01", value=value)))
    assert item.flags == ("nhs-number-invalid at Patient.identifier[1]",)
    patient = patient_of(payload(item.events[0]))
    assert patient is not None
    assert verified_number(patient) is None
    assert refusal(of(number("01", value=value)))[0] == "missing-identifier"
    rejection = only(of(number("01", value=value))).rejection
    assert rejection is not None
    assert "fails its own check" in rejection.error.message, "who sent one is not told that there is none"


def test_a_source_may_not_speak_in_another_sources_name() -> None:
    assert refusal(of(LOCAL, {"system": STATED.urn, "value": "1"})) == ("invalid-value", "Patient.identifier[1].system")


SPELLINGS: list[tuple[str, Resource, str]] = [
    ("the current one", number("01"), "01"),
    ("the retired code system with the current codes", number("01", system=RETIRED), "01"),
    ("the retired code system with words", number("number-present-and-verified", system=RETIRED), "01"),
    ("words for untraced", number("number-present-but-not-traced", system=RETIRED), "02"),
    ("Care Connect", number("01", url=CARE_CONNECT, system=CARE_CONNECT_CODES), "01"),
    ("Care Connect, untraced", number("02", url=CARE_CONNECT, system=CARE_CONNECT_CODES), "02"),
    ("an unknown code", number("verified!", system=RETIRED), "02"),
]


@pytest.mark.parametrize(("identifier", "code"), [row[1:] for row in SPELLINGS], ids=[row[0] for row in SPELLINGS])
def test_the_verification_status_is_told_in_the_current_spelling(identifier: Resource, code: str) -> None:
    patient = patient_of(payload(event(of(LOCAL, identifier))))
    assert patient is not None
    assert patient["identifier"][:2] == [LOCAL, identifier], "what was received stands as it came"
    assert verified_number(patient) == (NUMBER if code == "01" else None)
    told = [one for one in patient["identifier"] if {"system": VERIFICATION_CODES, "code": code} in codings(one)]
    assert [one["value"] for one in told] == [NUMBER]


def codings(identifier: Resource) -> list[Resource]:
    return [coding for one in identifier.get("extension", ()) for coding in one["valueCodeableConcept"]["coding"]]


@pytest.mark.parametrize("code", sorted(STATUSES))
def test_every_spelling_means_a_status_of_the_data_dictionary(code: str) -> None:
    assert STATUSES[code] in {f"0{digit}" for digit in range(1, 9)}


DECLARED = [(SOURCE, NUMBER), (STATED, None)]


@pytest.mark.parametrize(("source", "linked_on"), DECLARED)
def test_without_a_status_the_sources_declaration_decides(source: Any, linked_on: str | None) -> None:
    patient = patient_of(payload(event(of(number()), ARRIVAL._replace(source=source))))
    assert patient is not None
    assert verified_number(patient) == linked_on


ADDED: list[tuple[str, list[Resource], list[tuple[str, str]]]] = [
    ("nothing to the source's own", [LOCAL], [(SOURCE.id, "N4411")]),
    ("its own name of another system's", [HOSPITAL_NUMBER], [(SOURCE.id, f"{HOSPITAL_NUMBER['system']}|A1234521")]),
    ("nothing to an NHS number", [number("01")], []),
]


@pytest.mark.parametrize(("identifiers", "found"), [row[1:] for row in ADDED], ids=[row[0] for row in ADDED])
def test_projections_find_the_local_identifier_under_the_sources_system(identifiers: list[Resource], found: list[Any]) -> None:
    patient = patient_of(payload(event(of(*identifiers))))
    assert patient is not None
    assert list(local_ids(patient)) == found
    assert patient["identifier"][: len(identifiers)] == identifiers


def test_what_says_all_itself_is_not_touched() -> None:
    patient = of(LOCAL, number("01"))
    assert payload(event(patient))["entry"][0]["resource"] == patient


# --- who a resource is about --------------------------------------------------------------------------------------------------

OTHER = PATIENT | {"id": "p2", "identifier": [LOCAL | {"value": "N5522"}]}


def flag(subject: Any, **elements: Any) -> Resource:
    return resource("Flag", status="active", subject=subject, **elements)


WHOM: list[tuple[str, Resource, str]] = [
    ("by type and id", bundle(flag(SUBJECT), PATIENT), "N4411"),
    ("by type and id among several", bundle(flag({"reference": "Patient/p2"}), PATIENT, OTHER), "N5522"),
    ("by fullUrl", bundle(flag({"reference": "urn:uuid:a"}), at("urn:uuid:a", PATIENT), at("urn:uuid:b", OTHER)), "N4411"),
    (
        "by the end of a fullUrl",
        bundle(flag({"reference": "Patient/9"}), at("https://x.example/fhir/Patient/9", PATIENT)),
        "N4411",
    ),
    ("by a version", bundle(flag({"reference": "Patient/p1/_history/2"}), PATIENT), "N4411"),
    ("inside the resource", flag({"reference": "#p1"}, contained=[PATIENT]), "N4411"),
    ("by its identifier", flag({"identifier": LOCAL}), "N4411"),
    ("by its identifier and type", flag({"type": "Patient", "identifier": LOCAL}), "N4411"),
]


@pytest.mark.parametrize(("document", "local"), [row[1:] for row in WHOM], ids=[row[0] for row in WHOM])
def test_the_patient_is_found(document: Resource, local: str) -> None:
    entries = document.get("entry", [{"resource": document}])
    assert event(bundle(*included(entries), kind="searchset")).partitionkey == record(local)


def test_without_a_subject_the_only_patient_is_meant() -> None:
    lonely = {"resourceType": "ServiceRequest", "status": "active", "intent": "plan"}
    communication = resource("Communication", status="completed", category=[{"text": "alarm"}])
    del communication["subject"]
    assert event(bundle(communication, PATIENT)).partitionkey == record("N4411")
    assert refusal(communication) == ("missing-identifier", "Communication.subject")
    assert refusal(lonely)[0] == "invalid-value"


NOBODY: list[tuple[str, Resource]] = [
    ("a reference that leads nowhere", flag({"reference": "Patient/elsewhere"})),
    ("a reference that two answer to", bundle(flag(SUBJECT), PATIENT, OTHER | {"id": "p1"})["entry"]),
    ("words alone", flag({"display": "Mrs Example"})),
    ("somebody contained who is not", flag({"reference": "#p1"})),
    ("a group by identifier", flag({"type": "Group", "identifier": LOCAL})),
    (
        "something that is no Patient",
        bundle(flag({"reference": "urn:uuid:a"}), at("urn:uuid:a", resource("Location")))["entry"],
    ),
]


@pytest.mark.parametrize("document", [row[1] for row in NOBODY], ids=[row[0] for row in NOBODY])
def test_a_resource_about_nobody_known_is_refused(document: Any) -> None:
    document = (
        {"resourceType": "Bundle", "type": "searchset", "entry": included(document)} if isinstance(document, list) else document
    )
    assert refusal(document) == ("missing-identifier", "Flag.subject")


def included(entries: list[Resource]) -> list[Resource]:
    """All but the first only came along."""
    return [one | {"search": {"mode": "include" if place else "match"}} for place, one in enumerate(entries)]


PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "pds"


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published samples are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "guarded"), [("Patient.json", "N"), ("Sensitive_Patient.json", "R"), ("Minimal_Patient.json", "N")]
)
def test_a_record_of_the_personal_demographics_service_is_read(name: str, guarded: str) -> None:
    document = json.loads((PUBLISHED / name).read_text(encoding="utf-8"))
    for made in only(orjson.dumps(document)).events:
        patient = patient_of(payload(made))
        assert patient is not None
        assert verified_number(patient) == document["id"]
        assert made.dataclassification == guarded
