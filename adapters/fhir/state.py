"""Derives statements from an entry: what its resource states, and about whom.

Source: FHIR R4 §2.4 (modifier elements: whoever does not understand one must not process the resource).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from adapters.compose import Statement
from adapters.fhir.entries import BundleEntries, BundleEntry
from adapters.fhir.identity import PatientIdentity, identity
from adapters.fhir.made import Build, as_received
from adapters.fhir.moments import FhirMoment, at_path, first_moment, moment
from adapters.fhir.rules import IN_ERROR, KINDS, TIMES, WITHDRAWN, ResourceKind, StatusRule, fact, facts_of
from adapters.translator import Arrival
from schemas.catalogue import EventType
from schemas.errors import MissingIdentifier, Unsupported
from schemas.event import Precision, Sensitivity, instant, strictest
from schemas.fhir.bundle import Resource, write

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_GUARDED = {
    "R": Sensitivity.RESTRICTED,
    "V": Sensitivity.VERY_RESTRICTED,
    "S": Sensitivity.VERY_RESTRICTED,
    "REDACTED": Sensitivity.VERY_RESTRICTED,
}
"""Codes of ``meta.security`` to sensitivity: HL7 v3 Confidentiality, and those of the Personal Demographics Service."""
_VERSION_WIDTH = 12
"""Digits to which a version number is padded, so that text order is number order."""
_MODIFIERS = ("implicitRules", "modifierExtension")


class DocumentReading(NamedTuple):
    """Context for reading one document."""

    entries: BundleEntries
    stamp: str
    """``Bundle.timestamp``, or ``""``."""
    arrival: Arrival


class StatedFact(NamedTuple):
    """The event type that one entry makes, and for which fact."""

    entry: BundleEntry
    makes: EventType
    fact: str
    build: Build = as_received


class About(NamedTuple):
    """The person a resource is about."""

    reference: Resource
    """The resource's reference to the Patient; empty if it has none."""
    entry: BundleEntry | None
    """The Patient's entry; ``None`` if the Patient is contained in the resource or given by an identifier only."""
    identity: PatientIdentity


def said_by(entry: BundleEntry, entries: BundleEntries) -> list[StatedFact]:
    """What ``entry`` states by its type and status.

    Raises `Unsupported` when no event type expresses it, `InvalidValue` when it is not valid FHIR.
    """
    resource = entry.sound()
    kind = KINDS.get(entry.type)
    if kind is None:
        raise Unsupported(f"no event type expresses {_a(entry.type)} on its own", where=entry.type)
    status = resource.get(kind.status, "") if kind.status else ""
    if IN_ERROR in (status, resource.get("docStatus")):
        return [StatedFact(entry, WITHDRAWN, name) for name in facts_of(kind)]
    found = [
        rule for rule in kind.rules if status in rule.statuses and rule.when(resource) and _answers(rule, resource, entries)
    ]
    if not found:
        state = f" that is {status}" if status else " like this one"
        raise Unsupported(f"no event type expresses {_a(entry.type)}{state}", where=f"{entry.type}.{kind.status}".rstrip("."))
    return [StatedFact(entry, rule.makes, fact(rule.makes), rule.build) for rule in found]


def _a(name: str) -> str:
    return f"an {name}" if name[:1] in "AEIO" else f"a {name}"


def _answers(rule: StatusRule, resource: Resource, entries: BundleEntries) -> bool:
    focus = resource.get("focus", {})
    target = entries.find(focus)
    named = (
        target.type if target else "",
        focus.get("type"),
        str(focus.get("reference", "")).rpartition("/")[0].rpartition("/")[2],
    )
    return not rule.answers or rule.answers in named


def about(entry: BundleEntry, reading: DocumentReading) -> About:
    """The person that the resource in ``entry`` is about.

    Raises `MissingIdentifier` when no Patient is named or found, `InvalidValue` or `Unsupported` when the Patient is not valid
    FHIR.
    """
    if entry.type == "Patient":
        return About({}, entry, identity(entry.sound(), reading.arrival))
    references = list(_subjects(entry.resource, KINDS[entry.type]))
    if not references:
        only = reading.entries.only("Patient")
        if only is None:
            raise MissingIdentifier("the resource does not say which Patient it is about", where=_subject_path(entry))
        return About({}, only, identity(only.sound(), reading.arrival))
    for reference in references:
        patient, found = _patient(reference, entry.resource, reading.entries)
        if patient is not None:
            return About(reference, found, identity(patient, reading.arrival))
    raise MissingIdentifier("the Patient that the resource is about is not in the document", where=_subject_path(entry))


def _subject_path(entry: BundleEntry) -> str:
    return f"{entry.type}.{KINDS[entry.type].subject}"


def _subjects(resource: Resource, kind: ResourceKind) -> Iterator[Resource]:
    """The references that may name the Patient: one, or the actors of an Appointment."""
    element, _, inner = kind.subject.partition(".")
    found = resource.get(element, [])
    for one in found if isinstance(found, list) else [found]:
        reference = one.get(inner) if inner else one
        if reference:
            yield reference


