"""What all statements of one message share: whose record, which stay, when, and how guarded.

Source: HL7 v2.4 chapter 3; HSCIC ITK HL7 V2 (PV1-16, PV1-19, ZU8-4).
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.compose import Statement
from adapters.hl7v2.memory import remembered
from adapters.hl7v2.message import Segment
from adapters.hl7v2.people import person
from adapters.hl7v2.quirks import LOCATION_HIDING, SENSITIVE_VIP
from adapters.hl7v2.reading import Reading
from adapters.hl7v2.syntax import Syntax
from adapters.hl7v2.times import Moment
from adapters.hl7v2.triggers import Fact, Trigger
from adapters.hl7v2.visit import Visit, visit
from adapters.hl7v2.when import When, when
from schemas.catalogue import EventType
from schemas.event import Sensitivity
from schemas.identifiers import RecordKey
from schemas.proven import Proven
from schemas.resources.bundle import Resource
from schemas.source import VisitNumbersAre

_VISIT = "visit"


class Told(NamedTuple):
    """One message, as far as it is the same for all that it states."""

    record: RecordKey
    patient: Resource
    """Shared by all messages that show it: never changed."""
    known: Proven | None
    """What of the Patient was found valid before."""
    when: When
    sensitivity: Sensitivity
    visit: Visit | None
    stay: tuple[str, ...]
    """Names the stay at the source; empty without one."""

    def statement(
        self, row: EventType, fact: Fact, key: tuple[str, ...], focus: Resource, moment: Moment | None = None
    ) -> Statement:
        """A version of ``fact``, which ``key`` names; it happened when the message says unless ``moment`` does."""
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
        """Names a fact about the person: by the record's key."""
        return ("person", self.record, fact.name)

    def of_stay(self, fact: Fact) -> tuple[str, ...]:
        """Names a fact about the stay, and by its time if there can be several."""
        key = (*self.stay, fact.name)
        return (*key, (self.when.occurred or self.when.happened).utc) if fact.repeats else key


def told(trigger: Trigger, pid: Segment, reading: Reading) -> Told:
    """What the message tells of the person of ``pid``.

    Raises `MissingIdentifier` and `InvalidValue`, naming the position.
    """
    named = person(pid, reading)
    stay = visit(named.record, reading)
    moments = when(_own_time(trigger, stay), reading)
    return Told(
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
    """The visit's number; without one the record and when the stay began, else, for a movement, when that was.

    PV1-19 is "the unique number assigned to each patient visit" (HL7 v2.4 §3.3.3.19): it names the visit by itself, unless the
    source's settings say otherwise.
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
    return _asked(reading.syntax, message.segment("ZU8").fields[4], message.segment("PV1").fields[16])


@remembered(256)
def _asked(syntax: Syntax, hiding: str, vip: str) -> Sensitivity:
    """What the sender asks for in ZU8-4 and PV1-16; hiding somebody's place is the stricter."""
    hidden = LOCATION_HIDING.get(syntax.first(hiding))
    return Sensitivity(hidden or SENSITIVE_VIP.get(syntax.first(vip).upper(), Sensitivity.NORMAL))
