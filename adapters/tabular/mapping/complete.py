"""What an event's type alone says about its focus: the elements FHIR demands, and where the time goes.

A mapping need not repeat that a service that started is active and is this person's; what it does say stands.

Source: FHIR R4, the elements of cardinality 1..1 of each resource type; v3 ActCode for ``Encounter.class``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from schemas.fhir.bundle import Resource

_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_INPATIENT = {"system": _ACT, "code": "IMP", "display": "inpatient encounter"}
_AMBULATORY = {"system": _ACT, "code": "AMB", "display": "ambulatory"}

PERSON_IN: Mapping[str, str] = MappingProxyType(
    {"EpisodeOfCare": "patient", "RelatedPerson": "patient", "Consent": "patient", "Task": "for"}
    | dict.fromkeys(
        ("Encounter", "ServiceRequest", "ClinicalImpression", "CarePlan", "Flag", "Communication", "Goal"), "subject"
    )
    | dict.fromkeys(
        ("QuestionnaireResponse", "DocumentReference", "Condition", "Observation", "Procedure", "CareTeam"), "subject"
    )
)
"""By resource type, the element that says whose it is."""


Complete = Callable[[Resource, str, Resource], Resource]
"""From what a mapping says, when it happened, and a reference to the Patient."""


class FocusRule(NamedTuple):
    """What one event type says about its focus."""

    elements: Mapping[str, Any]
    time: tuple[str, ...] = ()
    """Path of the element that holds when it happened; empty when FHIR has none for it."""


def _order(status: str) -> FocusRule:
    return FocusRule({"status": status, "intent": "order"}, ("authoredOn",))


def _stay(status: str, time: tuple[str, ...] = ()) -> FocusRule:
    return FocusRule({"status": status, "class": _INPATIENT}, time)


def _visit(status: str) -> FocusRule:
    return FocusRule({"status": status, "class": _AMBULATORY}, ("period", "start"))


_NOTHING = FocusRule({})
"""A type that says nothing of its focus: the mapping says all of it."""

FOCUS_RULES: Mapping[str, FocusRule] = MappingProxyType(
    {
        "person-registered-1": _NOTHING,
        "person-changed-1": _NOTHING,
        "person-died-1": _NOTHING,
        "records-merged-1": _NOTHING,
        "encounter-planned-1": _stay("planned"),
        "encounter-admitted-1": _stay("in-progress", ("period", "start")),
        "encounter-transferred-1": _stay("in-progress"),
        "encounter-changed-1": _stay("in-progress"),
        "encounter-discharge-planned-1": _stay("in-progress"),
        "encounter-discharged-1": _stay("finished", ("period", "end")),
        "encounter-attended-1": _visit("finished"),
        "encounter-cancelled-1": _stay("cancelled"),
        "referral-requested-1": _order("active"),
        "referral-accepted-1": FocusRule({"status": "accepted", "intent": "order"}, ("lastModified",)),
        "referral-declined-1": FocusRule({"status": "rejected", "intent": "order"}, ("lastModified",)),
        "referral-changed-1": _order("active"),
        "referral-cancelled-1": _order("revoked"),
        "referral-completed-1": FocusRule({"status": "completed", "intent": "order"}, ("lastModified",)),
        "notice-given-1": _order("active"),
        "notice-answered-1": _order("completed"),
        "notice-withdrawn-1": _order("revoked"),
        "assessment-completed-1": FocusRule({"status": "completed"}, ("effectiveDateTime",)),
        "service-started-1": FocusRule({"status": "active"}, ("period", "start")),
        "service-changed-1": FocusRule({"status": "active"}),
        "service-ended-1": FocusRule({"status": "finished"}, ("period", "end")),
        "contact-made-1": _visit("finished"),
        "contact-missed-1": _visit("cancelled"),
        "alarm-raised-1": FocusRule({"status": "completed"}, ("sent",)),
        "alert-raised-1": FocusRule({"status": "active"}, ("period", "start")),
        "alert-cleared-1": FocusRule({"status": "inactive"}, ("period", "end")),
        "plan-agreed-1": FocusRule({"status": "active", "intent": "plan"}, ("created",)),
        "plan-reviewed-1": FocusRule({"status": "active", "intent": "plan"}),
        "goal-set-1": FocusRule({"lifecycleStatus": "active"}),
        "goal-progressed-1": FocusRule({"lifecycleStatus": "active"}),
        "about-me-written-1": FocusRule({"status": "completed"}, ("authored",)),
        "carer-named-1": FocusRule({"active": True}, ("period", "start")),
        "carer-ended-1": FocusRule({"active": False}, ("period", "end")),
        "document-received-1": FocusRule({"status": "current"}),
        "choice-recorded-1": FocusRule({"status": "active"}, ("dateTime",)),
        "entry-withdrawn-1": _NOTHING,
    }
)
"""By event type. A missed visit is an Encounter that was cancelled: R4 has no word for one where nobody came."""


def complete(kind: str, event: str) -> Complete:
    """What makes a focus whole: what the type of ``event`` says and the mapping does not. The mapping's part stays as it is."""
    rule = FOCUS_RULES[event]
    whose = PERSON_IN.get(kind, "")
    place = _PLACES[len(rule.time)]

    def whole(stated: Resource, occurred_at: str, person: Resource) -> Resource:
        focus = {**rule.elements, **stated}
        if whose and whose not in focus:
            focus[whose] = person
        place(focus, rule.time, occurred_at)
        return focus

    return whole


def _inside(focus: Resource, path: tuple[str, ...], occurred_at: str) -> None:
    outer, inner = path
    focus[outer] = {inner: occurred_at, **focus[outer]} if outer in focus else {inner: occurred_at}


_PLACES: tuple[Callable[[Resource, tuple[str, ...], str], object], ...] = (
    lambda focus, path, occurred_at: None,
    lambda focus, path, occurred_at: focus.setdefault(path[0], occurred_at),
    _inside,
)
"""How the time is put into a focus, by the length of its path."""
