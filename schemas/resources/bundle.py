"""The payload of every event: a FHIR R4 ``collection`` Bundle, focus first, the Patient as this source knows them in it.

Source: FHIR R4 Bundle, https://hl7.org/fhir/R4/bundle.html.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

from schemas.identifiers import FactId, RecordKey

Resource = dict[str, Any]
"""A FHIR resource as JSON: always with ``resourceType``."""

FACT_URN = "urn:care-backbone:fact:"
RECORD_URN = "urn:care-backbone:record:"
"""Followed by the record's key: the ``fullUrl`` of its Patient, and how the other resources refer to it."""


def patient_reference(record: RecordKey) -> Resource:
    """A Reference to the Patient of ``record``."""
    return {"reference": RECORD_URN + record}


def collection(
    focus: Resource,
    fact: FactId,
    patient: Resource,
    record: RecordKey,
    others: tuple[Resource, ...] = (),
    urls: tuple[str, ...] = (),
) -> Resource:
    """The Bundle about ``focus``. When the focus is the Patient itself it stands there once.

    ``urls`` are the ``fullUrl`` of the entries in their order where resources came with some: references among them are kept
    as received, and lead somewhere only under these. An empty one is made here.
    """
    ours = {FACT_URN + fact: focus, RECORD_URN + record: patient}
    if focus is patient:
        del ours[FACT_URN + fact]
    ours |= {f"{FACT_URN}{fact}:{place}": other for place, other in enumerate(others, 2)}
    received = chain(urls, repeat(""))
    entries = [
        {"fullUrl": url or made, "resource": resource} for (made, resource), url in zip(ours.items(), received, strict=False)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def focus_of(bundle: Resource) -> Resource:
    """The resource the event is about."""
    focus: Resource = bundle["entry"][0]["resource"]
    return focus


def patient_of(bundle: Resource) -> Resource | None:
    """The Patient as the source knows them, or ``None`` in a Bundle that has none."""
    for entry in bundle["entry"]:
        resource: Resource = entry["resource"]
        if resource["resourceType"] == "Patient":
            return resource
    return None
