"""States the movement that a trigger is about: an admission, transfer, discharge or leave of absence, or its cancellation.

Source: HL7 v2.4 §3.2 (trigger events), §3.3.3 (PV1), §3.3.4 (PV2).
"""

from __future__ import annotations

from adapters.compose import Statement
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.shared import Shared
from adapters.hl7v2.content.triggers import (
    ADMITTED,
    ATTENDANCE,
    ATTENDED,
    DISCHARGE_PLANNED,
    DISCHARGED,
    TRANSFER_PENDING,
    WITHOUT_STAY,
    Fact,
    Trigger,
)
from adapters.hl7v2.content.visit import Visit
from adapters.hl7v2.statements.plan import plan_focus, plan_said
from adapters.hl7v2.text.message import Segment
from schemas.catalogue import EventType, Movement
from schemas.fhir.bundle import Resource
from schemas.resources.encounter import movement_extension


def movement(trigger: Trigger, shared: Shared, stay: Visit, reading: Reading) -> Statement:
    """The movement that the trigger states about ``stay``."""
    row, fact = _attendance(trigger, reading), _fact(trigger, stay)
    key = shared.of_stay(fact)
    if fact is DISCHARGE_PLANNED and row.movement is not Movement.WITHDRAWS:
        return shared.statement(row, fact, key, plan_focus(stay, plan_said(reading)))
    focus = dict(stay.stay)
    if trigger.status:
        focus["status"] = trigger.status if row is trigger.makes else "cancelled"
    if fact.words and row.movement is not Movement.STATES:
        focus["extension"] = [*focus.get("extension", ()), movement_extension(fact.words)]
    _set_period(focus, trigger, shared, reading)
    if fact is TRANSFER_PENDING:
        _set_pending_place(focus, stay.pv1, reading)
    return shared.statement(row, fact, key, focus)


def _attendance(trigger: Trigger, reading: Reading) -> EventType:
    """The event type of the trigger. For an attendance, ZU3-3 may say that it did not take place."""
    if trigger.fact is not ATTENDED:
        return trigger.makes
    return ATTENDANCE.get(reading.message.segment("ZU3").text(3), trigger.makes)


def _fact(trigger: Trigger, stay: Visit) -> Fact:
    kind = stay.pv1.text(2).upper() if trigger.arrival else ""
    if not kind:
        return trigger.fact
    return ATTENDED if kind in WITHOUT_STAY else ADMITTED


def _set_period(focus: Resource, trigger: Trigger, shared: Shared, reading: Reading) -> None:
    """Add the start or end of the stay if PV1 omits it and the trigger implies it; for a planned stay, its expected start."""
    period: dict[str, str] = dict(focus.get("period", {}))
    if trigger.begins and trigger.status == "planned":
        pv2, evn = reading.message.segment("PV2"), reading.message.segment("EVN")
        expected = reading.time(pv2.fields[8], "PV2-8") or reading.time(evn.fields[3], "EVN-3")
        if expected:
            period["start"] = expected.fhir
    elif trigger.begins:
        period.setdefault("start", shared.when.happened.fhir)
    elif trigger.fact is DISCHARGED and trigger.status == "finished":
        period.setdefault("end", shared.when.happened.fhir)
    if period:
        focus["period"] = period


def _set_pending_place(focus: Resource, pv1: Segment, reading: Reading) -> None:
    """The pending location (PV1-42) first, then the present one."""
    pending = reading.site.locations(reading.syntax, pv1.fields[42]) if pv1.fields[42] else []
    if pending:
        here = focus.get("location", ())
        focus["location"] = [{**place, "status": "planned"} for place in pending] + [
            {**place, "status": "active"} for place in here
        ]
