"""FHIR's two ways to ask for a format. Ours is JSON.

Source: FHIR R4 RESTful API §3.1.0.1.11 (``_format``), RFC 9110 §12.5.1 (Accept).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from gateway.routes.parameters import Parameter
from gateway.routes.values import Kind
from schemas.errors import NotAcceptable

_JSON = frozenset({"json", "application/json", "application/fhir+json", "text/json"})
_RANGES = _JSON | {"*/*", "application/*", "text/*"}

_ANY = Kind(str, {"type": "string", "examples": sorted(_JSON)})
FORMAT = Parameter("_format", _ANY, "The format of the answer, instead of Accept: JSON.")


def agree(request: Request, asked: Mapping[str, Any]) -> None:
    """Nothing when JSON will do. Raises `NotAcceptable`."""
    accepted = asked.get("_format") or request.headers.get("accept", "*/*")
    # An unencoded plus sign has become a space: application/fhir+json is commonly written so.
    ranges = {one.partition(";")[0].strip().replace(" ", "+").lower() for one in accepted.split(",")}
    if not ranges & _RANGES:
        raise NotAcceptable(where="parameter _format" if "_format" in asked else "header Accept")
