"""Whose record a message is about: the identifiers of PID-3, wherever the NHS number stands, and the record's key.

The local identifier is the record. An NHS number is the record only where a source has nothing else. A number that cannot be
one is kept as it was sent, flagged, and names nobody.

Source: HL7 v2.4 §2.8.6 (CX), §3.3.2.3 (PID-3); HSCIC ITK HL7 V2 (CX-4, PID-32); NHS Data Dictionary, NHS NUMBER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from adapters.hl7v2.message import Segment
from adapters.hl7v2.quirks import LOCAL_TYPES, NHS_AUTHORITIES, NHS_TYPES, NO_RECORD_TYPES, VERIFICATION
from adapters.hl7v2.reading import Reading
from adapters.hl7v2.syntax import Syntax
from schemas.codes import IDENTIFIER_TYPE
from schemas.errors import MissingIdentifier
from schemas.identifiers import NHS_NUMBER, LocalId, NhsNumber, RecordKey, nhs_number
from schemas.resources.bundle import Resource
from schemas.resources.person import UNTRACED, local_identifier, nhs_number_identifier, unchecked_number_identifier

_LOCAL_RANK = {kind: rank for rank, kind in enumerate((*LOCAL_TYPES, ""))}
_UNRANKED = len(_LOCAL_RANK)


class Identity(NamedTuple):
    """Whose record it is."""

    record: RecordKey
    identifiers: list[Resource]
    """Of the Patient: the record's own first, then NHS numbers, then others."""


class _Sent(NamedTuple):
    """One identifier as sent."""

    value: str
    check: str
    """CX-2."""
    authority: str
    kind: str
    """CX-5 in capitals."""

    @property
    def national(self) -> bool:
        """Whether it was sent as an NHS number."""
        return self.kind in NHS_TYPES or self.authority.upper() in NHS_AUTHORITIES


def identity(pid: Segment, reading: Reading) -> Identity:
    """Whose record the PID segment names.

    Raises `MissingIdentifier` when it names nobody.
    """
    sent = list(_identifiers(pid.repetitions(3), pid.syntax))
    source, keys = reading.site.source, reading.arrival.pseudonyms
    numbers = _numbers(pid, sent, reading)
    local = _local(sent, source.organisation)
    if local is not None:
        record = keys.record(source.id, LocalId(local.value))
    else:
        record = keys.record_by_number(source.id, _only(numbers))
    identifiers = [local_identifier(source, LocalId(local.value))] if local else []
    identifiers += [nhs_number_identifier(number, status, source) for number, status in numbers.items()]
    identifiers += _others(sent, local)
    return Identity(record, identifiers)


def replaced(mrg: Segment, pid: Segment, reading: Reading) -> list[Resource]:
    """The identifiers of the record that was merged away (MRG-1).

    One without authority and type, as some systems send it, is what its neighbour in PID-3 is: "positions matched".
    The source's own identifier is what other messages knew the record by; an NHS number only where there is nothing else.
    """
    syntax, source = pid.syntax, reading.site.source
    beside = list(_identifiers(pid.repetitions(3), syntax))
    sent = [
        one._replace(authority=beside[place].authority, kind=beside[place].kind)
        if not (one.authority or one.kind) and place < len(beside)
        else one
        for place, one in enumerate(_identifiers(mrg.repetitions(1), syntax))
    ]
    local = _local(sent, source.organisation)
    if local is not None:
        return [local_identifier(source, LocalId(local.value))]
    numbers = (nhs_number(one.value) for one in sent if one.national)
    return [{"system": NHS_NUMBER, "value": str(number)} for number in numbers if number]


def _identifiers(repetitions: Iterable[str], syntax: Syntax) -> Iterator[_Sent]:
    """Those that hold a value, or a trace status in the place of one."""
    for repetition in repetitions:
        parts = [*syntax.components(repetition), "", "", "", "", ""]
        value, check, kind = syntax.text(parts[0]), syntax.text(parts[1]), syntax.text(parts[4])
        authority = next(filter(None, syntax.subs(parts[3])), "")
        if value or check:
            yield _Sent(value, check, authority, kind.upper())


def _local(sent: list[_Sent], organisation: str) -> _Sent | None:
    """The source's own identifier: the best type, among equals the organisation's own, then the first."""
    candidates = [one for one in sent if one.value and not one.national and one.kind not in NO_RECORD_TYPES]
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda one: (_LOCAL_RANK.get(one.kind, _UNRANKED), one.authority.upper() != organisation))


def _numbers(pid: Segment, sent: list[_Sent], reading: Reading) -> dict[NhsNumber, str]:
    """NHS numbers with their verification status (``""`` when nothing is said of it).

    Two different numbers on one record contradict each other, so nobody is linked on either.
    """
    numbers: dict[NhsNumber, str] = {}
    for one in sent:
        number = nhs_number(one.value) if one.national and one.value else None
        if number:
            numbers.setdefault(number, VERIFICATION.get(one.check, ""))
        elif one.national and one.value:
            reading.flag("nhs-number-invalid", "PID-3")
    _add_external(pid, numbers)
    if len(numbers) > 1:
        reading.flag("nhs-numbers-differ", "PID-3")
        return dict.fromkeys(numbers, UNTRACED)
    stated = _stated_status(pid, reading) if numbers else ""
    return {number: status or stated for number, status in numbers.items()}


def _add_external(pid: Segment, numbers: dict[NhsNumber, str]) -> None:
    """PID-2, where the ITK has nothing and some systems the NHS number.

    One in eleven hospital numbers of ten digits would pass for an NHS number, so an unmarked one counts as not traced.
    """
    for one in _identifiers(pid.repetitions(2), pid.syntax):
        number = nhs_number(one.value)
        if number and not numbers and not one.kind.startswith(LOCAL_TYPES):
            numbers[number] = VERIFICATION.get(one.check, "") if one.national else UNTRACED


def _stated_status(pid: Segment, reading: Reading) -> str:
    """PID-32, else the older ZU1-27."""
    if pid.fields[32]:
        for repetition in pid.repetitions(32):
            status = VERIFICATION.get(pid.syntax.first(repetition).upper())
            if status:
                return status
    return VERIFICATION.get(reading.message.segment("ZU1").text(27).upper(), "")


def _only(numbers: dict[NhsNumber, str]) -> NhsNumber:
    if len(numbers) != 1:
        raise MissingIdentifier("neither a local identifier nor one valid NHS number", where="PID-3")
    return next(iter(numbers))


def _others(sent: list[_Sent], local: _Sent | None) -> list[Resource]:
    return [_other(one) for one in sent if one is not local and one.value and not (one.national and nhs_number(one.value))]


def _other(one: _Sent) -> Resource:
    """An identifier of another kind, or what was sent as an NHS number and cannot be one."""
    if one.national:
        return unchecked_number_identifier(one.value)
    other: Resource = {"value": one.value}
    if one.kind:
        other["type"] = {"coding": [{"system": IDENTIFIER_TYPE, "code": one.kind}]}
    if one.authority:
        other["assigner"] = {"display": one.authority}
    return other
