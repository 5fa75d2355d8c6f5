"""The parameters of an operation as they are posted: a FHIR Parameters resource, read as the same in a query would be.

Source: FHIR R4 Operations §3.2.0.1 (invoked by POST with a Parameters resource; by GET as well where nothing is changed).
"""

from __future__ import annotations

import msgspec

from schemas.errors import InvalidRequest

PARAMETERS_BYTES = 64 * 1024
"""Largest Parameters resource: the longest sensible one names every resource type."""
_WRITE = 'Send {"resourceType": "Parameters", "parameter": [{"name": …, "valueString": …}]}, or nothing.'


class _Parameters(msgspec.Struct, tag_field="resourceType", tag="Parameters"):
    """What is read of the resource."""

    parameter: list[dict[str, str | int | float]] = []
    """Each with its ``name`` and one ``value[x]`` of a plain type."""


_DECODER = msgspec.json.Decoder(_Parameters)


def pairs_in(content: bytes) -> list[tuple[str, str]]:
    """Names and values in order; of no content none. Raises `InvalidRequest`."""
    if not content:
        return []
    try:
        sent = _DECODER.decode(content).parameter
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("the body is no Parameters resource of plain values", where="body", cure=_WRITE) from None
    return [_pair(place, parameter) for place, parameter in enumerate(sent)]


def _pair(place: int, parameter: dict[str, str | int | float]) -> tuple[str, str]:
    values = [str(value) for element, value in parameter.items() if element.startswith("value")]
    if "name" not in parameter or len(values) != 1:
        raise InvalidRequest("it has not one name and one value", where=f"Parameters.parameter[{place}]", cure=_WRITE)
    return str(parameter["name"]), values[0]
