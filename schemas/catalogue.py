"""The table of event types: the only place where a type is added.

A type's name is a noun, a verb and a major version, as in the national services (``pds-death-notification-2``). A breaking
change gets a new major version beside the old one.

Source: NHS England Multicast Notification Service, event naming rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from schemas.event import Sensitivity

CATALOGUE_VERSION = "1"


class Kind(StrEnum):
    """What an entry is about: the timeline's ``kind`` filter."""

    PERSON = "person"
    ENCOUNTER = "encounter"
    REFERRAL = "referral"
    NOTICE = "notice"
    ASSESSMENT = "assessment"
    SERVICE = "service"
    CONTACT = "contact"
    ALERT = "alert"
    PLAN = "plan"
    CARER = "carer"
    DOCUMENT = "document"
    CHOICE = "choice"


class Character(StrEnum):
    """What an entry means in somebody's life: a timeline shows support as well as crisis, and outcomes are counted from it."""

    CRISIS = "crisis"
    SUPPORT = "support"
    PLAN = "plan"
    ADMINISTRATIVE = "administrative"


class Movement(StrEnum):
    """What a type does to the fact it names."""

    STATES = "states"
    """A new version of the fact."""
    SNAPSHOT = "snapshot"
    """The whole state of a thing, which some systems send again at every change; it says nothing when nothing has changed."""
    WITHDRAWS = "withdraws"
    """The fact did not happen or was entered in error."""


class EventType(NamedTuple):
    """One row of the catalogue."""

    name: str
    focus: str
    """FHIR resource type of the Bundle's first entry; ``Resource`` for any."""
    kind: Kind
    character: Character
    title: str
    """Template of `schemas.sentence`."""
    movement: Movement = Movement.STATES
    sensitivity: Sensitivity = Sensitivity.NORMAL
    """The minimum for events of this type; a restriction on the record itself raises it."""
    in_passing: bool = False
    """Some systems repeat it in messages about something else, under the time of those messages. So an equal statement is a
    repetition whatever its time, and it tells nothing that the message's own event does not."""


_P, _E, _R, _N, _S = Kind.PERSON, Kind.ENCOUNTER, Kind.REFERRAL, Kind.NOTICE, Kind.SERVICE
_CRISIS, _SUPPORT, _PLAN, _ADMIN = Character.CRISIS, Character.SUPPORT, Character.PLAN, Character.ADMINISTRATIVE
_SNAPSHOT, _WITHDRAWS = Movement.SNAPSHOT, Movement.WITHDRAWS

_PLANNED = "[Move planned to {next_place}|{kind} planned|Stay planned][ at {here}, for {begins}| at {here}| for {begins}]"
_LEAVING = "Discharge planned[ from {place}, for {expected}| from {place}| for {expected}][: {readiness}]"
_DISCHARGED = "Discharged[ from {place}, to {destination}| from {place}| to {destination}]"
_CHANGED = "[{movement}, {place}|{movement}|Details of the stay updated at {place}|Details of the stay updated]"
_REFERRED = "Referred[ for {service} to {performer}| for {service}| to {performer}| by {source}]"
_WHAT_SUMMARY = "[: {what}, {summary}|: {what}|: {summary}]"

