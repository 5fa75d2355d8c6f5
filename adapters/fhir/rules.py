"""Tables from FHIR resource type and status to event type.

A row is chosen by the resource's status and, where that is not enough, by a test. A resource without a row is rejected and
kept, and its meaning is never guessed. ``entered-in-error`` withdraws whatever the resource may have stated.

Source: FHIR R4, the status value sets of each resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from adapters.fhir.made import Build, answer, as_received, visit
from schemas.catalogue import CATALOGUE, EventType
from schemas.fhir.bundle import Resource


def _always(_: Resource) -> bool:
    return True


class StatusRule(NamedTuple):
    """One row: a resource with one of these statuses makes an event of this type."""

    makes: EventType
    statuses: frozenset[str]
    when: Callable[[Resource], bool] = _always
    build: Build = as_received
    """Makes the focus, if the event type needs another resource type."""
    answers: str = ""
    """Resource type that its ``focus`` must refer to, because a Task may be about anything. Empty: not checked."""


class ResourceKind(NamedTuple):
    """How one type of resource is read."""

    subject: str
    """Element that refers to the Patient; ``""``: the resource itself is the Patient."""
    status: str
    """Element of its status; ``""``: it has none."""
    rules: tuple[StatusRule, ...]


def _rule(
    makes: str, statuses: str, when: Callable[[Resource], bool] = _always, build: Build = as_received, answers: str = ""
) -> StatusRule:
    return StatusRule(CATALOGUE[makes], frozenset(statuses.split()) or frozenset({""}), when, build, answers)


def _codes(concepts: Any) -> Iterator[str]:
    for concept in concepts if isinstance(concepts, list) else [concepts]:
        for coding in (concept or {}).get("coding", ()):
            yield str(coding.get("code", ""))


def _words(concepts: Any) -> str:
    texts = (concept.get("text", "") for concept in concepts or ())
    return " ".join(texts).lower()


STAYS = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "SS"})
"""Codes of v3 ActEncounterCode for a stay in hospital."""
CONTACTS = frozenset({"HH", "VR", "FLD"})
"""Codes for a contact at home, by telephone or video, or in the field: somebody visited the person or spoke to them."""


def _is_stay(encounter: Resource) -> bool:
    return encounter["class"].get("code") in STAYS


def _is_contact(encounter: Resource) -> bool:
    return encounter["class"].get("code") in CONTACTS


def _is_visit(encounter: Resource) -> bool:
    return not _is_stay(encounter) and not _is_contact(encounter)


NOTICES = frozenset({"895571000000108", "975701000000106", "975731000000100"})
"""SNOMED CT: admission notification, assessment notice, discharge notice. Source: FHIR ADW Messaging 5.3.0, message events."""


def _is_notice(request: Resource) -> bool:
    return not NOTICES.isdisjoint((*_codes(request.get("code")), *_codes(request.get("category", []))))


def _is_referral(request: Resource) -> bool:
    return not _is_notice(request)


def _has_progress(goal: Resource) -> bool:
    return "achievementStatus" in goal


def _has_no_progress(goal: Resource) -> bool:
    return "achievementStatus" not in goal


def _is_alarm(communication: Resource) -> bool:
    category = communication.get("category", [])
    return not {"alert", "alarm"}.isdisjoint(_codes(category)) or "alarm" in _words(category)


def _is_about_me(response: Resource) -> bool:
    """Whether it is the PRSB's About Me form, by the name of its questionnaire."""
    name = str(response.get("questionnaire", ""))
    return "aboutme" in name.replace("-", "").replace("_", "").lower()


def _is_first(patient: Resource) -> bool:
    return bool(patient.get("meta", {}).get("versionId") == "1")


def _is_later(patient: Resource) -> bool:
    return not _is_first(patient)


def is_dead(patient: Resource) -> bool:
    """Whether the Patient is stated to have died."""
    return patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient


def _replaces(patient: Resource) -> bool:
    return any(link.get("type") == "replaces" for link in patient.get("link", ()))


