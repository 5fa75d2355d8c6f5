"""What all statements of one message share: the record, the stay, the times and the sensitivity.

Source: HL7 v2.4 chapter 3; HSCIC ITK HL7 V2 (PV1-16, PV1-19, ZU8-4).
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.compose import Statement
from adapters.hl7v2.content.person import person
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.triggers import Fact, Trigger
from adapters.hl7v2.content.visit import Visit, visit
from adapters.hl7v2.content.when import When, when
from adapters.hl7v2.text.memory import remembered
from adapters.hl7v2.text.message import Segment
from adapters.hl7v2.text.quirks import LOCATION_HIDING, SENSITIVE_VIP
from adapters.hl7v2.text.syntax import Syntax
from adapters.hl7v2.text.times import Moment
from schemas.catalogue import EventType
from schemas.event import Sensitivity
from schemas.fhir.bundle import Resource
from schemas.fhir.proven import Proven
from schemas.identifiers import RecordKey
from schemas.source import VisitNumbersAre

_VISIT = "visit"


class Shared(NamedTuple):
    """The part of a message that all its statements share."""

    record: RecordKey
    patient: Resource
    """Shared between messages, so it must not be changed."""
    known: Proven | None
    """Proof that the Patient is valid; ``None`` if it is not."""
    when: When
    sensitivity: Sensitivity
    visit: Visit | None
    stay: tuple[str, ...]
    """Identifies the stay at the source; empty if there is no stay."""

    def statement(
        self, row: EventType, fact: Fact, key: tuple[str, ...], focus: Resource, moment: Moment | None = None
    ) -> Statement:
        """A version of ``fact``, which ``key`` identifies. It happened at ``moment``, else when the message says."""
        happened = moment or self.when.happened
        return Statement(
            type=row,
            record=self.record,
            natural_key=key,
            happened_at=happened.at,
            focus=focus,
            patient=self.patient,
            precision=happened.precision,
            sequence=self.when.sequence(fact.snapshot),
            thread=self.stay[1] if self.stay[:1] == (_VISIT,) else "/".join(self.stay),
            sensitivity=self.sensitivity,
            known_focus=self.known if focus is self.patient or self.visit is None else self.visit.known,
            known_patient=self.known,
        )

    def of_person(self, fact: Fact) -> tuple[str, ...]:
        """Key of a fact about the person: from the record's key."""
        return ("person", self.record, fact.name)

    def of_stay(self, fact: Fact) -> tuple[str, ...]:
        """Key of a fact about the stay; it includes the time if the fact can occur several times in a stay."""
        key = (*self.stay, fact.name)
        return (*key, (self.when.occurred or self.when.happened).utc) if fact.repeats else key


def read_shared(trigger: Trigger, pid: Segment, reading: Reading) -> Shared:
    """What the statements of the message share about the person of ``pid``.

    Raises `MissingIdentifier` and `InvalidValue`, naming the position.
    """
    named = person(pid, reading)
    stay = visit(named.record, reading)
    moments = when(_own_time(trigger, stay), reading)
    return Shared(
        named.record,
        named.patient,
        named.known,
        moments,
        _sensitivity(reading),
        stay,
        _stay_key(trigger, named.record, stay, moments, reading) if stay else (),
    )


def _own_time(trigger: Trigger, stay: Visit | None) -> Moment | None:
    if stay is None or not trigger.own_time:
        return None
    return stay.discharged if trigger.own_time == "PV1-45" else stay.admitted


def _stay_key(trigger: Trigger, record: RecordKey, stay: Visit, moments: When, reading: Reading) -> tuple[str, ...]:
    """The visit number; without one, the record and the start of the stay or, for a movement, its time.

    PV1-19 is "the unique number assigned to each patient visit" (HL7 v2.4 §3.3.3.19), so it identifies the visit by itself,
    unless the source's settings say otherwise.
    """
    if stay.number and reading.site.source.visit_numbers is VisitNumbersAre.PER_PATIENT:
        return ("visit-of", record, stay.number)
    if stay.number:
        return (_VISIT, stay.number)
    began = stay.admitted or (moments.happened if trigger.status else None)
    if began is None:
        return ()
    reading.flag("visit-number-missing", "PV1-19")
    return ("stay", record, began.utc)


def _sensitivity(reading: Reading) -> Sensitivity:
    message = reading.message
    return _requested(reading.syntax, message.segment("ZU8").fields[4], message.segment("PV1").fields[16])


@remembered(256)
def _requested(syntax: Syntax, hiding: str, vip: str) -> Sensitivity:
    """The sensitivity that the sender asks for. ZU8-4 (hide the location) is stricter than PV1-16, and comes first."""
    hidden = LOCATION_HIDING.get(syntax.first(hiding))
    return Sensitivity(hidden or SENSITIVE_VIP.get(syntax.first(vip).upper(), Sensitivity.NORMAL))
