"""What a FHIR client may ask of an answer: its format, of which ours is JSON, and what becomes of parameters nobody knows.

Source: FHIR R4 RESTful API §3.1.0.1.11 (``_format``), Search §3.1.1.3.2 (``Prefer: handling``); RFC 9110 §12.5.1 (Accept);
RFC 7240 §4.4 (handling).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
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


def heeded(request: Request, pairs: Sequence[tuple[str, str]], known: Container[str]) -> Sequence[tuple[str, str]]:
    """The parameters that count: all, unless the client would rather have unknown ones ignored.

    FHIR lets a server choose while nothing is preferred. Ours refuses then, as a misspelt filter must not widen an answer.
    """
    preferences = re.split("[,;]", request.headers.get("prefer", "").lower())
    if not any(one.replace('"', "").split() == ["handling=lenient"] for one in preferences):
        return pairs
    return [(name, value) for name, value in pairs if name in known]
