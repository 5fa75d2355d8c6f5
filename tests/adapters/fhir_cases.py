"""What the tests of the FHIR translator share: a source, its Patient, and the least that each resource needs."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.fhir.translate import FhirTranslator
from adapters.translator import Arrival, Item
from schemas.event import Event
from schemas.pseudonyms import Pseudonyms
from schemas.source import NumbersAre, Sector, Source

Resource = dict[str, Any]

KEYS = Pseudonyms(b"0123456789abcdef0123456789abcdef")
SOURCE = Source(id="northfield-fhir", name="Northfield Hospital", sector=Sector.NHS, organisation="RX1")
STATED = Source(id="willow", name="Willow Befriending", sector=Sector.VOLUNTARY, nhs_numbers=NumbersAre.STATED)
ARRIVED = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
ARRIVAL = Arrival(SOURCE, ARRIVED, KEYS)
NUMBER = "9990000018"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
LOCAL = {"system": SOURCE.urn, "value": "N4411"}

PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "3", "lastUpdated": "2026-02-01T08:00:00Z"},
    "identifier": [LOCAL],
}
SUBJECT = {"reference": "Patient/p1"}
TRANSLATOR = FhirTranslator()

LEAST: dict[str, Resource] = {
    "Appointment": {"participant": [{"actor": SUBJECT, "status": "accepted"}]},
    "CarePlan": {"intent": "plan", "subject": SUBJECT},
    "ClinicalImpression": {"subject": SUBJECT},
    "Communication": {"subject": SUBJECT},
    "Consent": {"scope": {"text": "sharing"}, "category": [{"text": "a"}], "patient": SUBJECT},
    "DocumentReference": {"subject": SUBJECT, "content": [{"attachment": {"title": "a"}}]},
    "Encounter": {"class": {"code": "IMP"}, "subject": SUBJECT},
    "EpisodeOfCare": {"patient": SUBJECT},
    "Flag": {"code": {"text": "Key safe at the door"}, "subject": SUBJECT},
    "Goal": {"description": {"text": "Walk to the shop"}, "subject": SUBJECT},
    "QuestionnaireResponse": {"subject": SUBJECT},
    "RelatedPerson": {"patient": SUBJECT},
    "ServiceRequest": {"intent": "plan", "subject": SUBJECT},
    "Task": {"intent": "order", "for": SUBJECT, "focus": {"reference": "ServiceRequest/s1"}},
}
"""The required elements of each resource but its status."""


def resource(resource_type: str, **elements: Any) -> Resource:
    """A valid resource; ``class_``, ``for_`` and the like lose their underscore."""
    named = {name.rstrip("_"): value for name, value in elements.items()}
    return {"resourceType": resource_type} | LEAST.get(resource_type, {}) | named


def bundle(*resources: Resource, kind: str = "collection", **elements: Any) -> Resource:
    """A Bundle; a resource that is an entry already stays as it is."""
    entries = [one if "resource" in one else {"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": kind, **elements} | ({"entry": entries} if entries else {})


def at(url: str, held: Resource) -> Resource:
    """An entry with its ``fullUrl``."""
    return {"fullUrl": url, "resource": held}


def translated(document: Any, arrival: Arrival = ARRIVAL) -> list[Item]:
    """The items of a document, given as bytes or as what is written as JSON."""
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    return list(TRANSLATOR.translate(io.BytesIO(raw), arrival))


def only(document: Any, arrival: Arrival = ARRIVAL) -> Item:
    """The one item of a document."""
    items = translated(document, arrival)
    assert len(items) == 1
    return items[0]


def event(document: Any, arrival: Arrival = ARRIVAL) -> Event:
    """The one event of a document."""
    item = only(document, arrival)
    assert item.rejection is None, item.rejection and str(item.rejection.error)
    assert len(item.events) == 1
    return item.events[0]


def refusal(document: Any, arrival: Arrival = ARRIVAL) -> tuple[str, str]:
    """Code and place of the one rejection of a document."""
    item = only(document, arrival)
    assert item.rejection is not None
    assert item.events == ()
    return item.rejection.error.code, item.rejection.error.where
