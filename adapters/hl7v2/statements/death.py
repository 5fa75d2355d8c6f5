"""States a death, or withdraws one that was stated by mistake.

A death is one fact of the record, however many messages repeat it. A message that contradicts itself about it is flagged and
states no death.

Source: HL7 v2.4 §3.3.2.29 (PID-29), §3.3.2.30 (PID-30); NHS Data Dictionary, DISCHARGE METHOD, DESTINATION OF DISCHARGE.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.compose import Statement
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.shared import Shared
from adapters.hl7v2.content.triggers import DIED, DISCHARGED, Trigger
from adapters.hl7v2.text.message import Segment
from schemas.catalogue import CATALOGUE
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import DESTINATION_DEAD, DISCHARGED_DEAD
from schemas.resources.person import deleted_elements

_DIED = CATALOGUE["person-died-1"]
_WITHDRAWN = CATALOGUE["entry-withdrawn-1"]


def with_death(trigger: Trigger, shared: Shared) -> Shared:
    """``shared`` with a deceased Patient, if they were discharged as dead and PID states nothing about their death."""
    person = shared.patient
    if not (trigger.ends and shared.visit and _discharged_dead(shared.visit.pv1)):
        return shared
    if "deceasedDateTime" in person or "deceasedBoolean" in person:
        return shared
    return shared._replace(patient={**person, "deceasedBoolean": True})


def death(trigger: Trigger, shared: Shared, reading: Reading) -> Iterator[Statement]:
    """States or withdraws the person's death; yields nothing if the message says nothing about it."""
    person, key = shared.patient, shared.of_person(DIED)
    alive = person.get("deceasedBoolean") is False
    if alive and trigger.ends and shared.visit and _discharged_dead(shared.visit.pv1):
        reading.flag("death-contradicted", "PV1-36")
        return
    if "deceasedDateTime" in person or person.get("deceasedBoolean"):
        died = reading.died(reading.message.segment("PID"))
        ended = shared.visit.discharged if shared.visit else None
        yield shared.statement(_DIED, DIED, key, person, died or ended)
    elif "deceased" in deleted_elements(person) or (trigger.corrects_death and _alive(trigger, person)):
        yield shared.statement(_WITHDRAWN, DIED, key, person)


def _discharged_dead(pv1: Segment) -> bool:
    """Whether PV1-36 says so or, if it is empty, PV1-37, whose code also covers stillbirths."""
    method = pv1.text(36)
    return method == DISCHARGED_DEAD or (not method and pv1.text(37) == DESTINATION_DEAD)


def _alive(trigger: Trigger, person: Resource) -> bool:
    """Whether PID says the person is alive, or the trigger cancels the discharge that may have stated the death."""
    return person.get("deceasedBoolean") is False or trigger.fact is DISCHARGED