def _is_ended(related: Resource) -> bool:
    return related.get("active") is False


def _is_standing(related: Resource) -> bool:
    return related.get("active") is not False


KINDS: Mapping[str, ResourceKind] = MappingProxyType(
    {
        "Encounter": ResourceKind(
            "subject",
            "status",
            (
                _rule("encounter-planned-1", "planned"),
                _rule("encounter-admitted-1", "arrived triaged in-progress", _is_stay),
                _rule("encounter-attended-1", "arrived triaged in-progress finished", _is_visit),
                _rule("contact-made-1", "arrived triaged in-progress finished", _is_contact),
                _rule("encounter-changed-1", "onleave"),
                _rule("encounter-discharged-1", "finished", _is_stay),
                _rule("encounter-cancelled-1", "cancelled"),
            ),
        ),
        "Appointment": ResourceKind(
            "participant.actor",
            "status",
            (
                _rule("encounter-planned-1", "proposed pending booked waitlist", build=visit),
                _rule("encounter-attended-1", "arrived checked-in fulfilled", build=visit),
                _rule("contact-missed-1", "noshow", build=visit),
                _rule("encounter-cancelled-1", "cancelled", build=visit),
            ),
        ),
        "ServiceRequest": ResourceKind(
            "subject",
            "status",
            (
                _rule("referral-requested-1", "active", _is_referral),
                _rule("referral-changed-1", "on-hold", _is_referral),
                _rule("referral-cancelled-1", "revoked", _is_referral),
                _rule("referral-completed-1", "completed", _is_referral, answer("completed")),
                _rule("notice-given-1", "active on-hold", _is_notice),
                _rule("notice-answered-1", "completed", _is_notice),
                _rule("notice-withdrawn-1", "revoked", _is_notice),
            ),
        ),
        "Task": ResourceKind(
            "for",
            "status",
            (
                _rule("referral-accepted-1", "accepted ready in-progress", answers="ServiceRequest"),
                _rule("referral-declined-1", "rejected", answers="ServiceRequest"),
                _rule("referral-completed-1", "completed", answers="ServiceRequest"),
            ),
        ),
        "EpisodeOfCare": ResourceKind(
            "patient",
            "status",
            (
                _rule("service-started-1", "active"),
                _rule("service-changed-1", "onhold"),
                _rule("service-ended-1", "finished cancelled"),
            ),
        ),
        "ClinicalImpression": ResourceKind("subject", "status", (_rule("assessment-completed-1", "completed"),)),
        "Flag": ResourceKind("subject", "status", (_rule("alert-raised-1", "active"), _rule("alert-cleared-1", "inactive"))),
        "Communication": ResourceKind("subject", "status", (_rule("alarm-raised-1", "in-progress completed", _is_alarm),)),
        "CarePlan": ResourceKind(
            "subject",
            "status",
            (_rule("plan-agreed-1", "active"), _rule("plan-reviewed-1", "on-hold revoked completed")),
        ),
        "Goal": ResourceKind(
            "subject",
            "lifecycleStatus",
            (
                _rule("goal-set-1", "proposed planned accepted active", _has_no_progress),
                _rule("goal-progressed-1", "proposed planned accepted active", _has_progress),
                _rule("goal-progressed-1", "on-hold completed cancelled"),
            ),
        ),
        "Consent": ResourceKind("patient", "status", (_rule("choice-recorded-1", "active rejected inactive"),)),
        "DocumentReference": ResourceKind("subject", "status", (_rule("document-received-1", "current superseded"),)),
        "QuestionnaireResponse": ResourceKind(
            "subject", "status", (_rule("about-me-written-1", "completed amended", _is_about_me),)
        ),
        "RelatedPerson": ResourceKind(
            "patient", "", (_rule("carer-named-1", "", _is_standing), _rule("carer-ended-1", "", _is_ended))
        ),
        "Patient": ResourceKind(
            "",
            "",
            (
                _rule("person-registered-1", "", _is_first),
                _rule("person-changed-1", "", _is_later),
                _rule("person-died-1", "", is_dead),
                _rule("records-merged-1", "", _replaces),
            ),
        ),
    }
)
"""Resource type to how it is read. Each matching row makes an event. Only for a Patient can several rows match; the statuses
and tests of all others exclude each other."""

