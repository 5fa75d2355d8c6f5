"""Builds the Encounter of a message from PV1 and PV2, and finds the visit number.

The Encounter depends on PV1 and PV2 only, so that a snapshot that repeats what is known gives an equal resource. Wards,
clinicians and codes are few and every message repeats them: what is made of them is cached, shared and must not be changed.

Source: HL7 v2.4 §3.3.3 (PV1), §3.3.4 (PV2); HSCIC ITK HL7 V2 (PV1-4, -14, -36, -37, -44, -45); UK Core Encounter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from adapters.hl7v2.content.datatypes import components, professional
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.memory import remembered
from adapters.hl7v2.text.message import Segment
from adapters.hl7v2.text.syntax import NULL, Syntax
from adapters.hl7v2.text.times import Moment
from schemas.fhir.bundle import Resource, patient_reference
from schemas.fhir.codes import (
    ADMISSION_METHOD,
    DISCHARGE_DESTINATION,
    DISCHARGE_METHOD,
    SOURCE_OF_ADMISSION,
    TREATMENT_FUNCTION,
    CodeList,
)
from schemas.fhir.proven import Proven, proven
from schemas.identifiers import RecordKey
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
"""PV1-2 (table 0004, and the ITK's ``W``, waiting list) to the class of an Encounter; any other is unknown."""


class Visit(NamedTuple):
    """One stay."""

    number: str
    """PV1-19, else PID-18, or ``""``."""
    pv1: Segment
    admitted: Moment | None
    """PV1-44."""
    discharged: Moment | None
    """PV1-45."""
    stay: Resource
    """The Encounter as PV1 and PV2 state it, with the status that follows from them."""
    known: Proven | None
    """Proof that the cached part of the Encounter is valid; ``None`` if it is not."""


class _Place(NamedTuple):
    """The location, people, codes and reason of a stay. They rarely change between its messages, so they are cached."""

    kind: str
    """The class of the Encounter."""
    parts: Resource
    """Elements of the Encounter."""
    gone: list[str]
    """Elements that are deleted."""
    known: Proven | None
    """Proof that the parts are valid; ``None`` if they are not."""


def visit(record: RecordKey, reading: Reading) -> Visit | None:
    """The stay of the message, or ``None`` if it has no PV1."""
    message = reading.message
    pv1, reason = message.segment("PV1"), message.segment("PV2").fields[3]
    if not pv1:
        return None
    fields = pv1.fields
    words = (pv1.syntax, reason, fields[36], fields[37], *fields[2:18])
    place: _Place = reading.site.stays.recall(words, reading.flags, lambda: _place(pv1, reason, reading))
    admitted, discharged = _period(pv1, reading)
    number = pv1.text(19) or message.segment("PID").text(18)
    stay: Resource = {"resourceType": "Encounter"}
    if number:
        stay["identifier"] = [visit_identifier(reading.site.visits, number)]
    stay["status"] = _status(place.kind, admitted, discharged)
    stay["subject"] = patient_reference(record)
    stay.update(place.parts)
    if admitted or discharged:
        ends = (("start", admitted), ("end", discharged))
        stay["period"] = {end: moment.fhir for end, moment in ends if moment}
    gone = [*place.gone, *(element for field, element in _TIMES if fields[field] == NULL)]
    if gone:
        stay["extension"] = [*stay.get("extension", ())]  # a copy, because the list may be shared
        mark_deleted(stay, gone)
    return Visit(number, pv1, admitted, discharged, stay, place.known)


def _place(pv1: Segment, reason: str, reading: Reading) -> _Place:
    kind = PATIENT_CLASSES.get(pv1.text(2).upper(), "UNK")
    parts: Resource = {"class": CLASSES[kind]}
    gone: list[str] = []
    _add_locations(parts, gone, pv1, reading)
    _add_people(parts, gone, pv1)
    _add_codes(parts, gone, pv1, reading)
    _add_reason(parts, gone, reason, reading)
    parts["serviceProvider"] = reading.site.provider
    return _Place(kind, parts, gone, proven({"resourceType": "Encounter", "status": "unknown", **parts}))


def _period(pv1: Segment, reading: Reading) -> tuple[Moment | None, Moment | None]:
    admitted, discharged = reading.time(pv1.fields[44], "PV1-44"), reading.time(pv1.fields[45], "PV1-45")
    if admitted and discharged and discharged.utc < admitted.utc:
        reading.flag("times-contradict", "PV1-45")
        return admitted, None
    return admitted, discharged


def _status(kind: str, admitted: Moment | None, discharged: Moment | None) -> str:
    if discharged:
        return "finished"
    if kind == "PRENC":
        return "planned"
    return "in-progress" if admitted else "unknown"


def _add_locations(stay: Resource, gone: list[str], pv1: Segment, reading: Reading) -> None:
    sent = pv1.fields[3]
    if sent == NULL:
        gone.append("location")
    elif sent:
        found = reading.site.locations(reading.syntax, sent)
        if found:
            stay["location"] = found


@remembered(4096)
def _taking_part(syntax: Syntax, role: str, sent: str) -> Resource | None:
    found = professional(syntax, sent.partition(syntax.repetition)[0])
    return participant(role, found) if found else None


_PEOPLE = (
    (7, "ATND", "participant.attender"),
    (9, "CON", "participant.consultant"),
    (8, "REF", "participant.referrer"),
    (17, "ADM", "participant.admitter"),
)
"""Field of PV1, role, and the name by which the element is marked as deleted. A title names the first participant."""


def _add_people(stay: Resource, gone: list[str], pv1: Segment) -> None:
    fields, found = pv1.fields, []
    for field, role, element in _PEOPLE:
        sent = fields[field]
        if sent == NULL:
            gone.append(element)
        elif sent and (person := _taking_part(pv1.syntax, role, sent)):
            found.append(person)
    if found:
        stay["participant"] = found


class _Coded(NamedTuple):
    """One field of PV1 that holds a code."""

    field: int
    where: str
    element: str
    """The name by which it is marked as deleted."""
    part: str
    """Element of ``hospitalization`` (``.admitSource``) or of the Encounter (``extension``) that it sets."""
    value: Callable[[Syntax, str], tuple[object, bool]]
    """Makes the value of the element, and whether the code is known, from the field as sent."""


def _concept(codes: CodeList) -> Callable[[Syntax, str], tuple[object, bool]]:
    @remembered(256)
    def value(syntax: Syntax, sent: str) -> tuple[object, bool]:
        said = syntax.first(sent)
        known = said.upper() in codes
        return codes.concept(said.upper() if known else said) if said else None, known or not said

    return value


def _extension(url: str, codes: CodeList) -> Callable[[Syntax, str], tuple[object, bool]]:
    concept = _concept(codes)

    @remembered(256)
    def value(syntax: Syntax, sent: str) -> tuple[object, bool]:
        made, known = concept(syntax, sent)
        return [{"url": url, "valueCodeableConcept": made}] if made else None, known

    return value


@remembered(1024)
def _treatment_function(syntax: Syntax, sent: str) -> tuple[object, bool]:
    """PV1-10: three digits are a national code, anything else is a name."""
    code = syntax.first(sent)
    if len(code) == 3 and code.isdigit():
        return {"coding": [{"system": TREATMENT_FUNCTION, "code": code}]}, True
    return {"text": code} if code else None, True


_STAY = "hospitalization"
_CODED = (
    _Coded(4, "PV1-4", f"{_STAY}.admissionMethod", ".extension", _extension(ADMISSION_METHOD_URL, ADMISSION_METHOD)),
    _Coded(10, "PV1-10", "serviceType", "serviceType", _treatment_function),
    _Coded(14, "PV1-14", f"{_STAY}.admitSource", ".admitSource", _concept(SOURCE_OF_ADMISSION)),
    _Coded(36, "PV1-36", "dischargeMethod", "extension", _extension(DISCHARGE_METHOD_URL, DISCHARGE_METHOD)),
    _Coded(37, "PV1-37", f"{_STAY}.dischargeDisposition", ".dischargeDisposition", _concept(DISCHARGE_DESTINATION)),
)
_TIMES = ((44, "period.start"), (45, "period.end"))


def _add_codes(stay: Resource, gone: list[str], pv1: Segment, reading: Reading) -> None:
    fields, inside = pv1.fields, {}
    for field, where, element, part, value in _CODED:
        sent = fields[field]
        if sent == NULL:
            gone.append(element)
            continue
        if not sent:
            continue
        made, known = value(pv1.syntax, sent)
        if not known:
            reading.flag("code-unknown", where)
        if made and part[0] == ".":
            inside[part[1:]] = made
        elif made:
            stay[part] = made
    if inside:
        stay[_STAY] = inside


def _add_reason(stay: Resource, gone: list[str], sent: str, reading: Reading) -> None:
    """PV2-3 (CE): its text, else its code."""
    if sent == NULL:
        gone.append("reasonCode")
    elif sent:
        said = components(reading.syntax, sent)
        if said[1] or said[0]:
            stay["reasonCode"] = [{"text": said[1] or said[0]}]
