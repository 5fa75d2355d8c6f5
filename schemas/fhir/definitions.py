"""Generates the JSON Schema of the FHIR R4 resources we use from the field metadata of fhir.resources.

Checking a payload against a compiled schema takes a fortieth of the time it takes to build model objects, and the workers need
not import the models. Run ``python -m schemas.fhir.definitions`` to write `fhir-r4.schema.json` anew after an update of
fhir.resources; a test keeps the two in step.

fhir.resources has no R4, only R4B: `schemas.fhir.r4` holds all that differs for the resources used here.

Source: FHIR R4 (4.0.1), https://hl7.org/fhir/R4/json.html.
"""

from __future__ import annotations

import json
import sys
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schemas.fhir.r4 import ALSO_R4, CODES, NO_SIBLING, NOT_R4, PRIMITIVES, RESOURCES, Schema

PACKAGED = Path(__file__).with_name("fhir-r4.schema.json")
"""Where the distribution keeps the generated schema."""


class _Element(NamedTuple):
    """One element of a FHIR type."""

    name: str
    type: str
    """Name of a FHIR type; primitives are in lower case."""
    repeats: bool
    required: bool
    choice: str
    """Name of the choice this is an option of: ``value`` for ``valueString``."""
    choice_required: bool
    codes: list[str] | None

    @property
    def primitive(self) -> bool:
        return self.type in PRIMITIVES


_PYTHON_PRIMITIVES = {bool: "boolean", uuid.UUID: "uuid"}


def _leaf(annotation: Any) -> tuple[Any, bool]:
    """The innermost type of ``annotation``, and whether it is in a list."""
    if typing.get_origin(annotation) is typing.Annotated:
        return annotation, False
    inner = [part for part in typing.get_args(annotation) if part is not type(None)]
    if not inner:
        return annotation, False
    leaf, repeats = _leaf(inner[0])
    return leaf, repeats or typing.get_origin(annotation) is list


def _type_name(leaf: Any) -> str:
    if hasattr(leaf, "get_model_klass"):
        return str(leaf.get_model_klass().get_resource_type())
    if typing.get_origin(leaf) is not typing.Annotated:
        return _PYTHON_PRIMITIVES[leaf]
    python, *metadata = typing.get_args(leaf)
    names = [mark.__visit_name__ for mark in metadata if hasattr(mark, "__visit_name__")]
    return str(names[0]) if names else _PYTHON_PRIMITIVES[python]


def _elements(model: Any) -> Iterator[_Element]:
    """The elements of one fhir.resources model as they are in R4, without the siblings of primitives."""
    owner = model.get_resource_type()
    for field in model.model_fields.values():
        extra = field.json_schema_extra or {}
        if (owner, field.alias) in NOT_R4 or field.alias == "fhir_comments" or field.alias.startswith("_"):
            continue
        leaf, repeats = _leaf(field.annotation)
        yield _Element(
            name=field.alias,
            type=_type_name(leaf),
            repeats=repeats,
            required=field.is_required() or extra.get("element_required", False),
            choice=extra.get("one_of_many", ""),
            choice_required=extra.get("one_of_many_required", False),
            codes=CODES.get((owner, field.alias), extra.get("enum_values")),
        )
    for (also, name), type_name in ALSO_R4.items():
        if also == owner:
            yield _Element(name, type_name, False, False, "value", False, None)


def _reference(type_name: str) -> Schema:
    return {"$ref": f"#/$defs/{type_name}"}


def _value(element: _Element) -> Schema:
    """The schema of one value of ``element``."""
    return {"enum": element.codes} if element.codes else _reference(element.type)


def _properties(element: _Element, sibling: bool) -> Schema:
    """The JSON properties of ``element``: its own, and for a primitive also ``_name`` with its id and extensions.

    Source: FHIR R4 JSON §2.6.2.3 (JSON representation of primitive elements).
    """
    value, extra = _value(element), _reference("Element")
    if element.repeats:
        value = {"type": "array", "minItems": 1, "items": _or_null(value) if sibling else value}
        extra = {"type": "array", "minItems": 1, "items": _or_null(extra)}
    return {element.name: value, f"_{element.name}": extra} if sibling else {element.name: value}


def _or_null(schema: Schema) -> Schema:
    """In the list of a repeating primitive, ``null`` keeps the place of what stands only in the ``_`` sibling's list."""
    return {"if": {"not": {"type": "null"}}, "then": schema}


def _nulls_need_sibling(name: str) -> Schema:
    """Without a sibling, a ``null`` in a primitive's list would stand for nothing."""
    return {
        "$comment": f"has null in {name} without _{name}",
        "anyOf": [{"required": [f"_{name}"]}, {"properties": {name: {"items": {"not": {"type": "null"}}}}}],
    }


def _any_present(names: list[str]) -> list[Schema]:
    return [{"required": [name]} for name in names]


