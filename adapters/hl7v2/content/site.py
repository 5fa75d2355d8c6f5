"""What all messages of one source share, made once: its provider, its names of places, and its caches."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from adapters.hl7v2.content.datatypes import components
from adapters.hl7v2.text.memory import Memory
from adapters.hl7v2.text.syntax import Syntax
from schemas.fhir.bundle import Resource
from schemas.pseudonyms import Pseudonyms
from schemas.resources.encounter import location, service_provider
from schemas.source import Source

_REMEMBERED = 4096
"""Locations that are cached: the beds of the largest hospitals."""
_FACILITY, _DESCRIPTION = 3, 8
"""Components of PL, counted from 0."""


class Site:
    """One source. The resources it returns are shared and must not be changed."""

    __slots__ = ("_locations", "people", "provider", "pseudonyms", "source", "stays", "visits")

    def __init__(self, source: Source, pseudonyms: Pseudonyms) -> None:
        self.source = source
        self.pseudonyms = pseudonyms
        self.people: Memory[Any] = Memory()
        """Cache of `adapters.hl7v2.content.person`."""
        self.stays: Memory[Any] = Memory()
        """Cache of `adapters.hl7v2.content.visit`."""
        self.provider: Resource = service_provider(source)
        self.visits = f"{source.urn}:visit"
        """System of its visit numbers."""
        self._locations = lru_cache(maxsize=_REMEMBERED)(self._placed)

    def locations(self, syntax: Syntax, sent: str) -> list[Resource]:
        """The locations of a stay (PL): the ward first, then room and bed as one location, as far as they are stated."""
        return self._locations(syntax, sent)

    def _placed(self, syntax: Syntax, sent: str) -> list[Resource]:
        """The ward is the first component, or the second if the first only repeats the code of the trust or the site."""
        parts = components(syntax, sent.partition(syntax.repetition)[0])
        names = self.source.places
        above = (self.source.organisation, parts[_FACILITY])
        second = parts[0] not in names and parts[1] and (not parts[0] or parts[0] in above or parts[1] in names)
        ward, *within = parts[1:3] if second else parts[0:3]
        name = names.get(ward) or parts[_DESCRIPTION] or ward
        if not name:
            return []
        system, code = (f"{self.source.urn}:place", ward) if ward != name else ("", "")
        room = ", ".join(names.get(place, place) for place in within if place)
        return [location(name, "wa", system, code), *([location(room, "bd")] if room else [])]
