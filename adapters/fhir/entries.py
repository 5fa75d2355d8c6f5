"""Holds the entries of a Bundle, and resolves the references between its resources.

Source: FHIR R4 Bundle §2.36.4.1 (resolving references in Bundles), References §2.3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from schemas.errors import InvalidValue, RejectedInput, Unsupported
from schemas.fhir.bundle import Resource
from schemas.fhir.check import FhirFault

_NAMED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})$")
_VERSION = re.compile(r"/_history/[A-Za-z0-9.-]{1,64}$")


class BundleEntry(NamedTuple):
    """One entry of a Bundle, or a resource that came alone."""

    number: int
    """Its index in the Bundle, from 0."""
    url: str
    """``fullUrl``, or ``""``."""
    resource: Resource
    raw: Resource
    """The whole entry as received."""
    fault: FhirFault | None = None
    """Why the resource is not valid FHIR R4. Nothing in such a resource may be relied on."""

    @property
    def type(self) -> str:
        """The resource type, or ``""``."""
        found = self.resource.get("resourceType", "")
        return found if isinstance(found, str) else ""

    @property
    def included(self) -> bool:
        """Whether it is in a search result only because a match refers to it, or as an outcome."""
        search = self.raw.get("search")
        return isinstance(search, dict) and search.get("mode") in ("include", "outcome")

    def sound(self) -> Resource:
        """The resource. Raises `InvalidValue` or `Unsupported` when it is not valid FHIR R4."""
        if self.fault is not None:
            raise wrong(self.fault)
        return self.resource


def wrong(fault: FhirFault) -> RejectedInput:
    """The error with which content with this fault is rejected."""
    if fault.element.endswith(".resourceType"):
        return Unsupported("resources of this type are not supported", where=fault.element)
    return InvalidValue(f"this is not valid FHIR R4: it {fault.reason}", where=fault.element)


class BundleEntries:
    """Finds entries by reference. The ``number`` of each entry is its index in ``all``."""

    def __init__(self, entries: Sequence[BundleEntry]) -> None:
        self.all = tuple(entries)
        self._by_url = {entry.url: entry for entry in self.all if entry.url}
        self._by_name: dict[str, list[BundleEntry]] = {}
        self._by_type: dict[str, list[BundleEntry]] = {}
        for entry in self.all:
            self._by_type.setdefault(entry.type, []).append(entry)
            for name in _names(entry):
                self._by_name.setdefault(name, []).append(entry)

    def find(self, reference: Any) -> BundleEntry | None:
        """The entry that a Reference names, or ``None``. A relative reference that matches two entries is not resolved."""
        text = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(text, str):
            return None
        target = _VERSION.sub("", text)
        named = self._by_name.get(target, ())
        return self._by_url.get(target) or (named[0] if len(named) == 1 else None)

    def only(self, resource_type: str) -> BundleEntry | None:
        """The only entry of that type, or ``None`` if there are several or none."""
        found = self._by_type.get(resource_type, ())
        return found[0] if len(found) == 1 else None

    def around(self, *starts: BundleEntry) -> list[BundleEntry]:
        """``starts`` and everything they refer to, directly or indirectly, in the order of the Bundle."""
        found: dict[int, BundleEntry] = {}
        waiting = list(starts)
        while waiting:
            entry = waiting.pop()
            if entry.number not in found:
                found[entry.number] = entry
                waiting += self._referred[entry.number]
        return [found[number] for number in sorted(found)]

    def referring(self, target: BundleEntry) -> list[BundleEntry]:
        """The entries that refer to ``target`` directly."""
        return self._referring.get(target.number, [])

    @cached_property
    def _referred(self) -> Mapping[int, list[BundleEntry]]:
        """Number of an entry to the entries it refers to. Computed once: each of a thousand entries may be looked up."""
        found = {entry.number: map(self.find, _references(entry.resource)) for entry in self.all}
        return {number: [one for one in targets if one is not None] for number, targets in found.items()}

    @cached_property
    def _referring(self) -> Mapping[int, list[BundleEntry]]:
        found: dict[int, list[BundleEntry]] = {}
        for entry in self.all:
            for target in {one.number for one in self._referred[entry.number]}:
                found.setdefault(target, []).append(entry)
        return found


def _names(entry: BundleEntry) -> set[str]:
    """The relative references to the entry, such as ``Patient/1``: by its id, and by the end of its ``fullUrl``."""
    own = entry.resource.get("id")
    found = _NAMED.search(entry.url)
    return ({f"{entry.type}/{own}"} if isinstance(own, str) else set()) | ({found[1]} if found else set())


def _references(value: Any) -> Iterator[Resource]:
    """Every Reference inside ``value``, which need not be valid FHIR."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "reference" in one:
                yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
