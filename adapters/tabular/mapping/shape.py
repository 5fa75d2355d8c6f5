"""Templates: a FHIR resource in YAML, with expressions at its leaves, compiled to a function from a row to the resource.

An element whose expression gives nothing is left out. So is an object in which every expression gives nothing, even if it also
has constants: an address's ``use`` says nothing without the postcode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from adapters.tabular.mapping.document import Node
from adapters.tabular.mapping.leaf import Leaf, Scope

Build = Callable[[Scope], Any]
MakeLeaf = Callable[[Node, str], Leaf]
"""Makes the leaf of an expression that stands in the file at a node, for the element named."""

_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What FHIR forbids as a value: an element without content is an element that is not there."""


class Template(NamedTuple):
    """A template, or a part of one."""

    build: Build
    """``None`` for nothing."""
    constant: bool


def shape(node: Node, target: str, leaf: MakeLeaf) -> Template:
    """The template at ``node``, which makes the element ``target``. Raises `MappingError`."""
    if isinstance(node.value, dict):
        return _object(node.value, target, leaf)
    if isinstance(node.value, list):
        return _list([shape(item, f"{target}[{place}]", leaf) for place, item in enumerate(node.value)])
    if node.value is None:
        raise node.fault(f"{target} has no value", "Write an expression, or leave the element out.")
    if not isinstance(node.value, str) or target.endswith("resourceType"):
        return _constant(node.value)
    made = leaf(node, target)
    return _constant(made.run({})) if made.constant else Template(made.run, constant=False)


def _constant(value: Any) -> Template:
    return Template(lambda scope: value, constant=True)


def _object(entries: dict[str, Node], target: str, leaf: MakeLeaf, *, always: bool = False) -> Template:
    shapes = {key: shape(entry, f"{target}.{key}", leaf) for key, entry in entries.items()}
    fixed = {key: made.build({}) for key, made in shapes.items() if made.constant}
    moving = tuple((key, made.build) for key, made in shapes.items() if not made.constant)
    if not moving:
        return _constant(fixed)

    def build(scope: Scope) -> dict[str, Any] | None:
        found = fixed.copy()
        held = always
        for key, run in moving:
            value = run(scope)
            if value or value not in _NOTHING:
                found[key] = value
                held = True
        return found if held else None

    return Template(build, constant=False)


def _list(items: list[Template]) -> Template:
    builds = tuple(item.build for item in items)
    if all(item.constant for item in items):
        return _constant([build({}) for build in builds])
    if len(builds) == 1:
        return Template(_only(builds[0]), constant=False)

    def build(scope: Scope) -> list[Any] | None:
        found = [value for run in builds if (value := run(scope)) not in _NOTHING]
        return found or None

    return Template(build, constant=False)


def _only(build: Build) -> Build:
    """A list of one, the commonest by far."""

    def only(scope: Scope) -> list[Any] | None:
        value = build(scope)
        return [value] if value or value not in _NOTHING else None

    return only


def resource(entries: dict[str, Node], kind: str, target: str, leaf: MakeLeaf) -> Callable[[Scope], dict[str, Any]]:
    """The build of a whole resource of type ``kind``: a new one each time, there even when every expression came to nothing."""
    made = _object(entries, target, leaf, always=True)
    base = {"resourceType": kind}
    return lambda scope: {**base, **made.build(scope)}
