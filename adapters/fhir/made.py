"""Makes the focus of an event from another resource, where FHIR uses a different resource type than the event type.

The received resource is always among the entries, unchanged; the made one refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from adapters.fhir.entries import BundleEntries, BundleEntry
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import ACT_CODE

Build = Callable[[BundleEntry, Resource, BundleEntries], Resource]
"""Makes the focus from the received entry, the Reference to its Patient (may be empty), and the entries that came with it."""

_VISIT_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "arrived": "arrived",
        "checked-in": "arrived",
        "fulfilled": "finished",
        "cancelled": "cancelled",
        "noshow": "cancelled",
        "entered-in-error": "entered-in-error",
    }
)
"""Status of an Appointment to the status of its Encounter; for any other it is planned."""
APPOINTMENT = "appointment"
"""Text of ``Encounter.type``, used in the timeline's sentence."""


def as_received(entry: BundleEntry, _subject: Resource, _entries: BundleEntries) -> Resource:
    """The received resource itself."""
    return entry.resource


def visit(entry: BundleEntry, subject: Resource, entries: BundleEntries) -> Resource:
    """The Encounter that an Appointment is for."""
    appointment = entry.resource
    period = {part: appointment[part] for part in ("start", "end") if part in appointment}
    place = _place(entry, entries)
    return _made(
        "Encounter",
        appointment,
        {
            "identifier": appointment.get("identifier"),
            "status": _VISIT_STATUS.get(appointment.get("status", ""), "planned"),
            "class": {"system": ACT_CODE, "code": "AMB", "display": "ambulatory"},
            "type": [{"text": APPOINTMENT}],
            "subject": subject,
            "appointment": [{"reference": entry.url}] if entry.url else None,
            "period": period,
            "reasonCode": appointment.get("reasonCode"),
            "location": [{"location": {"display": place}}] if place else None,
        },
    )


def _place(entry: BundleEntry, entries: BundleEntries) -> str:
    """Name of the first Location, else HealthcareService, that the appointment refers to, also through slot and schedule."""
    around = entries.around(entry)
    named = {one.type: one.resource["name"] for one in reversed(around) if "name" in one.resource}
    return str(named.get("Location") or named.get("HealthcareService") or "")


def answer(status: str) -> Build:
    """Builds the Task, in the state ``status``, that answers a ServiceRequest."""

    def build(entry: BundleEntry, subject: Resource, _: BundleEntries) -> Resource:
        request = entry.resource
        performers = request.get("performer") or [None]
        focus = {"type": "ServiceRequest"} | ({"reference": entry.url} if entry.url else {})
        return _made(
            "Task",
            request,
            {
                "identifier": request.get("identifier"),
                "status": status,
                "intent": "order",
                "code": request.get("code"),
                "focus": focus,
                "for": subject,
                "authoredOn": request.get("authoredOn"),
                "owner": performers[0],
            },
        )

    return build


def _made(resource_type: str, received: Resource, elements: Resource) -> Resource:
    """A resource of the non-empty ``elements``, with the received version, time and security labels, but not the profiles."""
    meta = {name: value for name, value in received.get("meta", {}).items() if name in ("lastUpdated", "versionId", "security")}
    made = {"resourceType": resource_type, "meta": meta} | elements
    return {name: value for name, value in made.items() if value}
