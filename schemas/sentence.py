"""The title of a timeline entry: one plain sentence that somebody's daughter can read.

A template is text with ``{words}``. A part in ``[brackets]`` has alternatives: the first one whose words are all known is
used, or none::

    Discharged[ from {place}, to {destination}| from {place}| to {destination}]

The words are found in the event's focus resource, according to its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from schemas.fhir.bundle import Resource

EXPECTED_DISCHARGE = "urn:care-backbone:extension:expected-discharge"
"""Extension of an Encounter, ``valueDateTime``: when the person is expected to leave."""
READINESS = "urn:care-backbone:extension:discharge-readiness"
"""Extension of an Encounter, ``valueString``: ``medically fit``, ``ready for discharge``."""
MOVEMENT = "urn:care-backbone:extension:movement"
"""Extension of an Encounter, ``valueString``: what happened within the stay (``leave of absence``) or was cancelled."""

_WORD = re.compile(r"\{(\w+)\}")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_WORD_MOST = 120
"""Most characters of one word in a title: a care plan's summary may run to pages, and the resource has it in full."""
_WORD_READ = 8 * _WORD_MOST
"""Most characters of a word that are read, far more than are shown even with much white space; a bound, because results are
cached."""
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


_Text = tuple[str, ...]
"""Text and words alternating, with text first and last: ``("Moved to ", "place", "")``."""


@lru_cache(1024)
def _parsed(template: str) -> tuple[tuple[_Text, ...], ...]:
    """The parts of a template, each as a list of alternatives. Cached: every event of a type has the same template."""
    parts: list[tuple[_Text, ...]] = []
    at = 0
    for match in _BRACKETS.finditer(template):
        parts.append((_split(template[at : match.start()]),))
        parts.append((*map(_split, match[1].split("|")), ("",)))
        at = match.end()
    return (*parts, (_split(template[at:]),))


def _split(text: str) -> _Text:
    return tuple(_WORD.split(text))


def render(template: str, words: Mapping[str, str]) -> str:
    """``template`` with its words filled in, starting with a capital letter. Braces and brackets inside a word stay as they
    are."""
    filled: list[str] = []
    for alternatives in _parsed(template):
        text = (
            alternatives[0] if len(alternatives) == 1 else next(one for one in alternatives if all(map(words.get, one[1::2])))
        )
        filled.extend(words.get(piece, "") if place % 2 else piece for place, piece in enumerate(text))
    sentence = "".join(filled).strip()
    return sentence[:1].upper() + sentence[1:]


def title(template: str, focus: Resource, source_name: str, entries: Iterable[Resource] = ()) -> str:
    """The sentence about ``focus``, as stated by the source called ``source_name``.

    ``entries`` are the payload's. They are read only when a reference has no words of its own, to name what it leads to.
    """
    known, display = _WORDS_OF.get(focus["resourceType"], {}), partial(_display, entries)
    words = [(name, known[name](focus, display)[:_WORD_READ]) for name in _words_in(template) if name in known]
    return _rendered(template, (("source", source_name[:_WORD_READ]), *words))


@lru_cache(1024)
def _words_in(template: str) -> tuple[str, ...]:
    """The words a template asks for."""
    texts = (text for alternatives in _parsed(template) for text in alternatives)
    return tuple(dict.fromkeys(word for text in texts for word in text[1::2]))


@lru_cache(4096)
def _rendered(template: str, words: tuple[tuple[str, str], ...]) -> str:
    """Cached: a hospital has about a hundred wards and a council about a hundred services, so most sentences recur."""
    return render(template, {name: _short(word) for name, word in words})


def _short(word: str) -> str:
    """``word`` on one line, cut at a space when it is long."""
    line = " ".join(word.split())
    if len(line) <= _WORD_MOST:
        return line
    start = line[: _WORD_MOST - 1]
    return (start.rpartition(" ")[0] or start) + "…"


def plain_date(text: str) -> str:
    """``3 February 2026`` for ``2026-02-03`` or an RFC 3339 time; ``February 2026`` for a month."""
    year, month, day = (*text[:10].split("-"), "", "")[:3]
    parts = [str(int(day)) if day else "", _MONTHS[int(month) - 1] if month else "", year]
    return " ".join(part for part in parts if part)


def concept(element: Any) -> str:
    """The words of a CodeableConcept, or of the first in a list that has any: its text, else the display of a coding."""
    if isinstance(element, list):
        return next(filter(None, map(concept, element)), "")
    if not isinstance(element, dict):
        return ""
    displays = (coding.get("display", "") for coding in element.get("coding", ()))
    return str(element.get("text") or next(filter(None, displays), ""))


def _display(entries: Iterable[Resource], reference: Any) -> str:
    """The words of a Reference, or of the first in a list that has any: its display, else the name of what it leads to."""
    if isinstance(reference, list):
        return next(filter(None, (_display(entries, one) for one in reference)), "")
    if not isinstance(reference, dict):
        return ""
    return str(reference.get("display") or _name(reference.get("reference"), entries))


