"""A death, and that one was stated by mistake.

It is one fact of the record, whichever messages repeat it. Nobody is called dead in doubt: what contradicts itself is flagged
and states nothing.

Source: HL7 v2.4 §3.3.2.29 (PID-29), §3.3.2.30 (PID-30); NHS Data Dictionary, DISCHARGE METHOD, DESTINATION OF DISCHARGE.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.compose import Statement
from adapters.hl7v2.message import Segment
from adapters.hl7v2.reading import Reading
from adapters.hl7v2.told import Told
from adapters.hl7v2.triggers import DIED, DISCHARGED, Trigger
from schemas.catalogue import CATALOGUE
from schemas.codes import DESTINATION_DEAD, DISCHARGED_DEAD
from schemas.resources.bundle import Resource
from schemas.resources.person import deleted_elements

_DIED = CATALOGUE["person-died-1"]
_WITHDRAWN = CATALOGUE["entry-withdrawn-1"]


def told_of_death(trigger: Trigger, told: Told) -> Told:
    """``told`` with a Patient who died, when they were discharged as dead and nothing else is said of it."""
    person = told.patient
    if not (trigger.ends and told.visit and _discharged_dead(told.visit.pv1)):
        return told
    if "deceasedDateTime" in person or "deceasedBoolean" in person:
        return told
    return told._replace(patient={**person, "deceasedBoolean": True})


def death(trigger: Trigger, told: Told, reading: Reading) -> Iterator[Statement]:
    """The person's death, or that it did not happen."""
    person, key = told.patient, told.of_person(DIED)
    alive = person.get("deceasedBoolean") is False
    if alive and trigger.ends and told.visit and _discharged_dead(told.visit.pv1):
        reading.flag("death-contradicted", "PV1-36")
        return
    if "deceasedDateTime" in person or person.get("deceasedBoolean"):
        died = reading.died(reading.message.segment("PID"))
        ended = told.visit.discharged if told.visit else None
        yield told.statement(_DIED, DIED, key, person, died or ended)
    elif "deceased" in deleted_elements(person) or (trigger.corrects_death and _alive(trigger, person)):
        yield told.statement(_WITHDRAWN, DIED, key, person)


def _discharged_dead(pv1: Segment) -> bool:
    """PV1-36 says so; without it PV1-37 does, which is also said of the stillborn."""
    method = pv1.text(36)
    return method == DISCHARGED_DEAD or (not method and pv1.text(37) == DESTINATION_DEAD)


def _alive(trigger: Trigger, person: Resource) -> bool:
    """Said to be alive; or the discharge that may have said they died is cancelled, and nothing else says so."""
    return person.get("deceasedBoolean") is False or trigger.fact is DISCHARGED
