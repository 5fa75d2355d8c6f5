"""The title of a timeline entry: one plain sentence that a daughter could read.

A template is text with ``{words}``; a part in ``[brackets]`` is left out when one of its words is missing::

    Discharged[ from {place}][, to {destination}]

The words come from the event's focus resource, by its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schemas.resources.bundle import Resource

EXPECTED_DISCHARGE = "urn:care-backbone:extension:expected-discharge"
"""Extension of an Encounter, ``valueDateTime``: when the person is expected to leave."""
READINESS = "urn:care-backbone:extension:discharge-readiness"
"""Extension of an Encounter, ``valueString``: ``medically fit``, ``ready for discharge``."""
MOVEMENT = "urn:care-backbone:extension:movement"
"""Extension of an Encounter, ``valueString``: what happened within the stay (``leave of absence``), or what was cancelled."""

_WORD = re.compile(r"\{(\w+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_MONTHS = "January February March April May June July August September October November December".split()


def render(template: str, words: Mapping[str, str]) -> str:
    """``template`` with its words filled in; starts with a capital letter."""

    def optional(match: re.Match[str]) -> str:
        part = match[1]
        return fill(part) if all(words.get(word) for word in _WORD.findall(part)) else ""

    def fill(part: str) -> str:
        return _WORD.sub(lambda match: words.get(match[1], ""), part)

    sentence = fill(_OPTIONAL.sub(optional, template)).strip()
    return sentence[:1].upper() + sentence[1:]


def title(template: str, focus: Resource, source_name: str) -> str:
    """The sentence about ``focus`` as the source called ``source_name`` stated it."""
    find = _WORDS_OF.get(focus["resourceType"])
    words = {"source": source_name} | (find(focus) if find else {})
    return render(template, {name: word for name, word in words.items() if word})


def plain_date(text: str) -> str:
    """``2026-02-03`` or an RFC 3339 time as ``3 February 2026``; a month as ``February 2026``."""
    year, month, day = (*text[:10].split("-"), "", "")[:3]
    parts = [str(int(day)) if day else "", _MONTHS[int(month) - 1] if month else "", year]
    return " ".join(part for part in parts if part)


def concept(element: Any) -> str:
    """The words of a CodeableConcept, or of the first of a list of them: its text, else a coding's display."""
    if isinstance(element, list):
        return concept(element[0]) if element else ""
    if not isinstance(element, dict):
        return ""
    displays = (coding.get("display", "") for coding in element.get("coding", ()))
    return str(element.get("text") or next((display for display in displays if display), ""))


def _display(reference: Any) -> str:
    if isinstance(reference, list):
        return _display(reference[0]) if reference else ""
    return str(reference.get("display", "")) if isinstance(reference, dict) else ""


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _extension(resource: Resource, url: str) -> str:
    for extension in resource.get("extension", ()):
        if extension["url"] == url:
            return str(extension.get("valueDateTime") or extension.get("valueString") or "")
    return ""


def _encounter(focus: Resource) -> dict[str, str]:
    provider = _display(focus.get("serviceProvider"))
    ward = _display([location["location"] for location in focus.get("location", ())][:1])
    expected = _extension(focus, EXPECTED_DISCHARGE)
    return {
        "place": _joined((ward, provider)),
        "provider": provider,
        "destination": concept(focus.get("hospitalization", {}).get("dischargeDisposition")),
        "kind": concept(focus.get("type")),
        "reason": concept(focus.get("reasonCode")),
        "readiness": _extension(focus, READINESS),
        "expected": plain_date(expected) if expected else "",
        "movement": _extension(focus, MOVEMENT),
        "who": _display([one["individual"] for one in focus.get("participant", ()) if "individual" in one][:1]),
    }


def _service(focus: Resource) -> dict[str, str]:
    return {"service": concept(focus.get("type")), "provider": _display(focus.get("managingOrganization"))}


def _request(focus: Resource) -> dict[str, str]:
    return {
        "service": concept(focus.get("code")) or concept(focus.get("category")),
        "performer": _display(focus.get("performer")) or _display(focus.get("owner")),
        "requester": _display(focus.get("requester")),
        "reason": concept(focus.get("reasonCode")) or concept(focus.get("statusReason")),
    }


def _statement(focus: Resource) -> dict[str, str]:
    return {
        "what": next(filter(None, (concept(focus.get(element)) for element in ("code", "type", "category", "scope"))), ""),
        "summary": str(focus.get("title") or focus.get("summary") or ""),
        "reason": concept(focus.get("reasonCode")),
    }


def _goal(focus: Resource) -> dict[str, str]:
    return {"summary": concept(focus.get("description")), "outcome": concept(focus.get("achievementStatus"))}


def _related(focus: Resource) -> dict[str, str]:
    names = focus.get("name", [{}])
    name = names[0].get("text") or _joined([" ".join([*names[0].get("given", ()), names[0].get("family", "")]).strip()])
    return {"name": name, "relationship": concept(focus.get("relationship"))}


_WORDS_OF: Mapping[str, Callable[[Resource], dict[str, str]]] = {
    "Encounter": _encounter,
    "EpisodeOfCare": _service,
    "ServiceRequest": _request,
    "Task": _request,
    "RelatedPerson": _related,
    "ClinicalImpression": _statement,
    "Communication": _statement,
    "Flag": _statement,
    "CarePlan": _statement,
    "Goal": _goal,
    "DocumentReference": _statement,
    "Consent": _statement,
}