_ROWS = (
    EventType("person-registered-1", "Patient", _P, _ADMIN, "Registered with {source}", _SNAPSHOT),
    EventType("person-changed-1", "Patient", _P, _ADMIN, "Personal details updated by {source}", _SNAPSHOT),
    EventType("person-died-1", "Patient", _P, _CRISIS, "Died", in_passing=True),
    EventType("records-merged-1", "Patient", _P, _ADMIN, "Two records joined into one at {source}"),
    EventType("encounter-planned-1", "Encounter", _E, _PLAN, _PLANNED),
    EventType("encounter-admitted-1", "Encounter", _E, _CRISIS, "Admitted[ to {place}| at {source}]"),
    EventType("encounter-transferred-1", "Encounter", _E, _ADMIN, "Moved[ to {place}| within {source}]"),
    EventType("encounter-changed-1", "Encounter", _E, _ADMIN, _CHANGED, _SNAPSHOT),
    EventType("encounter-discharge-planned-1", "Encounter", _E, _PLAN, _LEAVING, in_passing=True),
    EventType("encounter-discharged-1", "Encounter", _E, _SUPPORT, _DISCHARGED),
    EventType("encounter-attended-1", "Encounter", _E, _SUPPORT, "Seen[ at {place}| by {source}][: {reason}]"),
    EventType("encounter-cancelled-1", "Encounter", _E, _ADMIN, "[{movement}|{kind}|Stay] cancelled[ at {place}]", _WITHDRAWS),
    EventType("referral-requested-1", "ServiceRequest", _R, _SUPPORT, _REFERRED),
    EventType("referral-accepted-1", "Task", _R, _SUPPORT, "Referral accepted[ by {performer}]"),
    EventType("referral-declined-1", "Task", _R, _CRISIS, "Referral declined[ by {performer}][: {reason}]"),
    EventType("referral-changed-1", "ServiceRequest", _R, _ADMIN, "Referral[ for {service}] updated"),
    EventType("referral-cancelled-1", "ServiceRequest", _R, _ADMIN, "Referral[ for {service}] cancelled"),
    EventType("referral-completed-1", "Task", _R, _SUPPORT, "Referral completed[ by {performer}]"),
    EventType("notice-given-1", "ServiceRequest", _N, _PLAN, "Council told that care may be needed[: {service}]"),
    EventType("notice-answered-1", "ServiceRequest", _N, _SUPPORT, "Council answered the hospital[: {service}]"),
    EventType("notice-withdrawn-1", "ServiceRequest", _N, _ADMIN, "Hospital took back its notice to the council[: {reason}]"),
    EventType(
        "assessment-completed-1", "ClinicalImpression", Kind.ASSESSMENT, _SUPPORT, "Assessment completed" + _WHAT_SUMMARY
    ),
    EventType("service-started-1", "EpisodeOfCare", _S, _SUPPORT, "Service started[: {service}][, from {provider}]"),
    EventType("service-changed-1", "EpisodeOfCare", _S, _SUPPORT, "Service changed[: {service}][, from {provider}]"),
    EventType("service-ended-1", "EpisodeOfCare", _S, _ADMIN, "Service ended[: {service}][, from {provider}]"),
    EventType("contact-made-1", "Encounter", Kind.CONTACT, _SUPPORT, "[{kind}|Contact] by {source}[: {reason}]"),
    EventType("contact-missed-1", "Encounter", Kind.CONTACT, _CRISIS, "Missed [{kind}|contact] by {source}[: {reason}]"),
    EventType("alarm-raised-1", "Communication", Kind.ALERT, _CRISIS, "Alarm raised[: {what}, {reason}|: {what}|: {reason}]"),
    EventType("alert-raised-1", "Flag", Kind.ALERT, _CRISIS, "Alert[: {what}]"),
    EventType("alert-cleared-1", "Flag", Kind.ALERT, _SUPPORT, "Alert no longer needed[: {what}]"),
    EventType("plan-agreed-1", "CarePlan", Kind.PLAN, _PLAN, "Plan agreed[: {summary}]"),
    EventType("plan-reviewed-1", "CarePlan", Kind.PLAN, _PLAN, "Plan reviewed[: {summary}]"),
    EventType("goal-set-1", "Goal", Kind.PLAN, _PLAN, "Goal set[: {summary}]"),
    EventType(
        "goal-progressed-1",
        "Goal",
        Kind.PLAN,
        _SUPPORT,
        "Progress towards a goal[: {summary}, {outcome}|: {summary}|: {outcome}]",
    ),
    EventType("about-me-written-1", "QuestionnaireResponse", Kind.PLAN, _PLAN, "Wrote down what matters to them"),
    EventType(
        "carer-named-1",
        "RelatedPerson",
        Kind.CARER,
        _SUPPORT,
        "Carer named[: {name}, {relationship}|: {name}|: {relationship}]",
    ),
    EventType("carer-ended-1", "RelatedPerson", Kind.CARER, _ADMIN, "No longer a carer[: {name}]"),
    EventType("document-received-1", "DocumentReference", Kind.DOCUMENT, _ADMIN, "Document from {source}[: {what}]"),
    EventType("choice-recorded-1", "Consent", Kind.CHOICE, _PLAN, "Choice recorded[: {what}]"),
    EventType("entry-withdrawn-1", "Resource", Kind.PERSON, _ADMIN, "Withdrawn by {source}: entered in error", _WITHDRAWS),
)

CATALOGUE: Mapping[str, EventType] = MappingProxyType({row.name: row for row in _ROWS})
"""Event type by its name, in the order of the table."""
