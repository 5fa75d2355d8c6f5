"""People as FHIR R4: one Patient for each person, in searchset Bundles. Pure.

The facade serves what sources stated and adds nothing: a Patient here is the union of what their records say.

Source: FHIR R4 RESTful API §3.1.1.4 (search), Bundle §2.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from consumers.people.query import KnownPatient
from schemas.fhir.bundle import Resource, Written
from schemas.identifiers import NHS_NUMBER
from schemas.resources.person import DELETED
from schemas.source import Sector

_OWN = frozenset({"resourceType", "id", "meta", "identifier", "text", "contained", "link"})
"""Elements of a record's Patient that are not copied: they belong to that resource, or are joined separately."""
_CHOICES = ("deceased", "multipleBirth")
"""Elements with a choice of types; only one record's answer to a choice counts."""


def person_as_patient(person: str, known: Sequence[KnownPatient]) -> Resource:
    """One Patient from all the records of a person: all their identifiers, and every other element from the first record that
    has it.

    NHS records come first, as the NHS traces its demographics; among equals the given order counts.
    """
    ranked = sorted(known, key=lambda row: row.sector != Sector.NHS)
    patient: Resource = {"resourceType": "Patient", "id": person}
    identifiers = _identifiers(row.patient for row in ranked)
    if identifiers:
        patient["identifier"] = identifiers
    taken: set[str] = set()
    for record in ranked:
        stated = {_choice(element) for element in record.patient}
        patient |= {element: value for element, value in _shown(record) if _choice(element) not in taken}
        taken |= stated
    return patient


def _shown(known: KnownPatient) -> Iterator[tuple[str, Any]]:
    for element, value in known.patient.items():
        if element == "extension":
            value = [extension for extension in value if extension["url"] != DELETED]
        shown = _anywhere(value) if known.refers else value
        if element not in _OWN and shown not in _EMPTY:
            yield element, shown


_EMPTY: tuple[Any, ...] = ([], {})


def _anywhere(value: Any) -> Any:
    """``value`` without references that only resolve inside their original payload; their display text stays."""
    if isinstance(value, list):
        return [shown for item in value if (shown := _anywhere(item)) not in _EMPTY]
    if not isinstance(value, dict):
        return value
    shown = {name: _anywhere(item) for name, item in value.items() if name != "reference" or str(item).startswith("http")}
    return {name: item for name, item in shown.items() if item not in _EMPTY}


def _choice(element: str) -> str:
    return next(choice for choice in _CHOICES if element.startswith(choice)) if element.startswith(_CHOICES) else element


def _identifiers(patients: Iterable[Resource]) -> list[Resource]:
    """Each identifier once, NHS numbers first."""
    every = {(one.get("system"), one.get("value")): one for patient in patients for one in patient.get("identifier", ())}
    return sorted(every.values(), key=lambda one: one.get("system") != NHS_NUMBER)


def searchset(entries: Iterable[Written], self_url: str, next_url: str | None, total: int | None = None) -> Resource:
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
