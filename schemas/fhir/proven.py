"""Remembers what of a resource has been validated and serialised, so that later events which show it again need not do so.

Every event of a stay carries the same Patient, ward and consultant in the same words, and checking and writing those is most
of an event's cost.

An element counts as known only while it is the same object as before, so anything changed since is looked at like anything
new. An element that a rule requires, or ties to another element, is looked at every time. All other rules concern one element
alone, so a resource is valid when each of its elements has been found valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import orjson

from schemas.fhir.bundle import Resource, write
from schemas.fhir.check import definitions, is_valid


class Proven:
    """A resource found to be valid. It and its elements are shared and must not be changed."""

    __slots__ = ("_elements", "_whole", "resource")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self._whole: orjson.Fragment | None = None
        self._elements: dict[str, tuple[Any, orjson.Fragment]] | None = None

    def split(self, resource: Resource) -> tuple[Resource, Mapping[str, Any] | orjson.Fragment]:
        """The part of ``resource`` still to be checked (if any), and ``resource`` with its known parts already written."""
        if resource is self.resource:
            return {}, self._written()
        rest: Resource = {}
        shown: Resource = {}
        elements = self._known()
        for name, value in resource.items():
            known = elements.get(name)
            if known is not None and known[0] is value:
                shown[name] = known[1]
            else:
                rest[name] = shown[name] = value
        return rest, shown

    def _written(self) -> orjson.Fragment:
        if self._whole is None:
            self._whole = orjson.Fragment(write(self.resource))
        return self._whole

    def _known(self) -> Mapping[str, tuple[Any, orjson.Fragment]]:
        """Lists and objects with their serialised form; texts and numbers are not worth remembering."""
        if self._elements is None:
            self._elements = {
                name: (value, orjson.Fragment(write(value)))
                for name, value in self.resource.items()
                if isinstance(value, dict | list) and name not in tied(self.resource["resourceType"])
            }
        return self._elements


def proven(resource: Resource) -> Proven | None:
    """``resource``, to be remembered; ``None`` when it is not valid, and then the event that shows it is told what is wrong."""
    return Proven(resource) if is_valid(resource) else None


@cache
def tied(kind: str) -> frozenset[str]:
    """The elements of a ``kind`` that FHIR requires, or that its schema ties to others (the options of a choice)."""
    definition = definitions()[kind]
    return frozenset(definition["required"]) | frozenset(_named(definition.get("allOf", ())))


def _named(rule: Any) -> Iterator[str]:
    """Every element named in any part of a rule."""
    if isinstance(rule, list | tuple):
        for part in rule:
            yield from _named(part)
    elif isinstance(rule, dict):
        yield from rule.get("required", ())
        yield from rule.get("properties", ())
        for part in rule.values():
            yield from _named(part)
