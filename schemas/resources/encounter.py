"""The Encounter of an event: a stay in hospital, or a visit to one, in the shape of UK Core.

Source: UK Core Encounter, Extension-UKCore-AdmissionMethod (on ``hospitalization``) and -DischargeMethod (on the Encounter);
FHIR R4 Encounter, https://hl7.org/fhir/R4/encounter.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.fhir.bundle import Resource
from schemas.fhir.codes import ACT_CODE, NULL_FLAVOR, PARTICIPATION, PLACE_TYPE
from schemas.identifiers import ODS_ORGANIZATION
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
"""``Encounter.class``: FHIR R4 requires one, so an unknown class is stated as unknown."""

_PLACE_TYPES = {kind: {"coding": [{"system": PLACE_TYPE, "code": kind}]} for kind in ("wa", "ro", "bd")}


def service_provider(source: Source) -> Resource:
    """The organisation whose stay it is.

    Its code becomes a plain ``str``: the schema check is slow for the whole payload when it meets a subclass.
    """
    provider: Resource = {"display": source.name}
    if source.organisation:
        provider["identifier"] = {"system": ODS_ORGANIZATION, "value": str(source.organisation)}
    return provider


def visit_identifier(system: str, number: str) -> Resource:
    """A source's own number for the visit."""
    return {"system": system, "value": number}


def location(name: str, kind: str = "", system: str = "", code: str = "") -> Resource:
    """One place of a stay: ``kind`` is ``wa`` ward, ``ro`` room or ``bd`` bed. The entry's title names the first place of an
    Encounter."""
    place: Resource = {"display": name}
    if code:
        place["identifier"] = {"system": system, "value": code}
    return {"location": place, "physicalType": _PLACE_TYPES[kind]} if kind else {"location": place}


def participant(role: str, individual: Resource) -> Resource:
    """Somebody who takes part. ``role`` is a code of v3 ParticipationType, for example ``ATND``."""
    return {"type": [{"coding": [{"system": PARTICIPATION, "code": role}]}], "individual": individual}


def readiness_extension(words: str) -> Resource:
    """How ready somebody is to leave, in plain words: ``medically fit``, ``ready for discharge``."""
    return {"url": READINESS, "valueString": words}


def ready_since_extension(moment: str) -> Resource:
    """When somebody became ready to leave; after it the stay is a delay. ``moment`` is a FHIR ``dateTime``."""
    return {"url": READY_SINCE, "valueDateTime": moment}


def expected_discharge_extension(moment: str) -> Resource:
    """When somebody is expected to leave. ``moment`` is a FHIR ``dateTime`` in local time, so that its day is the day people
    mean."""
    return {"url": EXPECTED_DISCHARGE, "valueDateTime": moment}


def movement_extension(words: str) -> Resource:
    """What happened within the stay, or what was cancelled, in plain words: ``leave of absence``, ``discharge``."""
    return {"url": MOVEMENT, "valueString": words}
