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

RANK_MOST = 255
"""The greatest rank: a stored entry has eight bits for it (`consumers.timeline.versions.compose`)."""


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

    rank: int
    """Which of a person's entries of one moment comes first: the one of the lower rank. It is stored with every entry, so that
    it never changes; a new type takes the next free number, wherever its row stands. At most `RANK_MOST`."""
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
    may_lie_ahead: bool = False
    """It is about the future: its time may be after its arrival."""
    is_an_end: bool = False
    """It says that something has ended. An end in the future is a plan: nothing has ended, and nothing is wrong."""
    compared: tuple[str, ...] = ()
    """The only elements of its focus that are compared between versions of a fact; empty when all are."""
    moves: str = ""
    """The kind of movement within a stay that the type says; others say it in words (`schemas.sentence.MOVEMENT`)."""


_P, _E, _R, _N, _S = Kind.PERSON, Kind.ENCOUNTER, Kind.REFERRAL, Kind.NOTICE, Kind.SERVICE
_CRISIS, _SUPPORT, _PLAN, _ADMIN = Character.CRISIS, Character.SUPPORT, Character.PLAN, Character.ADMINISTRATIVE
_SNAPSHOT, _WITHDRAWS = Movement.SNAPSHOT, Movement.WITHDRAWS

_PLANNED = "[Move planned to {next_place}|{kind} planned|Stay planned][ at {here}, for {begins}| at {here}| for {begins}]"
_LEAVING = "Discharge planned[ from {place}, for {expected}| from {place}| for {expected}][: {readiness}]"
_DISCHARGED = "Discharged[ from {place}, to {destination}| from {place}| to {destination}]"
_CHANGED = "[{movement}, {place}|{movement}|Details of the stay updated at {place}|Details of the stay updated]"
_REFERRED = "Referred[ for {service} to {performer}| for {service}| to {performer}| by {source}]"
_WHAT_SUMMARY = "[: {what}, {summary}|: {what}|: {summary}]"
_DEATH = ("deceasedBoolean", "deceasedDateTime")

