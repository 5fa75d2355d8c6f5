"""Finds the record of a Patient, and adds identifiers to the Patient.

What the source sent is kept unchanged. The identifiers that projections look for are added: the source's own, under the
source's system, and the NHS number with its verification status in the current notation of UK Core. Live messages write the
status in three ways.

Source: UK Core Patient; formats in use by BaRS 1.4, the Personal Demographics Service and NEMS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from adapters.identity import RefusalWords, record_named
from adapters.translator import Arrival
from schemas.errors import InvalidValue
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import IDENTIFIER_TYPE
from schemas.identifiers import SOURCE_URN, LocalId, NhsNumber, RecordKey, nhs_number
from schemas.resources.person import VERIFICATION_STATUS, nhs_number_identifier
from schemas.source import Source

NUMBER_SYSTEMS = frozenset(
    {"https://fhir.nhs.uk/id/nhs-number", "http://fhir.nhs.uk/id/nhs-number", "http://fhir.nhs.net/id/nhs-number"}
)
"""Systems that mean the NHS number, in lower case: the current one and those of older messages."""
LOCAL_SYSTEMS = ("https://fhir.nhs.uk/id/local-patient-identifier", "https://fhir.nhs.uk/id/mrn/")
"""Prefixes, in lower case, of systems of an organisation's own patient numbers."""
LOCAL_TYPES = frozenset({"MR", "PI", "PT"})
"""Codes of HL7 table 0203: medical record number, patient internal identifier, patient external identifier."""

STATUS_EXTENSIONS = frozenset(
    {
        VERIFICATION_STATUS,
        "https://fhir.hl7.org.uk/StructureDefinition/Extension-CareConnect-NHSNumberVerificationStatus-1",
        "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-NHSNumberVerificationStatus-1",
    }
)
STATUSES: Mapping[str, str] = MappingProxyType(
    {
        **{f"0{number}": f"0{number}" for number in range(1, 9)},
        "number-present-and-verified": "01",
        "number-present-but-not-traced": "02",
        "trace-required": "03",
        "trace-attempted-no-match-or-multiple-match-found": "04",
        "trace-attempted---no-match-or-multiple-match-found": "04",
        "trace-needs-to-be-resolved": "05",
        "trace-in-progress": "06",
        "number-not-present-and-trace-not-required": "07",
        "trace-postponed": "08",
        "trace-postponed-baby-under-six-weeks-old": "08",
    }
)
"""Codes of the verification status, as systems write them, to those of the NHS Data Dictionary. Any other code does not mean
"verified", so it counts as present but not traced."""
_UNKNOWN_STATUS = "02"
_REFUSED = RefusalWords(
    where="Patient.identifier",
    none="the Patient has neither a local identifier nor a valid NHS number",
    several="the Patient has two NHS numbers and no local identifier",
)


class PatientIdentity(NamedTuple):
    """The record of a Patient."""

    record: RecordKey
    patient: Resource
    """As received, with the added identifiers."""
    flags: tuple[str, ...]


class _Sent(NamedTuple):
    """One identifier with system and value that is not marked as old."""

    number: int
    identifier: Resource
    system: str
    """In lower case."""
    value: str


def identity(patient: Resource, arrival: Arrival) -> PatientIdentity:
    """The record of ``patient``, which must be valid FHIR.

    Raises `MissingIdentifier` when no identifier is usable, `InvalidValue` when one has the system of another source.
    """
    source = arrival.source
    sent = list(_identifiers(patient, source))
    numbers, invalid = _numbers(sent, source)
    local = _local(sent, source) or (None if numbers else _other(sent))
    named = record_named(arrival, local, numbers, invalid, _REFUSED)
    added = [own for own in named.own if not any(own.items() <= one.identifier.items() for one in sent)]
    added += [identifier for number, identifier in numbers.items() if not _current(number, identifier, sent)]
    shown = patient if not added else patient | {"identifier": [*patient.get("identifier", ()), *added]}
    return PatientIdentity(named.key, shown, tuple(named.flags))


def _identifiers(patient: Resource, source: Source) -> Iterator[_Sent]:
    for number, identifier in enumerate(patient.get("identifier", ())):
        system = identifier.get("system", "")
        if system.startswith(SOURCE_URN) and system != source.urn:
            where = f"Patient.identifier[{number}].system"
            raise InvalidValue("a source must not use the identifier system of another source", where=where)
        if system and identifier.get("value", "").strip() and identifier.get("use") != "old":
            yield _Sent(number, identifier, system.lower(), identifier["value"].strip())


def _numbers(sent: list[_Sent], source: Source) -> tuple[dict[NhsNumber, Resource], list[str]]:
    """The NHS numbers in the notation of UK Core, and where the invalid ones are."""
    numbers: dict[NhsNumber, Resource] = {}
    invalid = []
    for one in sent:
        if one.system in NUMBER_SYSTEMS:
            found = nhs_number(one.value)
            if found is None:
                invalid.append(f"Patient.identifier[{one.number}]")
            else:
                numbers.setdefault(found, nhs_number_identifier(found, _status(one.identifier), source))
    return numbers, invalid


def _status(identifier: Resource) -> str:
    """The stated verification status, or ``""``."""
    for extension in identifier.get("extension", ()):
        if extension["url"] in STATUS_EXTENSIONS:
            codings = extension.get("valueCodeableConcept", {}).get("coding", ())
            codes = [STATUSES[coding["code"]] for coding in codings if coding.get("code") in STATUSES]
            return codes[0] if codes else _UNKNOWN_STATUS
    return ""


def _current(number: NhsNumber, identifier: Resource, sent: list[_Sent]) -> bool:
    """Whether the source itself sent the number and its status in the current notation."""
    return any(one.identifier.get("value") == number and identifier.items() <= one.identifier.items() for one in sent)


def _local(sent: list[_Sent], source: Source) -> LocalId | None:
    """The source's own identifier of the record. One of another system includes the system, to keep equal values apart."""
    own = next((one.value for one in sent if one.system == source.urn), None)
    if own is not None:
        return LocalId(own)
    found = next((one for one in sent if one.system.startswith(LOCAL_SYSTEMS) or _is_local_type(one.identifier)), None)
    return _with_system(found) if found else None


def _other(sent: list[_Sent]) -> LocalId | None:
    """An identifier of an unknown system, used without an NHS number: the first by system and value, whatever their order."""
    unknown = [one for one in sent if one.system not in NUMBER_SYSTEMS]
    return _with_system(min(unknown, key=lambda one: (one.system, one.value))) if unknown else None


def _with_system(one: _Sent) -> LocalId:
    return LocalId(f"{one.identifier['system']}|{one.value}")


def _is_local_type(identifier: Resource) -> bool:
    codings = identifier.get("type", {}).get("coding", ())
    return any(coding.get("system") == IDENTIFIER_TYPE and coding.get("code") in LOCAL_TYPES for coding in codings)