def _names(element: _Element, sibling: bool) -> list[str]:
    return [element.name, f"_{element.name}"] if sibling else [element.name]


def _present(element: _Element) -> Schema:
    """A required primitive may consist of extensions alone, which say why the value is absent."""
    reasons = {"required": [f"_{element.name}"], "properties": {f"_{element.name}": {"required": ["extension"]}}}
    return {"$comment": f"lacks {element.name}", "anyOf": [{"required": [element.name]}, reasons]}


def _at_most_one(choice: str, options: list[list[str]], others_required: int) -> Schema:
    """The rule that at most one option of ``choice`` is given; ``options`` are the property names of each.

    An object with at most one property beyond its other required ones cannot hold two options, which spares almost every
    Extension the walk through its fifty.
    """
    single = [{"required": names} if len(names) == 1 else {"anyOf": _any_present(names)} for names in options]
    none = {"not": {"anyOf": [rule for names in options for rule in _any_present(names)]}}
    return {
        "$comment": f"has more than one of {choice}[x]",
        "anyOf": [{"maxProperties": others_required + 1}, none, {"oneOf": single}],
    }


def _choices(elements: list[_Element], siblings: set[str], others_required: int) -> Iterator[Schema]:
    """The rules of every choice of types (``value[x]``) among ``elements``."""
    for choice in dict.fromkeys(element.choice for element in elements if element.choice):
        options = [element for element in elements if element.choice == choice]
        names = [_names(option, option.name in siblings) for option in options]
        yield _at_most_one(choice, names, others_required)
        if options[0].choice_required:
            yield {"$comment": f"lacks {choice}[x]", "anyOf": _any_present([name for option in names for name in option])}


def _definition(model: Any) -> Schema:
    """The schema of one FHIR type, which allows nothing unknown and nothing empty."""
    owner = model.get_resource_type()
    elements = list(_elements(model))
    siblings = {one.name for one in elements if one.primitive and not _bare(owner, one)}
    properties: Schema = {"resourceType": {"const": owner}} if model.has_resource_base() else {}
    for element in elements:
        properties |= _properties(element, element.name in siblings)
    needed = [one for one in elements if one.required]
    required = ["resourceType"] if model.has_resource_base() else []
    required += [one.name for one in needed if one.name not in siblings]
    rules = [_present(one) for one in needed if one.name in siblings]
    rules += [_nulls_need_sibling(one.name) for one in elements if one.repeats and one.name in siblings]
    rules += _choices(elements, siblings, len(needed))
    schema: Schema = {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": properties}
    return schema | ({"required": required} if required else {}) | ({"allOf": rules} if rules else {})


def _bare(owner: str, element: _Element) -> bool:
    """Whether a primitive has no ``_`` sibling: ids, XML attributes and XML content cannot be extended."""
    return element.name == "id" or (owner, element.name) in NO_SIBLING


def _by_resource_type(names: tuple[str, ...]) -> Schema:
    """Finds the definition by ``resourceType`` by halving: six comparisons instead of thirty-four."""
    if len(names) == 1:
        this = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"const": names[0]}}}
        return {"if": this, "then": _reference(names[0]), "else": {"properties": {"resourceType": _reference("resourceType")}}}
    left, right = names[: len(names) // 2], names[len(names) // 2 :]
    return {
        "if": {"properties": {"resourceType": {"enum": list(left)}}},
        "then": _by_resource_type(left),
        "else": _by_resource_type(right),
    }


def _reached() -> dict[str, Schema]:
    """The definitions of the resources and of every type they lead to."""
    from fhir.resources.R4B import get_fhir_model_class

    found: dict[str, Schema] = {}
    waiting = list(RESOURCES)
    while waiting:
        name = waiting.pop()
        if name in found or name in PRIMITIVES or name in ("Resource", "Element"):
            continue
        model = get_fhir_model_class(name)
        found[name] = _definition(model)
        waiting += [element.type for element in _elements(model)]
    return found


def schema() -> Schema:
    """The whole schema: a resource of one of `RESOURCES`."""
    from fhir.resources.R4B import get_fhir_model_class

    resource = {"type": "object", "required": ["resourceType"], **_by_resource_type(RESOURCES)}
    sibling = _definition(get_fhir_model_class("FHIRPrimitiveExtension"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:care-backbone:schema:fhir-r4",
        "title": "FHIR R4 resources that the backbone reads and writes",
        "$ref": "#/$defs/Resource",
        "$defs": {
            "Resource": resource,
            "resourceType": {"enum": list(RESOURCES)},
            "Element": sibling,
            **PRIMITIVES,
            **dict(sorted(_reached().items())),
        },
    }


def text() -> str:
    """The schema as text, as the distribution has it."""
    return json.dumps(schema(), separators=(",", ":"), ensure_ascii=True) + "\n"


if __name__ == "__main__":
    PACKAGED.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{PACKAGED.name}: {PACKAGED.stat().st_size} bytes\n")