_ROWS = (
    EventType(0, "person-registered-1", "Patient", _P, _ADMIN, "Registered with {source}", _SNAPSHOT),
    EventType(1, "person-changed-1", "Patient", _P, _ADMIN, "Personal details updated by {source}", _SNAPSHOT),
    EventType(2, "person-died-1", "Patient", _P, _CRISIS, "Died", in_passing=True, compared=_DEATH),
    EventType(3, "records-merged-1", "Patient", _P, _ADMIN, "Two records joined into one at {source}"),
    EventType(4, "encounter-planned-1", "Encounter", _E, _PLAN, _PLANNED, may_lie_ahead=True),
    EventType(5, "encounter-admitted-1", "Encounter", _E, _CRISIS, "Admitted[ to {place}| at {source}]"),
    EventType(6, "encounter-transferred-1", "Encounter", _E, _ADMIN, "Moved[ to {place}| within {source}]", moves="move"),
    EventType(7, "encounter-changed-1", "Encounter", _E, _ADMIN, _CHANGED, _SNAPSHOT),
    EventType(8, "encounter-discharge-planned-1", "Encounter", _E, _PLAN, _LEAVING, in_passing=True, may_lie_ahead=True),
    EventType(9, "encounter-discharged-1", "Encounter", _E, _SUPPORT, _DISCHARGED),
    EventType(10, "encounter-attended-1", "Encounter", _E, _SUPPORT, "Seen[ at {place}| by {source}][: {reason}]"),
    EventType(
        11, "encounter-cancelled-1", "Encounter", _E, _ADMIN, "[{movement}|{kind}|Stay] cancelled[ at {place}]", _WITHDRAWS
    ),
    EventType(12, "referral-requested-1", "ServiceRequest", _R, _SUPPORT, _REFERRED),
    EventType(13, "referral-accepted-1", "Task", _R, _SUPPORT, "Referral accepted[ by {performer}]"),
    EventType(14, "referral-declined-1", "Task", _R, _CRISIS, "Referral declined[ by {performer}][: {reason}]"),
    EventType(15, "referral-changed-1", "ServiceRequest", _R, _ADMIN, "Referral[ for {service}] updated"),
    EventType(16, "referral-cancelled-1", "ServiceRequest", _R, _ADMIN, "Referral[ for {service}] cancelled"),
    EventType(17, "referral-completed-1", "Task", _R, _SUPPORT, "Referral completed[ by {performer}]"),
    EventType(18, "notice-given-1", "ServiceRequest", _N, _PLAN, "Council told that care may be needed[: {service}]"),
    EventType(19, "notice-answered-1", "ServiceRequest", _N, _SUPPORT, "Council answered the hospital[: {service}]"),
    EventType(
        20, "notice-withdrawn-1", "ServiceRequest", _N, _ADMIN, "Hospital took back its notice to the council[: {reason}]"
    ),
    EventType(
        21, "assessment-completed-1", "ClinicalImpression", Kind.ASSESSMENT, _SUPPORT, "Assessment completed" + _WHAT_SUMMARY
    ),
    EventType(22, "service-started-1", "EpisodeOfCare", _S, _SUPPORT, "Service started[: {service}][, from {provider}]"),
    EventType(23, "service-changed-1", "EpisodeOfCare", _S, _SUPPORT, "Service changed[: {service}][, from {provider}]"),
    EventType(
        24, "service-ended-1", "EpisodeOfCare", _S, _ADMIN, "Service ended[: {service}][, from {provider}]", is_an_end=True
    ),
    EventType(25, "contact-made-1", "Encounter", Kind.CONTACT, _SUPPORT, "[{kind}|Contact] by {source}[: {reason}]"),
    EventType(26, "contact-missed-1", "Encounter", Kind.CONTACT, _CRISIS, "Missed [{kind}|contact] by {source}[: {reason}]"),
    EventType(
        27, "alarm-raised-1", "Communication", Kind.ALERT, _CRISIS, "Alarm raised[: {what}, {reason}|: {what}|: {reason}]"
    ),
    EventType(28, "alert-raised-1", "Flag", Kind.ALERT, _CRISIS, "Alert[: {what}]"),
    EventType(29, "alert-cleared-1", "Flag", Kind.ALERT, _SUPPORT, "Alert no longer needed[: {what}]"),
    EventType(30, "plan-agreed-1", "CarePlan", Kind.PLAN, _PLAN, "Plan agreed[: {summary}]"),
    EventType(31, "plan-reviewed-1", "CarePlan", Kind.PLAN, _PLAN, "Plan reviewed[: {summary}]"),
    EventType(32, "goal-set-1", "Goal", Kind.PLAN, _PLAN, "Goal set[: {summary}]"),
    EventType(
        33,
        "goal-progressed-1",
        "Goal",
        Kind.PLAN,
        _SUPPORT,
        "Progress towards a goal[: {summary}, {outcome}|: {summary}|: {outcome}]",
    ),
    EventType(34, "about-me-written-1", "QuestionnaireResponse", Kind.PLAN, _PLAN, "Wrote down what matters to them"),
    EventType(
        35,
        "carer-named-1",
        "RelatedPerson",
        Kind.CARER,
        _SUPPORT,
        "Carer named[: {name}, {relationship}|: {name}|: {relationship}]",
    ),
    EventType(36, "carer-ended-1", "RelatedPerson", Kind.CARER, _ADMIN, "No longer a carer[: {name}]", is_an_end=True),
    EventType(37, "document-received-1", "DocumentReference", Kind.DOCUMENT, _ADMIN, "Document from {source}[: {what}]"),
    EventType(38, "choice-recorded-1", "Consent", Kind.CHOICE, _PLAN, "Choice recorded[: {what}]"),
    EventType(39, "entry-withdrawn-1", "Resource", Kind.PERSON, _ADMIN, "Withdrawn by {source}: entered in error", _WITHDRAWS),
)

CATALOGUE: Mapping[str, EventType] = MappingProxyType({row.name: row for row in _ROWS})
"""Event type by its name, in the order of the table."""
