"""States the discharge plan, which any message may carry: medically fit, ready for discharge, expected discharge date.

The plan is one fact of the visit, however many messages repeat it. Hospital and council rely on it, so a plan that no longer
holds must not stay on the timeline: a message that says "not medically fit", or deletes the date, and states nothing else of
the plan withdraws it.

Source: HSCIC ITK HL7 V2 (ZU1-22 Medically Fit Indicator, ZU1-24 Ready for Discharge); HL7 v2.4 §3.3.4.9 (PV2-9).
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.compose import Statement
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.shared import Shared
from adapters.hl7v2.content.triggers import DISCHARGE_PLANNED, Trigger
from adapters.hl7v2.content.visit import Visit
from schemas.catalogue import CATALOGUE
from schemas.fhir.bundle import Resource
from schemas.resources.encounter import (
    expected_discharge_extension,
    movement_extension,
    readiness_extension,
    ready_since_extension,
)

_PLANNED = CATALOGUE["encounter-discharge-planned-1"]
_CANCELLED = CATALOGUE["encounter-cancelled-1"]
_PARTS = ("resourceType", "identifier", "class", "subject", "serviceType", "participant", "location", "serviceProvider")
"""The elements of the stay that its discharge plan repeats: none that changes when the stay ends, or the plan would seem to
change then."""


def plan(trigger: Trigger, shared: Shared, reading: Reading) -> Iterator[Statement]:
    """The plan that the message states besides its trigger's own fact."""
    stay = shared.visit
    if stay is None or not shared.stay or not trigger.states_plan or trigger.fact is DISCHARGE_PLANNED or not _spoken(reading):
        return
    said = plan_said(reading)
    key = shared.of_stay(DISCHARGE_PLANNED)
    if said:
        yield shared.statement(_PLANNED, DISCHARGE_PLANNED, key, plan_focus(stay, said))
    elif not trigger.begins:
        focus = plan_focus(stay, [movement_extension(DISCHARGE_PLANNED.words)])
        yield shared.statement(_CANCELLED, DISCHARGE_PLANNED, key, focus)


def _spoken(reading: Reading) -> bool:
    """Whether the message says anything about a plan, even that there is none."""
    zu1, pv2 = reading.message.segment("ZU1"), reading.message.segment("PV2")
    return bool(zu1.fields[22] or zu1.fields[24] or pv2.fields[9])


def plan_said(reading: Reading) -> list[Resource]:
    """The plan as extensions of an Encounter; empty if there is none."""
    zu1, pv2 = reading.message.segment("ZU1"), reading.message.segment("PV2")
    fit = zu1.text(22).upper() == "Y"
    ready, expected = reading.time(zu1.fields[24], "ZU1-24"), reading.time(pv2.fields[9], "PV2-9")
    words = " and ".join(filter(None, ("medically fit" if fit else "", "ready for discharge" if ready else "")))
    said = [readiness_extension(words)] if words else []
    if ready:
        said.append(ready_since_extension(ready.fhir))
    if expected:
        said.append(expected_discharge_extension(expected.fhir))
    return said


def plan_focus(stay: Visit, said: list[Resource]) -> Resource:
    """The Encounter of a plan."""
    focus: Resource = {part: stay.stay[part] for part in _PARTS if part in stay.stay}
    focus["status"] = "in-progress"
    if said:
        focus["extension"] = said
    if stay.admitted:
        focus["period"] = {"start": stay.admitted.fhir}
    return focus
