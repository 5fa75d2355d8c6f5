"""Finds the record a message is about: the identifiers of PID-3, the NHS number wherever it was sent, and the record's key.

The local identifier identifies the record; an NHS number does so only if there is no local identifier. An invalid NHS number is
kept as sent and flagged, and identifies nobody.

Source: HL7 v2.4 §2.8.6 (CX), §3.3.2.3 (PID-3); HSCIC ITK HL7 V2 (CX-4, PID-32); NHS Data Dictionary, NHS NUMBER.
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.hl7v2.content.datatypes import components
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.message import Segment
from adapters.hl7v2.text.quirks import LOCAL_TYPES, NHS_AUTHORITIES, NHS_TYPES, NO_RECORD_TYPES, VERIFICATION
from adapters.hl7v2.text.syntax import Syntax
from adapters.identity import RefusalWords, record_named
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import IDENTIFIER_TYPE
from schemas.identifiers import NHS_NUMBER, LocalId, NhsNumber, RecordKey, nhs_number
from schemas.resources.person import UNTRACED, local_identifier, nhs_number_identifier, unchecked_number_identifier

_LOCAL_RANK = {kind: rank for rank, kind in enumerate((*LOCAL_TYPES, ""))}
_UNRANKED = len(_LOCAL_RANK)
_NONE = "it has neither a local identifier nor exactly one valid NHS number"
_REFUSED = RefusalWords(where="PID-3", none=_NONE, several=_NONE)


class Identity(NamedTuple):
    """The record of a message, and the identifiers of its Patient."""

    record: RecordKey
    identifiers: list[Resource]
    """The record's own identifier first, then NHS numbers, then others."""


class _Sent(NamedTuple):
    """One identifier as sent."""

    value: str
    check: str
    """CX-2."""
    authority: str
    kind: str
    """CX-5 in capitals."""
    national: bool
    """Whether it was sent as an NHS number."""
    number: NhsNumber | None
    """The NHS number, if it is a valid one."""


def identity(pid: Segment, reading: Reading) -> Identity:
    """The record that the PID segment names.

    Raises `MissingIdentifier` when it names none.
    """
    sent = _identifiers(pid.repetitions(3), pid.syntax)
    source = reading.site.source
    numbers = _numbers(pid, sent)
    local = _local(sent, source.organisation)
    invalid = ["PID-3"] if any(one.national and one.value and not one.number for one in sent) else []
    own = None if local is None else LocalId(local.value)
    named = record_named(reading.arrival, own, numbers, invalid, _REFUSED)
    reading.add_flags(named.flags)
    identifiers = named.own
    for number, status in _statuses(numbers, pid, reading).items():
        identifiers.append(nhs_number_identifier(number, status, source))
    identifiers += [_other(one) for one in sent if one is not local and one.value and not one.number]
    return Identity(named.key, identifiers)


def replaced(mrg: Segment, pid: Segment, reading: Reading) -> list[Resource]:
    """The identifiers of the record that was merged away (MRG-1).

    Some systems send them without authority and type. Such an identifier takes those of the identifier at the same position in
    PID-3 ("positions matched"). The result is the source's own identifier, by which other messages name the record; NHS numbers
    only if there is none.
    """
    source = reading.site.source
    beside = _identifiers(pid.repetitions(3), pid.syntax)
    sent = _identifiers(mrg.repetitions(1), mrg.syntax)
    for index, one in enumerate(sent[: len(beside)]):
        if not (one.authority or one.kind):
            sent[index] = _identifier(one.value, one.check, beside[index].authority, beside[index].kind)
    local = _local(sent, source.organisation)
    if local is not None:
        return [local_identifier(source, LocalId(local.value))]
    return [{"system": NHS_NUMBER, "value": str(one.number)} for one in sent if one.number]


def _identifiers(repetitions: list[str], syntax: Syntax) -> list[_Sent]:
    """The identifiers that have a value (CX-1), or a trace status (CX-2) in its place."""
    found = []
    for repetition in repetitions:
        parts = components(syntax, repetition)
        if parts[0] or parts[1]:
            found.append(_identifier(parts[0], parts[1], parts[3], parts[4].upper()))
    return found


def _identifier(value: str, check: str, authority: str, kind: str) -> _Sent:
    national = kind in NHS_TYPES or authority.upper() in NHS_AUTHORITIES
    return _Sent(value, check, authority, kind, national, nhs_number(value) if national else None)


def _local(sent: list[_Sent], organisation: str) -> _Sent | None:
    """The source's own identifier: the best type, among equals the one that the organisation assigned, then the first."""
    candidates = [one for one in sent if one.value and not one.national and one.kind not in NO_RECORD_TYPES]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda one: (_LOCAL_RANK.get(one.kind, _UNRANKED), one.authority.upper() != organisation))


def _numbers(pid: Segment, sent: list[_Sent]) -> dict[NhsNumber, str]:
    """The valid NHS numbers, each with the status stated beside it (``""`` if none is)."""
    numbers: dict[NhsNumber, str] = {}
    for one in sent:
        if one.number:
            numbers.setdefault(one.number, VERIFICATION.get(one.check, ""))
    return numbers or (_external(pid) if pid.fields[2] else {})


def _statuses(numbers: dict[NhsNumber, str], pid: Segment, reading: Reading) -> dict[NhsNumber, str]:
    """The verification status of each of ``numbers``.

    Two different numbers on one record contradict each other, so neither may link the record to a person.
    """
    if len(numbers) > 1:
        reading.flag("nhs-numbers-differ", "PID-3")
        return dict.fromkeys(numbers, UNTRACED)
    return {number: status or _stated_status(pid, reading) for number, status in numbers.items()}


def _external(pid: Segment) -> dict[NhsNumber, str]:
    """The NHS number in PID-2, where some systems send it; the ITK leaves it empty.

    One in eleven ten-digit hospital numbers would pass as an NHS number, so a number without type and authority counts as
    untraced.
    """
    for one in _identifiers(pid.repetitions(2), pid.syntax):
        if one.number:
            return {one.number: VERIFICATION.get(one.check, "")}
        number = None if one.kind or one.authority else nhs_number(one.value)
        if number:
            return {number: UNTRACED}
    return {}


def _stated_status(pid: Segment, reading: Reading) -> str:
    """The verification status of PID-32, else of the older ZU1-27."""
    for repetition in pid.repetitions(32):
        status = VERIFICATION.get(pid.syntax.first(repetition).upper())
        if status:
            return status
    return VERIFICATION.get(reading.message.segment("ZU1").text(27).upper(), "")


def _other(one: _Sent) -> Resource:
    """An identifier of another type, or an invalid NHS number."""
    if one.national:
        return unchecked_number_identifier(one.value)
    other: Resource = {"value": one.value}
    if one.kind:
        other["type"] = {"coding": [{"system": IDENTIFIER_TYPE, "code": one.kind}]}
    if one.authority:
        other["assigner"] = {"display": one.authority}
    return other
