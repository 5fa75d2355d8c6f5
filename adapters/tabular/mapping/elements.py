"""Checks the elements that a template names against FHIR R4, so that a misspelt one is found when the mapping is read.

Source: FHIR R4 resource definitions, by way of `schemas.fhir.check.definitions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from adapters.tabular.mapping.document import Node, instead
from schemas.fhir.check import definitions

_REFERENCE = "#/$defs/"


def check_elements(node: Node, kind: str, target: str) -> None:
    """Raises `MappingError` when the template at ``node`` of a ``kind`` names an element, or nests lists, as FHIR does not."""
    if kind not in _resources():
        raise node.fault(f"there is no resource {kind}, or no place for it here", instead(kind, _resources()))
    _check(node, {"$ref": _REFERENCE + kind}, target)


@cache
def _resources() -> list[str]:
    """The types of resource that an event may hold."""
    return sorted(name for name, rule in definitions().items() if "resourceType" in rule.get("properties", ()))


def _check(node: Node, rule: Mapping[str, Any], target: str) -> None:
    definition = _resolved(rule)
    if definition.get("type") == "array":
        if not isinstance(node.value, list):
            raise node.fault(f"{target} is a list in FHIR", "Put it in brackets, or write it as a list: - …")
        for item in node.value:
            _check(item, definition["items"], target)
    elif isinstance(node.value, list):
        raise node.fault(f"{target} is no list in FHIR", "Leave the brackets, or the dash, out.")
    elif isinstance(node.value, dict):
        _check_object(node.value, definition, node, target)
    elif "properties" in definition and not isinstance(node.value, str):
        raise node.fault(f"{target} has elements of its own in FHIR", "Write them under it, or an expression that makes them.")


def _check_object(entries: dict[str, Node], definition: Mapping[str, Any], node: Node, target: str) -> None:
    known = definition.get("properties")
    if known is None:
        if "if" in definition:
            return  # any resource: it is checked when it is made
        raise node.fault(f"{target} has no elements in FHIR", "Write one expression after it.")
    for name, entry in entries.items():
        if name not in known:
            shown = [element for element in known if not element.startswith("_")]
            raise entry.fault(f'{target} has no element "{name}" in FHIR R4', instead(name, shown))
        _check(entry, known[name], f"{target}.{name}")


def _resolved(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule, or the definition it refers to."""
    reference = rule.get("$ref", "")
    found: Mapping[str, Any] = definitions()[reference.removeprefix(_REFERENCE)] if reference else rule
    return found
