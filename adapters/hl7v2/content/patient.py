"""Builds the Patient of a message from PID, PD1 and NK1.

An omitted field is left out, which means unchanged; a field of ``""`` is marked as deleted.

Some fields are not read: UK Core's Patient has no place for religion (PID-17) and race (PID-10), and nothing here needs birth
place and nationality, so that keeping them could not be justified.

Source: HL7 v2.4 §3.3.2 (PID), §3.3.9 (PD1), §3.3.5 (NK1), §2.5.3 (omitted and ``""``); UK Core Patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from adapters.hl7v2.content.datatypes import components, general_practice, name, postal_address, telecoms
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.message import Segment
from adapters.hl7v2.text.quirks import GENDERS, UNRELIABLE
from adapters.hl7v2.text.syntax import NULL
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import ETHNIC_CATEGORY, MARITAL_STATUS, RELATIONSHIP, RELATIONSHIPS
from schemas.resources import person

_Build = Callable[[Reading, str, str], Any]


class _Row(NamedTuple):
    """One field of PID."""

    field: int
    element: str
    """Element of Patient."""
    build: _Build
    """Makes the value of the element, or ``None``, from the field as sent and its name."""
    where: str


def patient(pid: Segment, identifiers: list[Resource], reading: Reading) -> Resource:
    """The Patient, as the message states it."""
    made: Resource = {"resourceType": "Patient", "identifier": identifiers}
    gone: list[str] = []
    fields = pid.fields
    unreliable = _unreliable(pid) if fields[32] else ()
    for field, element, build, where in _PID:
        sent = fields[field]
        if sent == NULL:
            gone.append(element)
        elif sent and where not in unreliable and (value := build(reading, sent, where)):
            made[element] = value
    if fields[13] or fields[14]:
        _add_telecoms(made, gone, pid)
    if fields[29] or fields[30]:
        _add_death(made, gone, pid, reading)
    if fields[22]:
        _add_ethnicity(made, gone, pid, reading)
    if reading.message.alone("PID"):  # with several PIDs, nothing says whose GP and contacts they are
        _add_practice(made, gone, reading)
        _add_contacts(made, gone, reading)
    if gone:
        person.mark_deleted(made, gone)
    return made


def _unreliable(pid: Segment) -> list[str]:
    """The fields that hold a default value, according to PID-32."""
    codes = [pid.syntax.first(repetition).upper() for repetition in pid.repetitions(32)]
    return [UNRELIABLE[code] for code in codes if code in UNRELIABLE]


def _kept(values: Iterable[Resource | None]) -> list[Resource]:
    return [value for value in values if value]


def _names(reading: Reading, sent: str, _: str) -> list[Resource]:
    syntax = reading.syntax
    return _kept([name(syntax, one) for one in syntax.repetitions(sent)])


def _addresses(reading: Reading, sent: str, _: str) -> list[Resource]:
    syntax = reading.syntax
    return _kept([postal_address(syntax, one) for one in syntax.repetitions(sent)])


def _birth_date(reading: Reading, sent: str, where: str) -> str | None:
    born = reading.time(sent, where)
    return born.date if born else None


def _gender(reading: Reading, sent: str, where: str) -> str | None:
    code = reading.syntax.first(sent).upper()
    if code and code not in GENDERS:
        reading.flag("code-unknown", where)
    return GENDERS.get(code, "unknown") if code else None


def _languages(reading: Reading, sent: str, _: str) -> list[Resource]:
    language = reading.syntax.first(sent)
    return [person.spoken(language)] if language else []


def _marital(reading: Reading, sent: str, where: str) -> Resource | None:
    code = reading.syntax.first(sent)
    if code.upper() in MARITAL_STATUS:
        return MARITAL_STATUS.concept(code.upper())
    if code:
        reading.flag("code-unknown", where)
    return MARITAL_STATUS.concept(code) if code else None


_PID: tuple[_Row, ...] = (
    _Row(5, "name", _names, "PID-5"),
    _Row(7, "birthDate", _birth_date, "PID-7"),
    _Row(8, "gender", _gender, "PID-8"),
    _Row(11, "address", _addresses, "PID-11"),
    _Row(15, "communication", _languages, "PID-15"),
    _Row(16, "maritalStatus", _marital, "PID-16"),
)


def _add_telecoms(made: Resource, gone: list[str], pid: Segment) -> None:
    """PID-13 is home, PID-14 work. The element is marked as deleted if one is deleted and neither holds a telecom."""
    syntax = pid.syntax
    lines = [(one, use) for field, use in ((13, "home"), (14, "work")) for one in pid.repetitions(field)]
    found = [made for one, use in lines for made in telecoms(syntax, one, use)]
    if found:
        made["telecom"] = found
    elif pid.deleted(13) or pid.deleted(14):
        gone.append("telecom")


def _add_death(made: Resource, gone: list[str], pid: Segment, reading: Reading) -> None:
    """PID-29 states when the person died, PID-30 whether. An invalid date, or one beside "not dead", states no death."""
    died = reading.died(pid)
    indicator = pid.text(30).upper()
    if died and indicator == "N":
        reading.flag("death-contradicted", "PID-30")
    elif died:
        made["deceasedDateTime"] = died.fhir
    elif indicator in ("Y", "N"):
        made["deceasedBoolean"] = indicator == "Y"
    elif pid.deleted(29) or pid.deleted(30):
        gone.append("deceased")


def _add_ethnicity(made: Resource, gone: list[str], pid: Segment, reading: Reading) -> None:
    if pid.deleted(22):
        gone.append("ethnicCategory")
        return
    code = pid.text(22).upper()
    if code in ETHNIC_CATEGORY:
        made["extension"] = [person.coded_extension(person.ETHNIC_CATEGORY, ETHNIC_CATEGORY, code)]
    elif code:
        reading.flag("code-unknown", "PID-22")


def _add_practice(made: Resource, gone: list[str], reading: Reading) -> None:
    pd1 = reading.message.segment("PD1")
    practice, doctor = pd1.fields[3], pd1.fields[4]
    if not (practice or doctor):
        return
    found = general_practice(reading.syntax, practice, doctor)
    if found:
        made["generalPractitioner"] = found
    elif NULL in (practice, doctor):
        gone.append("generalPractitioner")


def _add_contacts(made: Resource, gone: list[str], reading: Reading) -> None:
    """NK1: the people to contact. The element is marked as deleted if no NK1 holds a contact and one has a name of ``""``."""
    segments = reading.message.segments("NK1")
    if not segments:
        return
    found = _kept(_contact(segment) for segment in segments)
    if found:
        made["contact"] = found
    elif any(segment.deleted(2) for segment in segments):
        gone.append("contact")


def _contact(nk1: Segment) -> Resource | None:
    syntax = nk1.syntax
    contact: Resource = {}
    relationship = _relationship(components(syntax, nk1.fields[3])) if nk1.fields[3] else None
    if relationship:
        contact["relationship"] = [relationship]
    called = _kept(name(syntax, one) for one in nk1.repetitions(2))
    if called:
        contact["name"] = called[0]
    lines = [(one, use) for field, use in ((5, "home"), (6, "work")) for one in nk1.repetitions(field)]
    numbers = [made for one, use in lines for made in telecoms(syntax, one, use)]
    if numbers:
        contact["telecom"] = numbers
    homes = _kept(postal_address(syntax, one) for one in nk1.repetitions(4))
    if homes:
        contact["address"] = homes[0]
    return contact if called or numbers or homes else None


def _relationship(parts: list[str]) -> Resource | None:
    """NK1-3 (CE) in plain words. Only a code that consists of letters is HL7's."""
    code, text = parts[0].upper(), parts[1]
    words = text or RELATIONSHIPS.get(code.lstrip("0"), parts[0])
    if not words:
        return None
    if code.isalpha() and code in RELATIONSHIPS:
        return {"coding": [{"system": RELATIONSHIP, "code": code}], "text": words}
    return {"text": words}
