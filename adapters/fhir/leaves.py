"""Lists the elements of a document for the dry run, each with the document without it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

from adapters.translator import Field
from schemas.fhir.bundle import Resource, write

_SKELETON = frozenset({"resourceType", "search"})
"""Elements that are never left out, because the document would be read differently, or not at all, without them."""

Step = str | int


def leaves(document: Resource) -> Iterator[Field]:
    """Every primitive in ``document`` by its FHIRPath, with the document without it and without parents that become empty."""
    root = str(document.get("resourceType", ""))
    for path in list(_paths(document, ())):
        without = copy.deepcopy(document)
        _remove(without, path)
        name = root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        value = _at(document, path)
        yield Field(
            name.lstrip("."), write(without), value if isinstance(value, str) else "", partial(_with_value, document, path)
        )


def _at(value: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _with_value(document: Resource, path: tuple[Step, ...], text: str) -> bytes:
    """The document with ``text`` at ``path``."""
    changed = copy.deepcopy(document)
    _at(changed, path[:-1])[path[-1]] = text
    return write(changed)


def _paths(value: Any, so_far: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _SKELETON:
                yield from _paths(inner, (*so_far, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _paths(inner, (*so_far, place))
    elif value is not None:
        yield so_far


def _remove(value: Any, path: tuple[Step, ...]) -> None:
    step, rest = path[0], path[1:]
    if rest:
        _remove(value[step], rest)
    if not rest or value[step] in ({}, []):
        del value[step]