def _name(target: str | None, entries: Iterable[Resource]) -> str:
    """The name of the organisation, place, service or person at ``target`` (a ``fullUrl``, or a type and id)."""
    for entry in entries if target else ():
        resource = entry["resource"]
        if target in (entry.get("fullUrl"), f"{resource['resourceType']}/{resource.get('id')}"):
            name = resource.get("name", "")
            return name if isinstance(name, str) else next(filter(None, map(_full_name, name)), "")
    return ""


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _extension(resource: Resource, url: str) -> str:
    for extension in resource.get("extension", ()):
        if extension["url"] == url:
            return str(extension.get("valueDateTime") or extension.get("valueString") or "")
    return ""


Display = Callable[[Any], str]
"""Finds the words of a Reference."""


Word = Callable[[Resource, Display], str]
"""Finds one word of a template in a focus resource."""


def _of(*elements: str) -> Word:
    """A finder of the words in the first of these elements that has any."""
    return lambda focus, _: next(filter(None, (concept(focus.get(element)) for element in elements)), "")


def _named(*elements: str) -> Word:
    """A finder of the first name that these References lead to."""
    return lambda focus, display: next(filter(None, (display(focus.get(element)) for element in elements)), "")


def _said(url: str) -> Word:
    return lambda focus, _: _extension(focus, url)


def _place(focus: Resource, display: Display) -> str:
    ward = display([location["location"] for location in focus.get("location", ())][:1])
    return _joined((ward, display(focus.get("serviceProvider"))))


def _is_move(focus: Resource) -> bool:
    """Whether a planned Encounter is a move within a stay: it then says where somebody is as well as where they will be."""
    return {"planned", "active"} <= {location.get("status") for location in focus.get("location", ())}


def _begins(focus: Resource, _: Display) -> str:
    """The day a planned stay begins. For a move there is none: the stay's period does not say when it happens."""
    start = focus.get("period", {}).get("start", "")
    return "" if _is_move(focus) or not start else plain_date(start)


def _expected(focus: Resource, _: Display) -> str:
    expected = _extension(focus, EXPECTED_DISCHARGE)
    return plain_date(expected) if expected else ""


def _who(focus: Resource, display: Display) -> str:
    return display([one["individual"] for one in focus.get("participant", ()) if "individual" in one][:1])


def _text(concepts: Any) -> str:
    """The first text among CodeableConcepts. The code of a category is not used: it says which form was filled in, not what
    for."""
    return next((str(one["text"]) for one in concepts or () if "text" in one), "")


def _full_name(name: Resource) -> str:
    """A HumanName as text. The list of given names may hold ``null`` for one that is withheld."""
    return str(name.get("text") or " ".join(filter(None, (*name.get("given", ()), name.get("family", "")))))


_ENCOUNTER: Mapping[str, Word] = {
    "place": _place,
    "here": lambda focus, display: "" if _is_move(focus) else _place(focus, display),
    "next_place": lambda focus, display: _place(focus, display) if _is_move(focus) else "",
    "begins": _begins,
    "provider": _named("serviceProvider"),
    "destination": lambda focus, _: concept(focus.get("hospitalization", {}).get("dischargeDisposition")),
    "kind": _of("type"),
    "reason": _of("reasonCode"),
    "readiness": _said(READINESS),
    "expected": _expected,
    "movement": _said(MOVEMENT),
    "who": _who,
}
_SERVICE: Mapping[str, Word] = {"service": _of("type"), "provider": _named("managingOrganization")}
_REQUEST: Mapping[str, Word] = {
    "service": lambda focus, _: concept(focus.get("code")) or _text(focus.get("category")),
    "performer": _named("performer", "owner"),
    "requester": _named("requester"),
    "reason": _of("reasonCode", "statusReason"),
}
_STATEMENT: Mapping[str, Word] = {
    "what": _of("code", "type", "category", "scope"),
    "summary": lambda focus, _: str(focus.get("title") or focus.get("summary") or ""),
    "reason": _of("reasonCode"),
}
_GOAL: Mapping[str, Word] = {"summary": _of("description"), "outcome": _of("achievementStatus")}
_RELATED: Mapping[str, Word] = {
    "name": lambda focus, _: next(filter(None, map(_full_name, focus.get("name", ()))), ""),
    "relationship": _of("relationship"),
}

_WORDS_OF: Mapping[str, Mapping[str, Word]] = {
    "Encounter": _ENCOUNTER,
    "EpisodeOfCare": _SERVICE,
    "ServiceRequest": _REQUEST,
    "Task": _REQUEST,
    "RelatedPerson": _RELATED,
    "ClinicalImpression": _STATEMENT,
    "Communication": _STATEMENT,
    "Flag": _STATEMENT,
    "CarePlan": _STATEMENT,
    "Goal": _GOAL,
    "DocumentReference": _STATEMENT,
    "Consent": _STATEMENT,
}
"""Type of the focus → word → how to find it. Only the words a template asks for are looked up."""
