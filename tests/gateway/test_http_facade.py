"""The FHIR facade's shapes: one Patient of many records, and searchsets of payloads."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from fhir.resources.R4B.patient import Patient

from adapters.translator import Arrival
from consumers.people.query import KnownPatient
from gateway.routes.fhir.facade import entry, person_as_patient, searchset
from gateway.routes.fhir.payloads import PageEntry, entries_of
from schemas.fhir.bundle import FACT_URN, RECORD_URN, write
from schemas.fhir.check import faults_in
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, PersonId, RecordKey
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import DELETED
from tests.gateway.http_rig import SOURCES, START, translators
from tests.gateway.test_http_messages import message
from tests.line_translator import SECRET

PERSON = "a" * 32
UNSAID = {"extension": [{"url": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "valueCode": "masked"}]}
PART_UNSAID = {"given": [None, "Ann"], "_given": [UNSAID, None]}
"""A null keeps the place of what is said of a value that is not (FHIR R4 JSON §2.6.2.3)."""
NHS = {"system": NHS_NUMBER, "value": "9990000018"}
HOSPITAL = {"system": SOURCE_URN + "northfield-pas", "value": "N100"}
COUNCIL = {"system": SOURCE_URN + "riverside-adult-care", "value": "1001"}


def record(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def known(*rows: tuple[str, dict[str, Any]]) -> list[KnownPatient]:
    return [
        KnownPatient(PersonId(PERSON), RecordKey(f"r{number}"), "", sector, patient)
        for number, (sector, patient) in enumerate(rows)
    ]


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
        (known(("nhs", record(name=[PART_UNSAID]))), {"name": [PART_UNSAID]}),
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
STAY = payload(ENCOUNTER, LOCATION)


def of_event(event: str, source: str) -> PageEntry:
    stated = {"id": event, "recorded_at": "2026-02-03T10:00:00.000Z", "source": {"id": source, "name": "A source"}}
    return msgspec.convert(stated, PageEntry)


def served(
    *payloads: dict[str, Any], types: frozenset[str] = frozenset(), source: str = "northfield-pas"
) -> list[dict[str, Any]]:
    """What is served of the payloads of events e1, e2, …"""
    page = [(of_event(f"e{number}", source), write(one).decode()) for number, one in enumerate(payloads, 1)]
    found: list[dict[str, Any]] = json.loads(orjson.dumps(entries_of(page, URL, types)), parse_float=Decimal)
    return found


def test_a_payload_becomes_entries_about_the_one_patient() -> None:
    found = served(STAY)
    assert [(one["resource"]["resourceType"], one["search"]["mode"]) for one in found] == [
        ("Encounter", "match"),
        ("Location", "include"),
    ]
    encounter = found[0]["resource"]
    assert encounter["subject"] == {"reference": URL}
    assert encounter["meta"] == {"lastUpdated": "2026-02-03T10:00:00.000Z", "source": "urn:care-backbone:source:northfield-pas"}


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
    found = served(bundle, bundle, source="riverside-bars")
    task, request = (one["resource"] for one in found[:2])
    assert task["for"] == request["subject"] == {"reference": URL}
    assert task["focus"] == {"reference": found[1]["fullUrl"]}
    assert task["owner"] == {"reference": "Organization/elsewhere"}
    assert len({one["fullUrl"] for one in found}) == 4
    assert faults_in(searchset(found, URL, None)) == []


@pytest.mark.parametrize(("types", "expected"), [({"Location"}, ["Location"]), ({"Encounter"}, ["Encounter"]), ({"Goal"}, [])])
def test_only_the_types_wanted_are_given(types: set[str], expected: list[str]) -> None:
    assert [one["resource"]["resourceType"] for one in served(STAY, types=frozenset(types))] == expected


def straightforward(event: str, bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a payload, made element by element."""
    addresses, shown = {}, []
    for place, part in enumerate(bundle["entry"]):
        sent, resource = part["fullUrl"], part["resource"]
        ours = sent if sent.startswith(FACT_URN) else f"urn:care-backbone:event:{event}:{place}"
        addresses[sent] = URL if resource["resourceType"] == "Patient" else ours
        if "id" in resource:
            addresses[f"{resource['resourceType']}/{resource['id']}"] = addresses[sent]
    for place, part in enumerate(bundle["entry"]):
        if part["resource"]["resourceType"] != "Patient":
            meta = {"lastUpdated": "2026-02-03T10:00:00.000Z", "source": "urn:care-backbone:source:northfield-pas"}
            resource = part["resource"] | {"meta": meta | part["resource"].get("meta", {})}
            stated = entry(addresses[part["fullUrl"]], _readdressed(resource, addresses), "include" if place else "match")
            shown.append(stated)
    return shown


def _readdressed(value: Any, addresses: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_readdressed(item, addresses) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: addresses.get(item, item) if name == "reference" and isinstance(item, str) else _readdressed(item, addresses)
        for name, item in value.items()
    }


SAMPLES = Path(__file__).parents[1] / "samples"
AWKWARD = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "urn:uuid:1",
            "resource": {
                "note": [{"text": 'He said "reference":"urn:uuid:2" and \\"reference\\": \\ \u00e9'}],
                "meta": {
                    "source": "urn:theirs",
                    "versionId": "7",
                    "extension": [{"url": "u:x", "valueDecimal": Decimal("72.50")}],
                },
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": {"text": "weight"},
                "valueQuantity": {"value": Decimal("72.50"), "unit": "kg"},
                "subject": {"reference": "Patient/p", "display": "reference"},
                "derivedFrom": [{"reference": "urn:uuid:3"}, {"reference": "Observation/o1"}, {"reference": "#within"}],
                "focus": [{"reference": 'urn:a"b'}, {"reference": ""}],
                "contained": [{"resourceType": "Patient", "id": "within", "meta": {"versionId": "1"}}],
            },
        },
        {"fullUrl": "urn:uuid:2", "resource": {"id": "p", "resourceType": "Patient"}},
        {
            "fullUrl": "urn:uuid:3",
            "resource": {
                "resourceType": "Consent",
                "provision": {"data": [{"meaning": "instance", "reference": {"reference": "urn:uuid:1"}}]},
            },
        },
    ],
}


def sent() -> Iterator[bytes]:
    """The payload of every event that the samples make, and of those of a message received as FHIR."""
    visits = (files("gateway") / "samples" / "willow-contacts.csv").read_bytes()
    received = [("northfield-pas", path.read_bytes()) for path in sorted((SAMPLES / "hl7v2").glob("*.hl7"))]
    for source, content in [*received, ("willow-contacts", visits), ("riverside-bars", orjson.dumps(message()))]:
        translator = translators().own(source)
        assert translator is not None
        arrival = Arrival(SOURCES[source].source, START, Pseudonyms(SECRET))
        for item in translator.translate(io.BytesIO(content), arrival):
            yield from (bytes(event.data) for event in item.events)


def test_what_is_served_of_a_payload_is_what_the_straightforward_way_makes_of_it() -> None:
    payloads = [AWKWARD, STAY, *(json.loads(one, parse_float=Decimal) for one in sent())]
    assert len(payloads) > 40
    for one in payloads:
        assert served(one) == straightforward("e1", one)


def test_a_decimal_keeps_its_digits() -> None:
    assert (
        orjson.dumps(entries_of([(of_event("e1", "lines"), write(AWKWARD).decode())], URL, frozenset())).count(b":72.50") == 2
    )