WITHDRAWN = CATALOGUE["entry-withdrawn-1"]
IN_ERROR = "entered-in-error"

TIMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "person-registered-1": (),
        "person-changed-1": (),
        "person-died-1": ("deceasedDateTime", "meta.lastUpdated"),
        "records-merged-1": (),
        "encounter-planned-1": ("period.start", "meta.lastUpdated"),
        "encounter-admitted-1": ("period.start", "meta.lastUpdated"),
        "encounter-attended-1": ("period.start", "meta.lastUpdated"),
        "encounter-transferred-1": (),
        "encounter-changed-1": ("meta.lastUpdated", "period.start"),
        "encounter-discharge-planned-1": (),
        "encounter-discharged-1": ("period.end", "meta.lastUpdated", "period.start"),
        "encounter-cancelled-1": ("period.start", "meta.lastUpdated"),
        "contact-made-1": ("period.start", "meta.lastUpdated"),
        "contact-missed-1": ("period.start", "meta.lastUpdated"),
        "referral-requested-1": ("authoredOn", "occurrencePeriod.start", "occurrenceDateTime", "meta.lastUpdated"),
        "referral-changed-1": ("meta.lastUpdated", "authoredOn"),
        "referral-cancelled-1": ("meta.lastUpdated", "authoredOn"),
        "referral-accepted-1": ("lastModified", "executionPeriod.start", "meta.lastUpdated", "authoredOn"),
        "referral-declined-1": ("lastModified", "meta.lastUpdated", "authoredOn"),
        "referral-completed-1": ("executionPeriod.end", "lastModified", "meta.lastUpdated", "authoredOn"),
        "notice-given-1": ("authoredOn", "meta.lastUpdated"),
        "notice-answered-1": ("meta.lastUpdated", "authoredOn"),
        "notice-withdrawn-1": ("meta.lastUpdated", "authoredOn"),
        "assessment-completed-1": ("effectiveDateTime", "effectivePeriod.end", "effectivePeriod.start", "date"),
        "service-started-1": ("period.start",),
        "service-changed-1": ("meta.lastUpdated", "period.start"),
        "service-ended-1": ("period.end", "meta.lastUpdated"),
        "alarm-raised-1": ("sent", "received"),
        "alert-raised-1": ("period.start",),
        "alert-cleared-1": ("period.end", "meta.lastUpdated"),
        "plan-agreed-1": ("created", "period.start"),
        "plan-reviewed-1": ("meta.lastUpdated", "period.end", "created"),
        "goal-set-1": ("startDate", "statusDate"),
        "goal-progressed-1": ("statusDate",),
        "about-me-written-1": ("authored",),
        "carer-named-1": ("period.start",),
        "carer-ended-1": ("period.end",),
        "document-received-1": ("date", "content.attachment.creation"),
        "choice-recorded-1": ("dateTime",),
        "entry-withdrawn-1": (),
    }
)
"""Event type to the elements of its focus that say when it happened, best first. After them come ``meta.lastUpdated``, the
Bundle's ``timestamp`` and, with a flag, the time of arrival."""

FACTS: Mapping[str, str] = MappingProxyType(
    {"encounter-cancelled-1": "encounter-planned", "contact-missed-1": "encounter-attended"}
)
"""Event types that are versions of another type's fact: a cancelled encounter had been planned, a missed contact was not
attended. Any other type has a fact of its own."""


def fact(row: EventType) -> str:
    """The fact's part of the natural key: the type without its major version, so that a new major version is the same fact."""
    return FACTS.get(row.name) or row.name.rpartition("-")[0]


def facts_of(kind: ResourceKind) -> list[str]:
    """All facts that a resource of this kind may have stated."""
    return sorted({fact(rule.makes) for rule in kind.rules})
