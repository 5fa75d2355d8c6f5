"""The Patient of an event: one source's view of one person, UK Core shaped.

What a source does not say is left out and means *unchanged*; what it says to delete is named by an extension, so that a
projection can tell the two apart (HL7 v2.4 §2.7.1: an omitted field and ``""``).

Source: UK Core Patient, https://simplifier.net/hl7fhirukcorer4; NHS number verification codes of the NHS Data Dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.identifiers import NHS_NUMBER, NHS_NUMBER_UNCHECKED, SOURCE_URN, LocalId, NhsNumber
from schemas.resources.bundle import Resource
from schemas.source import NumbersAre, Source

VERIFICATION_STATUS = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
VERIFICATION_CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland"
VERIFIED = "01"
"""Number present and verified: the only status records are linked on."""
UNTRACED = "02"
"""Number present but not traced."""

DELETED = "urn:care-backbone:extension:deleted-element"
"""Extension whose ``valueString`` names an element of this resource that the source deleted."""


def nhs_number_identifier(number: NhsNumber, status: str, source: Source) -> Resource:
    """An NHS number with its verification status; without a stated one (``""``) the source's declaration decides."""
    code = status or (VERIFIED if source.nhs_numbers is NumbersAre.TRACED else UNTRACED)
    return {
        "extension": [{"url": VERIFICATION_STATUS, "valueCodeableConcept": {"coding": [{"system": VERIFICATION_CODES, "code": code}]}}],
        "system": NHS_NUMBER,
        "value": number,
    }


def unchecked_number_identifier(text: str) -> Resource:
    """What was sent as an NHS number but cannot be one: kept, flagged by its system, never linked on."""
    return {"system": NHS_NUMBER_UNCHECKED, "value": text}


def local_identifier(source: Source, local_id: LocalId) -> Resource:
    """The source's own identifier."""
    return {"system": source.urn, "value": local_id}


def verified_number(patient: Resource) -> NhsNumber | None:
    """The first NHS number of ``patient`` that is stated to be verified."""
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") == NHS_NUMBER and VERIFIED in _statuses(identifier):
            return NhsNumber(identifier["value"])
    return None


def _statuses(identifier: Resource) -> Iterable[str]:
    for extension in identifier.get("extension", ()):
        if extension["url"] == VERIFICATION_STATUS:
            yield from (coding["code"] for coding in extension["valueCodeableConcept"]["coding"])


def local_ids(patient: Resource) -> Iterable[tuple[str, LocalId]]:
    """The (source id, local identifier) pairs of ``patient``."""
    for identifier in patient.get("identifier", ()):
        system = identifier.get("system", "")
        if system.startswith(SOURCE_URN):
            yield system[len(SOURCE_URN) :], LocalId(identifier["value"])


def mark_deleted(resource: Resource, elements: Iterable[str]) -> None:
    """Note on ``resource`` that the source deleted these elements."""
    marks = [{"url": DELETED, "valueString": element} for element in elements]
    if marks:
        resource.setdefault("extension", []).extend(marks)


def deleted_elements(resource: Resource) -> list[str]:
    """The elements of ``resource`` that the source deleted, as `mark_deleted` noted them."""
    return [extension["valueString"] for extension in resource.get("extension", ()) if extension["url"] == DELETED]
