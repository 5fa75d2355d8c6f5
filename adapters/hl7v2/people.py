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
from schemas.proven import Proven, proven
from schemas.resources.bundle import Resource

_SEGMENTS = frozenset({"PID", "PD1", "NK1", "ZU1"})
"""All that is read of a person."""


class Person(NamedTuple):
    """The person of a message, as its source knows them."""

    record: RecordKey
    patient: Resource
    """Shared by all messages that show it: never changed."""
    known: Proven | None
    """The Patient, when it is valid."""


def person(pid: Segment, reading: Reading) -> Person:
    """The person of ``pid``.

    Raises `MissingIdentifier` when it names nobody.
    """
    message = reading.message
    if not message.alone("PID"):
        return _read(pid, reading)
    words = (message.syntax, reading.latest, *message.lines_of(_SEGMENTS))
    found: Person = reading.site.people.recall(words, reading.flags, lambda: _read(pid, reading))
    return found


def _read(pid: Segment, reading: Reading) -> Person:
    named = identity(pid, reading)
    shown = patient(pid, named.identifiers, reading)
    return Person(named.record, shown, proven(shown))
