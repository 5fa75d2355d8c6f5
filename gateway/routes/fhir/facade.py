"""People and timelines as FHIR R4: one Patient for each person, and the payloads of their timeline in searchset Bundles. Pure.

The facade serves what sources stated and adds nothing. A Patient here is the union of what their records say; any other
resource is the one its event carried, with references rewritten to lead to what is served beside it.

Source: FHIR R4 RESTful API §3.1.1.4 (search), Patient ``$everything``, Bundle §2.36.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from consumers.people.query import KnownPatient
from schemas.fhir.bundle import FACT_URN, Resource
from schemas.identifiers import NHS_NUMBER, SOURCE_URN
from schemas.resources.person import DELETED
from schemas.source import Sector

EVENT_URN = "urn:care-backbone:event:"
"""Prefix; an event's id and a place in its payload follow. Replaces the sender's own ``fullUrl``."""
_OWN = frozenset({"resourceType", "id", "meta", "identifier", "text", "contained", "link"})
"""Elements of a record's Patient that are not copied: they belong to that resource, or are joined separately."""
_CHOICES = ("deceased", "multipleBirth")
"""Elements with a choice of types; only one record's answer to a choice counts."""


class PageEntry(NamedTuple):
    """One entry of a timeline page, decoded."""

    event: str
    """Id."""
    recorded_at: str
    source: str
    """Id."""
    bundle: Resource


def person_as_patient(person: str, known: Sequence[KnownPatient]) -> Resource:
    """One Patient from all the records of a person: all their identifiers, and every other element from the first record that
    has it.

    NHS records come first, as the NHS traces its demographics; among equals the given order counts.
    """
    ranked = [row.patient for row in sorted(known, key=lambda row: row.sector != Sector.NHS)]
    patient: Resource = {"resourceType": "Patient", "id": person}
    identifiers = _identifiers(ranked)
    if identifiers:
        patient["identifier"] = identifiers
    taken: set[str] = set()
    for record in ranked:
        stated = {_choice(element) for element in record}
        patient |= {element: value for element, value in _shown(record) if _choice(element) not in taken}
        taken |= stated
    return patient


def _shown(record: Resource) -> Iterator[tuple[str, Any]]:
    for element, value in record.items():
        if element == "extension":
            value = [extension for extension in value if extension["url"] != DELETED]
        shown = _anywhere(value)
        if element not in _OWN and shown not in _EMPTY:
            yield element, shown


_EMPTY: tuple[Any, ...] = ([], {}, None)


def _anywhere(value: Any) -> Any:
    """``value`` without references that only resolve inside their original payload; their display text stays."""
    if isinstance(value, list):
        return [shown for item in value if (shown := _anywhere(item)) not in _EMPTY]
    if not isinstance(value, dict):
        return value
    shown = {name: _anywhere(item) for name, item in value.items() if name != "reference" or str(item).startswith("http")}
    return {name: item for name, item in shown.items() if item not in _EMPTY}


def _choice(element: str) -> str:
    return next((choice for choice in _CHOICES if element.startswith(choice)), element)


def _identifiers(patients: Iterable[Resource]) -> list[Resource]:
    """Each identifier once, NHS numbers first."""
    every = {(one.get("system"), one.get("value")): one for patient in patients for one in patient.get("identifier", ())}
    return sorted(every.values(), key=lambda one: one.get("system") != NHS_NUMBER)


def searchset(entries: Iterable[Resource], self_url: str, next_url: str | None, total: int | None = None) -> Resource:
    """A searchset Bundle. ``total`` is given only when it is known without counting."""
    links = [{"relation": "self", "url": self_url}]
    links += [{"relation": "next", "url": next_url}] if next_url else []
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links}
    bundle |= {} if total is None else {"total": total}
    found = list(entries)
    return bundle | ({"entry": found} if found else {})


def entry(full_url: str, resource: Resource, mode: str = "match") -> Resource:
    """One entry of a searchset."""
    return {"fullUrl": full_url, "resource": resource, "search": {"mode": mode}}


def entries_of(answers: Iterable[PageEntry], patient_url: str, types: Collection[str]) -> Iterator[Resource]:
    """The searchset entries of a page: each payload's focus, then whatever came with it.

    The payload's own Patient is left out, as the person's takes its place. ``types`` are the resource types wanted; all when
    empty.
    """
    for answer in answers:
        addresses = dict(_addresses(answer, patient_url))
        for place, part in enumerate(answer.bundle["entry"]):
            resource = part["resource"]
            if resource["resourceType"] == "Patient" or (types and resource["resourceType"] not in types):
                continue
            meta = {"lastUpdated": answer.recorded_at, "source": SOURCE_URN + answer.source} | resource.get("meta", {})
            stated = _readdressed(resource | {"meta": meta}, addresses)
            yield entry(addresses[part["fullUrl"]], stated, "include" if place else "match")


def _addresses(answer: PageEntry, patient_url: str) -> Iterator[tuple[str, str]]:
    """How each resource is referred to inside the payload → its address here.

    A sender may use the same ``fullUrl`` in many payloads with different content, but no two entries of a Bundle may share one
    (invariant bdl-7).
    """
    for place, part in enumerate(answer.bundle["entry"]):
        sent, resource = part["fullUrl"], part["resource"]
        ours = sent if sent.startswith(FACT_URN) else f"{EVENT_URN}{answer.event}:{place}"
        here = patient_url if resource["resourceType"] == "Patient" else ours
        yield sent, here
        if "id" in resource:
            yield f"{resource['resourceType']}/{resource['id']}", here


def _readdressed(value: Any, addresses: Mapping[str, str]) -> Any:
    """``value`` with every reference into the payload replaced by the address here."""
    if isinstance(value, list):
        return [_readdressed(item, addresses) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: addresses.get(item, item) if name == "reference" and isinstance(item, str) else _readdressed(item, addresses)
        for name, item in value.items()
    }
