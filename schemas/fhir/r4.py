"""Where FHIR R4 differs from the metadata of fhir.resources, which is R4B: the tables behind `schemas.fhir.definitions`.

Source: FHIR R4 (4.0.1), https://hl7.org/fhir/R4/datatypes.html and https://hl7.org/fhir/R4/terminologies-valuesets.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

RESOURCES = (
    *("AllergyIntolerance", "Appointment", "Bundle", "CarePlan", "CareTeam", "ClinicalImpression", "Communication"),
    *("Condition", "Consent", "Coverage", "DocumentReference", "Encounter", "EpisodeOfCare", "Flag", "Goal"),
    *("HealthcareService", "Location", "MedicationStatement", "MessageHeader", "Observation", "OperationOutcome"),
    *("Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure", "Provenance", "Questionnaire"),
    *("QuestionnaireResponse", "RelatedPerson", "Schedule", "ServiceRequest", "Slot", "Task"),
)
"""The resources we use: the catalogue's focuses, what comes with BaRS messages, and what answers need."""

_DAYS = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29"
"""Leap years are part of the pattern itself: "dates SHALL be valid dates" then needs no ``format``, which validators ignore."""
_DATE = f"(?:{_YEAR}-{_DAYS}|{_LEAP})"
_PARTIAL = f"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def _whole(least: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": 2**31 - 1}


_STRING = _text(r"^[^\x00-\x08\x0B\x0C\x0E-\x1F]+$")
"""At least one character, and no control characters: FHIR says SHOULD NOT, but XML and PostgreSQL cannot hold them at all."""
_URI = _text(r"^[^\x00-\x20]+$")
"""FHIR's ``\\S*`` with the white space of XML Schema, whose regular expressions FHIR's are."""

PRIMITIVES: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "string": _STRING,
    "markdown": _STRING,
    "xhtml": _STRING,
    "code": _text(r"^[^\x00-\x20]+( [^\x00-\x20]+)*$"),
    "id": _text(r"^[A-Za-z0-9\-.]{1,64}$"),
    "uri": _URI,
    "url": _URI,
    "canonical": _URI,
    "oid": _text(r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"),
    "uuid": _text(r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    "base64Binary": _text(r"^(?:\s*[0-9a-zA-Z+/=]{4}\s*)+$"),
    "decimal": {"type": "number"},
    "integer": _whole(-(2**31)),
    "unsignedInt": _whole(0),
    "positiveInt": _whole(1),
    "date": _text(f"^(?:{_PARTIAL}|{_DATE})$"),
    "dateTime": _text(f"^(?:{_PARTIAL}|{_DATE}(?:T{_TIME}{_ZONE})?)$"),
    "instant": _text(f"^{_DATE}T{_TIME}{_ZONE}$"),
    "time": _text(f"^{_TIME}$"),
}
"""The primitive types by name. No pattern needs backtracking. Source: FHIR R4 datatypes, Primitive Types."""


def _codes(words: str) -> list[str]:
    return words.split()


_STATUS_OF_ENCOUNTER = _codes("planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown")
_COMPARATORS = _codes("< <= >= >")

CODES: Mapping[tuple[str, str], list[str] | None] = {
    ("Encounter", "status"): _STATUS_OF_ENCOUNTER,
    ("EncounterStatusHistory", "status"): _STATUS_OF_ENCOUNTER,
    ("Expression", "language"): None,
    ("Observation", "status"): _codes("registered preliminary final amended corrected cancelled entered-in-error unknown"),
    ("OperationOutcomeIssue", "code"): _codes(
        "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
        "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule "
        "conflict transient lock-error no-store exception timeout incomplete throttled informational"
    ),
    ("QuestionnaireItem", "type"): _codes(
        "group display boolean decimal integer date dateTime time string text url choice open-choice attachment reference "
        "quantity"
    ),
    ("Task", "status"): _codes(
        "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed entered-in-error"
    ),
    ("TimingRepeat", "when"): _codes(
        "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS HS WAKE C CM CD CV AC ACM ACD "
        "ACV PC PCM PCD PCV"
    ),
    **{(quantity, "comparator"): _COMPARATORS for quantity in ("Quantity", "Age", "Count", "Distance", "Duration")},
}
"""Codes of required bindings that the metadata cuts short (its list ends in ``+``) or leaves out. ``None`` where the binding
is only extensible."""

NOT_R4 = {("Extension", "valueCodeableReference"), ("Extension", "valueRatioRange")}
"""Elements that are in R4B but not in R4."""

ALSO_R4 = {("Extension", "valueMeta"): "Meta"}
"""Elements that are in R4 but not in the R4B metadata, with their types."""

NO_SIBLING = {("Extension", "url"), ("Narrative", "div")}
"""Primitives that are XML attributes or XML content, and so have no ``_`` sibling. Source: FHIR R4 extensibility, Narrative."""
