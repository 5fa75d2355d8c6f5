"""Reads the allergies of the person (AL1), which are stated beside the message's own fact.

AL1 is the only clinical segment that is read: whoever cooks for somebody or gives them their tablets needs to know it.
Diagnoses, procedures and observations are not read (`docs/decisions/0012`).

Source: HL7 v2.4 §3.3.6 (AL1), tables 0127 (allergen type) and 0128 (severity); FHIR R4 AllergyIntolerance, invariant ait-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adapters.hl7v2.content.datatypes import components
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.message import Segment
from schemas.fhir.bundle import Resource, patient_reference
from schemas.identifiers import RecordKey

_CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
_SNOMED = "http://snomed.info/sct"
_SNOMED_NAMES = frozenset({"SCT", "SNM", "SNOMED", "SNOMED-CT", "SNOMED CT", "2.16.840.1.113883.2.1.3.2.4.15"})
"""Values of CE-3, in capitals, that mean SNOMED CT; the last is the OID of its UK edition."""
CATEGORIES: Mapping[str, str] = MappingProxyType(
    {"DA": "medication", "FA": "food", "EA": "environment", "AA": "environment", "PA": "environment", "LA": "environment"}
)
"""AL1-2 to category; the miscellaneous allergen types (MA, MC) have none."""
SEVERITIES: Mapping[str, str] = MappingProxyType({"SV": "severe", "MO": "moderate", "MI": "mild"})
"""AL1-4 to the severity of a reaction. Used only if AL1-5 names a reaction."""
CRITICALITIES: Mapping[str, str] = MappingProxyType({"SV": "high", "MI": "low", "U": "unable-to-assess"})
"""AL1-4 to criticality: how serious a future reaction may be. A moderate reaction predicts neither high nor low."""


def allergies(record: RecordKey, reading: Reading) -> tuple[Resource, ...]:
    """An AllergyIntolerance for each AL1 that names a substance, in order. An omitted or deleted AL1 states nothing."""
    found = (_allergy(segment, record, reading) for segment in reading.message.segments("AL1"))
    return tuple(one for one in found if one)


def _allergy(al1: Segment, record: RecordKey, reading: Reading) -> Resource | None:
    code = _code(al1, reading)
    if not code:
        return None
    allergy: Resource = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": _CLINICAL_STATUS, "code": "active"}]},
        "code": code,
        "patient": patient_reference(record),
    }
    category, severity = CATEGORIES.get(al1.text(2).upper()), al1.text(4).upper()
    if category:
        allergy["category"] = [category]
    if severity in CRITICALITIES:
        allergy["criticality"] = CRITICALITIES[severity]
    reactions = [text for sent in al1.repetitions(5) if (text := al1.syntax.first(sent))]
    if reactions:
        reaction: Resource = {"manifestation": [{"text": text} for text in reactions]}
        allergy["reaction"] = [reaction | ({"severity": SEVERITIES[severity]} if severity in SEVERITIES else {})]
    return allergy


def _code(al1: Segment, reading: Reading) -> Resource:
    """AL1-3 (CE): code, text, coding system. A code of an unknown system is treated as the source's own."""
    repetition = next(iter(al1.repetitions(3)), "")
    code, words, system = components(al1.syntax, repetition)[:3]
    concept: Resource = {}
    if code and code != words:
        known = _SNOMED if system.upper() in _SNOMED_NAMES else f"{reading.site.source.urn}:allergen"
        concept["coding"] = [{"system": known, "code": code}]
    if words or code:
        concept["text"] = words or code
    return concept
