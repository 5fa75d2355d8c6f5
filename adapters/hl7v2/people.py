"""Who a message is about, remembered for the messages that follow.

Messages are "fully populated": all that is sent during a stay repeats the person in the same words, often within seconds. Those
words are read once. What is remembered is a function of them alone, is never changed, stays in memory and is soon forgotten.

Source: HSCIC ITK HL7 V2 Message Specifications (fully populated messages).
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.hl7v2.identity import identity
from adapters.hl7v2.message import Segment
from adapters.hl7v2.patient import patient
from adapters.hl7v2.reading import Reading
from schemas.identifiers import RecordKey
from schemas.resources.bundle import Resource

REMEMBERED = 1024
"""People at a time: those that a large hospital's messages are about within an hour; some 10 MB."""
_SEGMENTS = frozenset({"PID", "PD1", "NK1", "ZU1"})
"""All that is read of a person."""


class Person(NamedTuple):
    """The person of a message, as its source knows them."""

    record: RecordKey
    patient: Resource
    flags: tuple[str, ...]
    """What was odd about it."""


def person(pid: Segment, reading: Reading) -> Person:
    """The person of ``pid``; the Patient is the caller's own, as far as its elements are replaced and not changed within.

    Raises `MissingIdentifier` when it names nobody.
    """
    message, known = reading.message, reading.site.people
    if not message.alone("PID"):
        return _read(pid, reading)
    words = (message.syntax, reading.latest, *[line for line in message.lines if line[:3] in _SEGMENTS])
    found = known.get(words)
    if found is None:
        if len(known) >= REMEMBERED:
            known.clear()
        found = known[words] = _read(pid, reading)
    elif found.flags:
        reading.flags += found.flags
    return found._replace(patient=dict(found.patient))


def _read(pid: Segment, reading: Reading) -> Person:
    before = len(reading.flags)
    named = identity(pid, reading)
    shown = patient(pid, named.identifiers, reading)
    return Person(named.record, shown, tuple(reading.flags[before:]))
