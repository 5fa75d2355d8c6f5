"""Reads the person of a message, once for all messages that have the same text about them.

Source: HSCIC ITK HL7 V2 Message Specifications (PID, PD1, NK1, ZU1).
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.hl7v2.content.identity import identity
from adapters.hl7v2.content.patient import patient
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.message import Segment
from schemas.fhir.bundle import Resource
from schemas.fhir.proven import Proven, proven
from schemas.identifiers import RecordKey

_SEGMENTS = frozenset({"PID", "PD1", "NK1", "ZU1"})
"""The segments that the person is read from."""


class MessagePerson(NamedTuple):
    """The person of a message, as the source knows them."""

    record: RecordKey
    patient: Resource
    """Shared between messages, so it must not be changed."""
    known: Proven | None
    """Proof that the Patient is valid; ``None`` if it is not."""


def person(pid: Segment, reading: Reading) -> MessagePerson:
    """The person of ``pid``.

    Raises `MissingIdentifier` when it identifies nobody.
    """
    message = reading.message
    if not message.alone("PID"):
        return _read(pid, reading)
    words = (message.syntax, reading.latest, *message.lines_of(_SEGMENTS))
    found: MessagePerson = reading.site.people.recall(words, reading.flags, lambda: _read(pid, reading))
    return found


def _read(pid: Segment, reading: Reading) -> MessagePerson:
    named = identity(pid, reading)
    shown = patient(pid, named.identifiers, reading)
    return MessagePerson(named.record, shown, proven(shown))
