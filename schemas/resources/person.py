"""The Patient of an event: one source's view of one person, in the shape of UK Core.

Whatever a source does not mention is left out and means *unchanged*; whatever it deletes is named in an extension, so that a
projection can tell the two apart (HL7 v2.4 §2.7.1: an omitted field, and ``""``).

Source: UK Core Patient, https://simplifier.net/hl7fhirukcorer4; NHS number verification codes of the NHS Data Dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from schemas.fhir.bundle import Resource
from schemas.fhir.codes import CodeList
from schemas.identifiers import NHS_NUMBER, NHS_NUMBER_UNCHECKED, SOURCE_URN, LocalId, NhsNumber, nhs_number
from schemas.source import NumbersAre, Source

VERIFICATION_STATUS = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
VERIFICATION_CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland"
VERIFIED = "01"
"""Number present and verified: the only status on which records are linked."""
UNTRACED = "02"
"""Number present but not traced."""

DELETED = "urn:care-backbone:extension:deleted-element"
"""Extension whose ``valueString`` names an element of this resource that the source deleted."""


def nhs_number_identifier(number: NhsNumber, status: str, source: Source) -> Resource:
    """An NHS number with its verification status; when none is stated (``""``), the source's declaration decides."""
    code = status or (VERIFIED if source.nhs_numbers is NumbersAre.TRACED else UNTRACED)
    return {
        "extension": [
            {"url": VERIFICATION_STATUS, "valueCodeableConcept": {"coding": [{"system": VERIFICATION_CODES, "code": code}]}}
        ],
        "system": NHS_NUMBER,
        "value": str(number),
    }


def unchecked_number_identifier(text: str) -> Resource:
    """What was sent as an NHS number but cannot be one: kept, flagged by its system, never linked on."""
    return {"system": NHS_NUMBER_UNCHECKED, "value": text}


def local_identifier(source: Source, local_id: LocalId) -> Resource:
    """The source's own identifier."""
    return {"system": source.urn, "value": str(local_id)}


def verified_number(patient: Resource) -> NhsNumber | None:
    """The first NHS number of ``patient`` that is marked as verified and passes the check digit."""
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") == NHS_NUMBER and VERIFIED in _statuses(identifier):
            number = nhs_number(identifier.get("value", ""))
            if number:
                return number
    return None


def _statuses(identifier: Resource) -> Iterable[str]:
    for extension in identifier.get("extension", ()):
        if extension["url"] == VERIFICATION_STATUS:
            concept = extension.get("valueCodeableConcept", {})
            yield from (coding.get("code", "") for coding in concept.get("coding", ()))


def local_ids(patient: Resource) -> Iterable[tuple[str, LocalId]]:
    """The local identifiers of ``patient`` as pairs (source id, identifier)."""
    for identifier in patient.get("identifier", ()):
        system = identifier.get("system", "")
        if system.startswith(SOURCE_URN) and "value" in identifier:
            yield system[len(SOURCE_URN) :], LocalId(identifier["value"])


def merged_from(identifier: Resource) -> Resource:
    """A link from the surviving Patient to the record it replaces."""
    return {"other": {"identifier": identifier}, "type": "replaces"}


def merged_identifiers(patient: Resource) -> list[Resource]:
    """The identifiers of the records that ``patient`` replaces."""
    links = (link for link in patient.get("link", ()) if link.get("type") == "replaces")
    return [link["other"]["identifier"] for link in links if "identifier" in link["other"]]


def human_name(family: str, given: Sequence[str], use: str = "", prefix: str = "", suffix: str = "") -> Resource | None:
    """A HumanName, or ``None`` when nothing of it is known."""
    name: Resource = {"use": use} if use else {}
    if family:
        name["family"] = family
    if given:
        name["given"] = list(given)
    if not family and not given:
        return None
    if prefix:
        name["prefix"] = [prefix]
    if suffix:
        name["suffix"] = [suffix]
    return name


_ADDRESS_PARTS = ("city", "district", "postalCode", "country")


def address(lines: Iterable[str], city: str, district: str, postal: str, country: str, use: str = "") -> Resource | None:
    """An Address, or ``None`` when nothing of it is known. ``district`` is the county; ``use`` may be ``""``."""
    parts: Resource = {"line": kept} if (kept := [line for line in lines if line]) else {}
    for part, text in zip(_ADDRESS_PARTS, (city, district, postcode(postal), country), strict=True):
        if text:
            parts[part] = text
    if not parts:
        return None
    return {"use": use} | parts if use else parts


_POSTCODE = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)([0-9][A-Z]{2})", re.ASCII)


def postcode(text: str) -> str:
    """A UK postcode in capitals with its one space; anything else unchanged.

    Source: BS 7666, Royal Mail PAF: the inward part is a digit and two letters.
    """
    match = _POSTCODE.fullmatch("".join(text.split()).upper())
    return f"{match[1]} {match[2]}" if match else text


def contact_point(system: str, value: str, use: str) -> Resource:
    """A ContactPoint; ``use`` may be ``""``."""
    point = {"system": system, "value": value}
    return point | {"use": use} if use else point


ETHNIC_CATEGORY = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory"
RELIGION = "http://hl7.org/fhir/StructureDefinition/patient-religion"
HUMAN_LANGUAGE = "https://fhir.hl7.org.uk/CodeSystem/UKCore-HumanLanguage"


def coded_extension(url: str, codes: CodeList, code: str) -> Resource:
    """An extension whose value is a code."""
    return {"url": url, "valueCodeableConcept": codes.concept(code)}


def spoken(language: str) -> Resource:
    """A language somebody speaks, given as an ISO 639-1 code or in words."""
    known = len(language) == 2 and language.isascii() and language.isalpha()
    concept: Resource = {"coding": [{"system": HUMAN_LANGUAGE, "code": language.lower()}]} if known else {"text": language}
    return {"language": concept}


def mark_deleted(resource: Resource, elements: Iterable[str]) -> None:
    """Mark on ``resource`` which elements the source deleted."""
    marks = [{"url": DELETED, "valueString": element} for element in elements]
    if marks:
        resource.setdefault("extension", []).extend(marks)


def deleted_elements(resource: Resource) -> list[str]:
    """The elements of ``resource`` that the source deleted, as marked by `mark_deleted`."""
    marks = (mark for mark in resource.get("extension", ()) if mark["url"] == DELETED)
    return [mark["valueString"] for mark in marks if "valueString" in mark]
