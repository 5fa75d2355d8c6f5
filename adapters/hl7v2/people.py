"""Who a message is about, read once for all the messages that say it in the same words.

Source: HSCIC ITK HL7 V2 Message Specifications (PID, PD1, NK1, ZU1).
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.hl7v2.identity import identity
from adapters.hl7v2.message import Segment
from adapters.hl7v2.patient import patient
from adapters.hl7v2.reading import Reading
from schemas.identifiers import RecordKey
from schemas.resources.bundle import Resource

_SEGMENTS = frozenset({"PID", "PD1", "NK1", "ZU1"})
"""All that is read of a person."""


class Person(NamedTuple):
    """The person of a message, as its source knows them."""

    record: RecordKey
    patient: Resource


def person(pid: Segment, reading: Reading) -> Person:
    """The person of ``pid``; the Patient is the caller's own, as far as its elements are replaced and not changed within.

    Raises `MissingIdentifier` when it names nobody.
    """
    message = reading.message
    if not message.alone("PID"):
        return _read(pid, reading)
    words = (message.syntax, reading.latest, *[line for line in message.lines if line[:3] in _SEGMENTS])
    record, shown = reading.site.people.recall(words, reading.flags, lambda: _read(pid, reading))
    return Person(record, dict(shown))


def _read(pid: Segment, reading: Reading) -> Person:
    named = identity(pid, reading)
    return Person(named.record, patient(pid, named.identifiers, reading))
