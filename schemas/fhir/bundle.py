"""The payload of every event: a FHIR R4 ``collection`` Bundle, with the focus first and the Patient as this source knows them.

Source: FHIR R4 Bundle, https://hl7.org/fhir/R4/bundle.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import chain, repeat
from typing import Any

import orjson

from schemas.identifiers import FactId, RecordKey

Resource = dict[str, Any]
"""A FHIR resource as JSON: always with ``resourceType``."""
Written = Mapping[str, Any] | orjson.Fragment
"""A resource some or all of whose elements are already serialised (`schemas.fhir.proven`)."""

FACT_URN = "urn:care-backbone:fact:"
RECORD_URN = "urn:care-backbone:record:"
"""Prefix; the record's key follows. The ``fullUrl`` of its Patient, and how the other resources refer to it."""


def patient_reference(record: RecordKey) -> Resource:
    """A Reference to the Patient of ``record``."""
    return {"reference": RECORD_URN + record}


def collection(
    focus: Written,
    fact: FactId,
    patient: Written,
    record: RecordKey,
    others: tuple[Resource, ...] = (),
    urls: tuple[str, ...] = (),
) -> Resource:
    """The Bundle about ``focus``. When the focus is the Patient, it appears once.

    ``urls`` are the ``fullUrl`` of the entries, in order, when the resources arrived with their own: references among them are
    kept as received, and resolve only under these. An empty one is made here.
    """
    if not (others or urls or focus is patient):
        both = [{"fullUrl": FACT_URN + fact, "resource": focus}, {"fullUrl": RECORD_URN + record, "resource": patient}]
        return {"resourceType": "Bundle", "type": "collection", "entry": both}
    ours: dict[str, Written] = {FACT_URN + fact: focus, RECORD_URN + record: patient}
    if focus is patient:
        del ours[FACT_URN + fact]
    ours |= {f"{FACT_URN}{fact}:{place}": other for place, other in enumerate(others, 2)}
    received = chain(urls, repeat(""))
    entries = [
        {"fullUrl": url or made, "resource": resource} for (made, resource), url in zip(ours.items(), received, strict=False)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def write(resource: object) -> bytes:
    """``resource``, or a part of one, as JSON. A ``Decimal`` keeps its digits: in FHIR 72.50 says more than 72.5.

    Raises ``orjson.JSONEncodeError`` when it nests more than 250 deep or holds something that JSON cannot.

    Source: FHIR R4 JSON §2.6.2.2: "the precision of the decimal value has significance".
    """
    return orjson.dumps(resource, default=_number)


def canonical(resource: object) -> bytes:
    """`write` with the members of every object in one order: whoever states the same in JSON has the same bytes here.

    Source: RFC 8785 §3.2.3 (sorting of members); numbers keep their digits, as in `write`.
    """
    return orjson.dumps(resource, default=_number, option=orjson.OPT_SORT_KEYS)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError


def focus_of(bundle: Resource) -> Resource:
    """The resource the event is about."""
    focus: Resource = bundle["entry"][0]["resource"]
    return focus


def patient_of(bundle: Resource) -> Resource | None:
    """The Patient as the source knows them, or ``None`` when the Bundle has none."""
    for entry in bundle["entry"]:
        resource: Resource = entry["resource"]
        if resource["resourceType"] == "Patient":
            return resource
    return None
