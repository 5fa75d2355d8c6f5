"""What of a resource was found valid and written before, so that the events that show it again need not do it again.

A Patient stands in every event of a stay in the same words, and so do the ward and the consultant. Checking and writing them is
most of what an event costs.

An element is taken as known only where it is the same object as then: what was changed in between is looked at like anything
new. An element that a rule of its type demands, or ties to another, is looked at every time. All other rules are about one
element alone, so that a resource whose every element was found valid is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import orjson

from schemas.fhir import definitions, is_valid
from schemas.resources.bundle import Resource, write


class Proven:
    """A resource that was found valid. It and its elements are shared, never changed."""

    __slots__ = ("_elements", "_whole", "resource")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self._whole: orjson.Fragment | None = None
        self._elements: dict[str, tuple[Any, orjson.Fragment]] | None = None

    def split(self, resource: Resource) -> tuple[Resource, Mapping[str, Any] | orjson.Fragment]:
        """What of ``resource`` is still to be checked (if anything), and ``resource`` with what is known of it written."""
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
        """Lists and objects with what they are written as: texts and numbers are not worth it."""
        if self._elements is None:
            self._elements = {
                name: (value, orjson.Fragment(write(value)))
                for name, value in self.resource.items()
                if isinstance(value, dict | list) and name not in tied(self.resource["resourceType"])
            }
        return self._elements


def proven(resource: Resource) -> Proven | None:
    """``resource`` as known from now on; ``None`` when it is not valid: who shows it will be told what is wrong."""
    return Proven(resource) if is_valid(resource) else None


@cache
def tied(kind: str) -> frozenset[str]:
    """The elements of a ``kind`` that FHIR demands, or that a rule of its schema ties to others (the options of a choice)."""
    definition = definitions()[kind]
    return frozenset(definition["required"]) | frozenset(_named(definition.get("allOf", ())))


def _named(rule: Any) -> Iterator[str]:
    """Every element that the parts of a rule name."""
    if isinstance(rule, list | tuple):
        for part in rule:
            yield from _named(part)
    elif isinstance(rule, dict):
        yield from rule.get("required", ())
        yield from rule.get("properties", ())
        for part in rule.values():
            yield from _named(part)
