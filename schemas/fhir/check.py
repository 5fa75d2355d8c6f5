"""Checks resources against FHIR R4 and reports faults without a word of their content.

Checked: unknown and missing elements, JSON types, cardinality, primitives by their patterns (impossible dates included), codes
of required bindings of ``code`` elements, choices of types, and that nothing is ``null`` or empty. Not checked: invariants,
bindings of CodeableConcept and Coding, targets of references, XHTML, profiles.

Source: FHIR R4 validation, https://hl7.org/fhir/R4/validation.html; JSON, https://hl7.org/fhir/R4/json.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from schemas.fhir.bundle import Resource, write
from schemas.fhir.r4 import RESOURCES

FAULTS_MOST = 100
"""Most faults named: whoever has this many needs no more."""
ALL_NAMED_BYTES = 16 * 1024
"""JSON up to this size is searched for all its faults; in larger JSON only the first is named. Finding a fault takes 50 µs and
making one takes three bytes, so a hostile Bundle could hold a million."""


class FhirFault(NamedTuple):
    """One place where a resource is not FHIR R4."""

    element: str
    """Where, as FHIRPath writes it: ``Bundle.entry[0].resource.birthDate``."""
    reason: str
    """What is wrong there, for example ``is not a valid date``; names types and elements of FHIR, never the content."""


def faults_in(resource: Resource) -> list[FhirFault]:
    """Where ``resource`` departs from FHIR R4: at most `FAULTS_MOST` places, only the first in a large one, none when it is
    valid.

    Values that are not JSON but are written as JSON (a subclass of ``str``, a date) are judged in their written form, which
    takes longer. Anything JSON cannot hold (bytes, half a surrogate pair) is a fault of the whole resource.
    """
    try:
        return _faults(resource)
    except ValueError:
        pass
    try:
        return _faults(orjson.loads(write(resource)))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return [FhirFault(_kind(resource), "holds what JSON cannot")]


def is_valid(resource: Resource) -> bool:
    """Whether ``resource`` is certainly valid. False also when only `faults_in` can tell."""
    try:
        return _validator().is_valid(resource)
    except ValueError:
        return False


def _faults(resource: Any) -> list[FhirFault]:
    """Raises ``ValueError`` for anything that is not a JSON value."""
    validator = _validator()
    if validator.is_valid(resource):
        return []
    if _is_small(resource):
        errors = islice(validator.iter_errors(resource), FAULTS_MOST)
        return list(dict.fromkeys(FhirFault(_element(resource, error), _reason(error)) for error in errors))
    try:
        validator.validate(resource)
    except ValidationError as error:
        return [FhirFault(_element(resource, error), _reason(error))]
    return []


def _is_small(resource: Any) -> bool:
    try:
        return len(write(resource)) <= ALL_NAMED_BYTES
    except orjson.JSONEncodeError:
        return False


@cache
def definitions() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of every FHIR type we use, by name; ``Resource`` stands for any resource."""
    schema: Mapping[str, Any] = orjson.loads(_packaged())
    found: Mapping[str, Any] = schema["$defs"]
    return found


def _packaged() -> str:
    return Path(__file__).with_name("fhir-r4.schema.json").read_text(encoding="utf-8")


@cache
def _validator() -> Draft202012Validator:
    """Compiled on first use (25 ms). ``mask`` keeps content out of messages; the linear engine cannot be stalled by any
    pattern."""
    return Draft202012Validator(_packaged(), mask="[hidden]", pattern_options=RegexOptions(), validate_formats=False)


def _kind(resource: Any) -> str:
    """The resource's type if FHIR has it: a wrong one is content, and could be somebody's name."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) and kind in RESOURCES else "Resource"


def _element(resource: Any, error: ValidationError) -> str:
    """The path of the fault. Every step is a number or a name from the schema, so an unknown element is reported at its
    parent."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path]
    return _kind(resource) + "".join(steps)


def _reason(error: ValidationError) -> str:
    word = _WORDS.get(error.kind.name)
    return word(error) if word else _ruled(error)


def _typed(error: ValidationError) -> str:
    """A primitive is named by its own definition; anything else should have been a list or an object."""
    name = str(error.schema_path[1])
    if name[:1].islower():
        return f"is not a valid {name}"
    return f"is not a JSON {' or '.join(error.kind.as_dict().get('types', ['value']))}"


def _coded(error: ValidationError) -> str:
    of_type = error.instance_path[-1:] == ["resourceType"]
    return "is not a resource type the backbone reads" if of_type else "is not one of its codes"


def _ruled(error: ValidationError) -> str:
    """The other rules carry their own explanation in the schema."""
    rule: Any = {"$defs": definitions()}
    for step in error.schema_path[:-1]:
        rule = rule[step]
    return str(rule["$comment"])


_WORDS: Mapping[str, Callable[[ValidationError], str]] = {
    "additionalProperties": lambda _: "has an element that FHIR R4 does not define",
    "required": lambda error: f"lacks {error.kind.as_dict()['property']}",
    "enum": _coded,
    "type": _typed,
    "pattern": _typed,
    "minimum": _typed,
    "maximum": _typed,
    "minItems": lambda _: "is empty",
    "minProperties": lambda _: "is empty",
}