def _patient(reference: Resource, holder: Resource, entries: BundleEntries) -> tuple[Resource | None, BundleEntry | None]:
    """The Patient that ``reference`` names: an entry, one contained in ``holder``, or one given by an identifier only."""
    target = str(reference.get("reference", ""))
    if target.startswith("#"):
        contained = (
            one for one in holder.get("contained", ()) if one.get("id") == target[1:] and one["resourceType"] == "Patient"
        )
        return next(contained, None), None
    entry = entries.find(reference)
    if entry is not None:
        return (entry.sound(), entry) if entry.type == "Patient" else (None, None)
    if "identifier" in reference and reference.get("type", "Patient") == "Patient":
        return {"resourceType": "Patient", "identifier": [reference["identifier"]]}, None
    return None, None


class Flagged(NamedTuple):
    """A statement with its flags."""

    statement: Statement
    flags: tuple[str, ...]


def statement_of(fact: StatedFact, context: Iterable[BundleEntry], reading: DocumentReading) -> Flagged:
    """The statement of ``fact``; ``context`` are the entries that go with it.

    Raises `MissingIdentifier`, `Unsupported`, `InvalidValue`.
    """
    entry = fact.entry
    whom = about(entry, reading)
    refuse_modifiers(entry.resource, whom.identity.patient)
    is_patient = entry is whom.entry
    focus = whom.identity.patient if is_patient else fact.build(entry, whom.reference, reading.entries)
    made = focus is not entry.resource and not is_patient
    beside = sorted([*context, entry] if made else context)
    others = [one for one in beside if one is not whom.entry]
    resources = (focus, whom.identity.patient, *(one.sound() for one in others))
    happened, flags = _when(fact.makes, focus, reading)
    statement = Statement(
        type=fact.makes,
        record=whom.identity.record,
        natural_key=(entry.type, name_of(entry, whom), fact.fact),
        happened_at=happened.at,
        precision=happened.precision,
        focus=focus,
        patient=whom.identity.patient,
        others=resources[2:],
        sequence=_sequence(entry.resource, reading.stamp),
        thread=_thread(entry, reading.entries),
        sensitivity=strictest(map(sensitivity, resources)),
        urls=(
            "" if made else entry.url,
            *([] if is_patient else [whom.entry.url if whom.entry else ""]),
            *(one.url for one in others),
        ),
    )
    return Flagged(statement, (*whom.identity.flags, *flags))


def refuse_modifiers(*resources: Resource) -> None:
    """Raise `Unsupported` if an element changes the meaning of one of ``resources``, for example into its opposite."""
    for resource in resources:
        for element in _MODIFIERS:
            if element in resource:
                where = f"{resource['resourceType']}.{element}"
                raise Unsupported(
                    "this element changes the meaning of the resource in a way that is not supported", where=where
                )
        if resource.get("doNotPerform") is True:
            raise Unsupported(
                "a request not to do something is not a referral", where=f"{resource['resourceType']}.doNotPerform"
            )


def _when(row: EventType, focus: Resource, reading: DocumentReading) -> tuple[FhirMoment, tuple[str, ...]]:
    """When it happened: as the resource says, else when it was recorded, else, with a flag, when it arrived."""
    found = first_moment(focus, (*TIMES[row.name], "meta.lastUpdated"))
    if found is None and reading.stamp:
        found = moment(reading.stamp)
    if found is not None:
        return found, ()
    return FhirMoment(reading.arrival.received_at, Precision.SECOND), (f"time-of-arrival at {focus['resourceType']}",)


def name_of(entry: BundleEntry, whom: About | None = None) -> str:
    """What identifies the resource at its source: its business identifier, else its id, its ``fullUrl`` or a hash of its
    content.

    A Patient is identified by its record.
    """
    if entry.type == "Patient" and whom is not None:
        return whom.identity.record
    resource = entry.resource
    for identifier in _listed(resource.get("masterIdentifier")) + _listed(resource.get("identifier")):
        if identifier.get("value") and identifier.get("use") != "old":
            return f"{identifier.get('system', '')}|{identifier['value']}"
    if "id" in resource:
        return f"{entry.type}/{resource['id']}"
    return entry.url or hashlib.sha256(write(resource)).hexdigest()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _sequence(resource: Resource, stamp: str) -> str:
    """A sort key for versions: ``meta.lastUpdated``, then the version number; without either, the Bundle's timestamp."""
    meta = resource.get("meta", {})
    updated = meta.get("lastUpdated") or ("" if "versionId" in meta else stamp)
    number = str(meta.get("versionId", ""))
    parts = [instant(moment(updated).at)] if updated else []
    if number.isascii() and number.isdigit() and len(number) <= _VERSION_WIDTH:
        parts.append(number.zfill(_VERSION_WIDTH))
    return "/".join(parts)


def _thread(entry: BundleEntry, entries: BundleEntries) -> str:
    """The visit or referral that the entry belongs to, or ``""``."""
    if entry.type in ("Encounter", "EpisodeOfCare", "ServiceRequest", "Appointment"):
        return f"{entry.type} {name_of(entry)}"
    for path in ("focus", "encounter", "context.encounter"):
        found = entries.find(at_path(entry.resource, path))
        if found is not None:
            return f"{found.type} {name_of(found)}" if found.fault is None else ""
    return ""


def sensitivity(resource: Resource) -> Sensitivity:
    """The sensitivity that the security labels of ``resource`` ask for."""
    labels = resource.get("meta", {}).get("security", ())
    codes = [label.get("code") for label in labels if label.get("system", _CONFIDENTIALITY) == _CONFIDENTIALITY]
    return strictest(_GUARDED.get(code, Sensitivity.NORMAL) for code in codes)
