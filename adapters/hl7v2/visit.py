"""The stay of a message: what PV1 and PV2 say of it, as an Encounter, and what names it.

It is built of nothing but PV1 and PV2, so that a snapshot that repeats what is known is an equal resource.

Source: HL7 v2.4 §3.3.3 (PV1), §3.3.4 (PV2); HSCIC ITK HL7 V2 (PV1-4, -14, -36, -37, -44, -45); UK Core Encounter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from adapters.hl7v2.datatypes import components, professional
from adapters.hl7v2.message import Segment
from adapters.hl7v2.reading import Reading
from adapters.hl7v2.syntax import NULL
from adapters.hl7v2.times import Moment
from schemas.codes import (
    ADMISSION_METHOD,
    DISCHARGE_DESTINATION,
    DISCHARGE_METHOD,
    SOURCE_OF_ADMISSION,
    TREATMENT_FUNCTION,
    CodeList,
)
from schemas.identifiers import RecordKey
from schemas.resources.bundle import Resource, patient_reference
from schemas.resources.encounter import (
    ADMISSION_METHOD_URL,
    CLASSES,
    DISCHARGE_METHOD_URL,
    participant,
    visit_identifier,
)
from schemas.resources.person import mark_deleted

PATIENT_CLASSES: Mapping[str, str] = MappingProxyType(
    {"I": "IMP", "B": "IMP", "E": "EMER", "O": "AMB", "R": "AMB", "P": "PRENC", "W": "PRENC"}
)
"""PV1-2 (table 0004, and ``W`` waiting list of the ITK) to the class of an Encounter; all others are unknown."""


class Visit(NamedTuple):
    """One stay."""

    number: str
    """PV1-19, or ``""``."""
    pv1: Segment
    admitted: Moment | None
    """PV1-44."""
    discharged: Moment | None
    """PV1-45."""
    stay: Resource
    """The Encounter as PV1 and PV2 show it, with the status that follows from them."""


def visit(record: RecordKey, reading: Reading) -> Visit | None:
    """The stay that the message shows, or ``None`` when it has no PV1."""
    pv1 = reading.message.segment("PV1")
    if not pv1:
        return None
    admitted, discharged = reading.time(pv1.fields[44], "PV1-44"), reading.time(pv1.fields[45], "PV1-45")
    if admitted and discharged and discharged.utc < admitted.utc:
        reading.flag("times-contradict", "PV1-45")
        discharged = None
    number = pv1.text(19) or reading.message.segment("PID").text(18)
    stay: Resource = {"resourceType": "Encounter"}
    if number:
        stay["identifier"] = [visit_identifier(reading.site.visits, number)]
    kind = PATIENT_CLASSES.get(pv1.text(2).upper(), "UNK")
    stay["status"] = _status(kind, admitted, discharged)
    stay["class"] = CLASSES[kind]
    stay["subject"] = patient_reference(record)
    stay["serviceProvider"] = reading.site.provider
    gone = _add(stay, pv1, _PV1, reading)
    gone += _add(stay, reading.message.segment("PV2"), _PV2, reading)
    period = {"start": admitted.fhir} if admitted else {}
    if discharged:
        period["end"] = discharged.fhir
    if period:
        stay["period"] = period
    mark_deleted(stay, gone)
    return Visit(number, pv1, admitted, discharged, stay)


def _status(kind: str, admitted: Moment | None, discharged: Moment | None) -> str:
    if discharged:
        return "finished"
    if admitted and kind != "PRENC":
        return "in-progress"
    return "planned" if kind == "PRENC" else "unknown"


class _Row(NamedTuple):
    """One field of PV1 or PV2."""

    field: int
    element: str
    """Of Encounter: the name that is noted when the field is deleted."""
    add: Callable[[Resource, Reading, str, str], None]
    """Adds to the Encounter what the field as sent says; told its name too."""
    where: str


def _add(stay: Resource, segment: Segment, rows: tuple[_Row, ...], reading: Reading) -> list[str]:
    """Add what the fields say; the elements that are deleted."""
    gone: list[str] = []
    fields = segment.fields
    for field, element, add, where in rows:
        sent = fields[field]
        if sent == NULL:
            gone.append(element)
        elif sent:
            add(stay, reading, sent, where)
    return gone


def _noted(_: Resource, __: Reading, ___: str, ____: str) -> None:
    """Read elsewhere; here only its deletion counts."""


def _places(stay: Resource, reading: Reading, sent: str, _: str) -> None:
    found = reading.site.locations(reading.syntax, sent.partition(reading.syntax.repetition)[0])
    if found:
        stay["location"] = found


def _role(role: str) -> Callable[[Resource, Reading, str, str], None]:
    def add(stay: Resource, reading: Reading, sent: str, _: str) -> None:
        found = professional(reading.syntax, sent.partition(reading.syntax.repetition)[0])
        if found:
            stay.setdefault("participant", []).append(participant(role, found))

    return add


def _coded(codes: CodeList, place: Callable[[Resource, Resource], None]) -> Callable[[Resource, Reading, str, str], None]:
    def add(stay: Resource, reading: Reading, sent: str, where: str) -> None:
        said = reading.syntax.first(sent)
        if not said:
            return
        known = said.upper() in codes
        if not known:
            reading.flag("code-unknown", where)
        place(stay, codes.concept(said.upper() if known else said))

    return add


def _stay(stay: Resource) -> Resource:
    part: Resource = stay.setdefault("hospitalization", {})
    return part


def _admission_method(stay: Resource, concept: Resource) -> None:
    _stay(stay)["extension"] = [{"url": ADMISSION_METHOD_URL, "valueCodeableConcept": concept}]


def _admit_source(stay: Resource, concept: Resource) -> None:
    _stay(stay)["admitSource"] = concept


def _destination(stay: Resource, concept: Resource) -> None:
    _stay(stay)["dischargeDisposition"] = concept


def _discharge_method(stay: Resource, concept: Resource) -> None:
    stay["extension"] = [{"url": DISCHARGE_METHOD_URL, "valueCodeableConcept": concept}]


def _treatment_function(stay: Resource, reading: Reading, sent: str, _: str) -> None:
    """PV1-10; three digits are a national code, anything else is a name."""
    code = reading.syntax.first(sent)
    if len(code) == 3 and code.isdigit():
        stay["serviceType"] = {"coding": [{"system": TREATMENT_FUNCTION, "code": code}]}
    elif code:
        stay["serviceType"] = {"text": code}


def _reason(stay: Resource, reading: Reading, sent: str, _: str) -> None:
    """PV2-3 (CE): its words, else its code."""
    said = components(reading.syntax, sent)
    words = said[1] or said[0]
    if words:
        stay["reasonCode"] = [{"text": words}]


_PV1: tuple[_Row, ...] = (
    _Row(3, "location", _places, "PV1-3"),
    _Row(4, "hospitalization.admissionMethod", _coded(ADMISSION_METHOD, _admission_method), "PV1-4"),
    _Row(7, "participant.attender", _role("ATND"), "PV1-7"),
    _Row(9, "participant.consultant", _role("CON"), "PV1-9"),
    _Row(8, "participant.referrer", _role("REF"), "PV1-8"),
    _Row(10, "serviceType", _treatment_function, "PV1-10"),
    _Row(14, "hospitalization.admitSource", _coded(SOURCE_OF_ADMISSION, _admit_source), "PV1-14"),
    _Row(17, "participant.admitter", _role("ADM"), "PV1-17"),
    _Row(36, "dischargeMethod", _coded(DISCHARGE_METHOD, _discharge_method), "PV1-36"),
    _Row(37, "hospitalization.dischargeDisposition", _coded(DISCHARGE_DESTINATION, _destination), "PV1-37"),
    _Row(44, "period.start", _noted, "PV1-44"),
    _Row(45, "period.end", _noted, "PV1-45"),
)
_PV2: tuple[_Row, ...] = (_Row(3, "reasonCode", _reason, "PV2-3"),)
