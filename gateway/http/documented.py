"""What OpenAPI says of a path's answers: each status, its media type, its shape, and the errors it may come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import shapes
from gateway.http.problems import FHIR_TYPE, PROBLEM_TYPE, answer_of
from schemas.errors import BackboneError, EngineUnavailable, InvalidRequest, Misdirected, NotFound

JSON = "application/json"
_SCHEMAS = "#/components/schemas/"
_SHAPES = (
    shapes.Problem,
    shapes.TimelinePage,
    shapes.TimelineEntry,
    shapes.Missing,
    shapes.Behind,
    shapes.Health,
)
_MODELS = (shapes.ReceiptView, shapes.BatchView)
"""Of answers that are written by hand, so that FastAPI does not know of them."""
_RESOURCE = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}}
"""A FHIR resource: FHIR's own definitions say what stands in it."""


class Says(NamedTuple):
    """One answer of a path."""

    description: str
    schema: Mapping[str, Any]
    media_type: str = JSON

    def documented(self) -> dict[str, Any]:
        return {"description": self.description, "content": {self.media_type: {"schema": dict(self.schema)}}}


def shape(name: type) -> dict[str, Any]:
    """A reference to a shape of `components`."""
    return {"$ref": _SCHEMAS + name.__name__}


def resource(kind: str) -> dict[str, Any]:
    """A FHIR resource of a type."""
    return {"allOf": [{"$ref": _SCHEMAS + "Resource"}, {"properties": {"resourceType": {"const": kind}}}]}


ALWAYS = (InvalidRequest, Misdirected)
"""Any path may refuse these; an unknown path and method are the router's."""
READS = (NotFound, EngineUnavailable)


def answers(good: Mapping[int, Says], *errors: type[BackboneError], fhir: bool = False) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: what a path answers when all is well, and for each of its errors."""
    said = {status: row.documented() for status, row in good.items()}
    return said | refusals(*errors, fhir=fhir) | said


def refusals(*errors: type[BackboneError], fhir: bool = False) -> dict[int | str, dict[str, Any]]:
    """For ``responses``: what a path refuses, by any of these errors and by those of any path."""
    said: dict[int | str, dict[str, Any]] = {
        status: _error(description, fhir) for status, description in _grouped(*ALWAYS, *errors)
    }
    said[500] = _error("Something went wrong that nobody foresaw.", fhir)
    return said


def _grouped(*errors: type[BackboneError]) -> Iterator[tuple[int, str]]:
    """Per status what its errors say, in the order given."""
    by_status: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        title = (error.__doc__ or "").splitlines()[0]
        by_status.setdefault(answer_of(error).status, []).append(f"{title} (`{error.code}`)")
    return ((status, " · ".join(titles)) for status, titles in by_status.items())


def _error(description: str, fhir: bool) -> dict[str, Any]:
    if fhir:
        return Says(description, resource("OperationOutcome"), FHIR_TYPE).documented()
    return Says(description, shape(shapes.Problem), PROBLEM_TYPE).documented()


def components() -> dict[str, Any]:
    """The shapes that are referred to, by name."""
    _, schemas = msgspec.json.schema_components(_SHAPES, ref_template=_SCHEMAS + "{name}")
    _, models = models_json_schema([(model, "serialization") for model in _MODELS], ref_template=_SCHEMAS + "{model}")
    return {**schemas, **models["$defs"], "Resource": _RESOURCE}


def body(description: str, content: Mapping[str, Mapping[str, Any]], required: bool = True) -> dict[str, Any]:
    """For ``openapi_extra``: the request body, by media type."""
    media_types = {media_type: {"schema": dict(schema)} for media_type, schema in content.items()}
    return {"requestBody": {"description": description, "required": required, "content": media_types}}


def in_query(model: type[BaseModel]) -> dict[str, Any]:
    """For ``openapi_extra``: the parameters of a query that the path reads by hand, a field of ``model`` a parameter."""
    return {"parameters": [_parameter(name, schema) for name, schema in model.model_json_schema()["properties"].items()]}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    said = {key: schema[key] for key in schema if key not in ("description", "title")}
    return {"name": name, "in": "query", "description": schema["description"], "schema": said}
