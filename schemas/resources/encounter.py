"""The Encounter of an event: a stay in hospital, or a visit to one, UK Core shaped.

Source: UK Core Encounter, Extension-UKCore-AdmissionMethod (on ``hospitalization``) and -DischargeMethod (on the Encounter);
FHIR R4 Encounter, https://hl7.org/fhir/R4/encounter.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.codes import ACT_CODE, NULL_FLAVOR, PARTICIPATION, PLACE_TYPE
from schemas.identifiers import ODS_ORGANIZATION
from schemas.resources.bundle import Resource
from schemas.sentence import EXPECTED_DISCHARGE, MOVEMENT, READINESS
from schemas.source import Source

ADMISSION_METHOD_URL = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-AdmissionMethod"
DISCHARGE_METHOD_URL = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DischargeMethod"
READY_SINCE = "urn:care-backbone:extension:ready-for-discharge-since"

CLASSES: Mapping[str, Resource] = MappingProxyType(
    {
        "IMP": {"system": ACT_CODE, "code": "IMP", "display": "inpatient encounter"},
        "EMER": {"system": ACT_CODE, "code": "EMER", "display": "emergency"},
        "AMB": {"system": ACT_CODE, "code": "AMB", "display": "ambulatory"},
        "PRENC": {"system": ACT_CODE, "code": "PRENC", "display": "pre-admission"},
        "UNK": {"system": NULL_FLAVOR, "code": "UNK", "display": "unknown"},
    }
)
"""``Encounter.class``: FHIR R4 demands one, so an unknown one is said to be unknown."""

_PLACE_TYPES = {kind: {"coding": [{"system": PLACE_TYPE, "code": kind}]} for kind in ("wa", "ro", "bd")}


def service_provider(source: Source) -> Resource:
    """The organisation whose stay it is.

    Its code is written as a plain text: the schema check takes no subclass of ``str``, and goes the long
    way round for the whole payload.
    """
    provider: Resource = {"display": source.name}
    if source.organisation:
        provider["identifier"] = {"system": ODS_ORGANIZATION, "value": str(source.organisation)}
    return provider


def visit_identifier(system: str, number: str) -> Resource:
    """A source's own number of the visit."""
    return {"system": system, "value": number}


def location(name: str, kind: str = "", system: str = "", code: str = "") -> Resource:
    """One place of a stay: ``kind`` is ``wa`` ward, ``ro`` room or ``bd`` bed. A title names the first of an Encounter."""
    place: Resource = {"display": name}
    if code:
        place["identifier"] = {"system": system, "value": code}
    return {"location": place, "physicalType": _PLACE_TYPES[kind]} if kind else {"location": place}


def participant(role: str, individual: Resource) -> Resource:
    """Somebody who takes part: ``role`` is a code of v3 ParticipationType, for example ``ATND``."""
    return {"type": [{"coding": [{"system": PARTICIPATION, "code": role}]}], "individual": individual}


def readiness_extension(words: str) -> Resource:
    """``medically fit``, ``ready for discharge``."""
    return {"url": READINESS, "valueString": words}


def ready_since_extension(moment: str) -> Resource:
    """``moment`` is a FHIR ``dateTime``: from it on a stay is a delay."""
    return {"url": READY_SINCE, "valueDateTime": moment}


def expected_discharge_extension(moment: str) -> Resource:
    """``moment`` is a FHIR ``dateTime``, local, so that its day is the day people mean."""
    return {"url": EXPECTED_DISCHARGE, "valueDateTime": moment}


def movement_extension(words: str) -> Resource:
    """What happened within the stay, or what did not, in plain words: ``leave of absence``, ``discharge``."""
    return {"url": MOVEMENT, "valueString": words}
