"""What a FHIR client may ask of an answer: its format, which is R4 in JSON, and what becomes of parameters nobody knows.

Source: FHIR R4 RESTful API §3.1.0.1.11 (``_format``), §3.1.0.1.12 (``fhirVersion``), Search §3.1.1.3.2 (``Prefer:
handling``); RFC 9110 §12.5.1 (Accept);
RFC 7240 §4.4 (handling).
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from adapters.registry import FHIR_VERSION, of_r4
from gateway.uses.asked import Asked
from gateway.uses.values import ValueKind
from schemas.errors import NotAcceptable

_JSON = frozenset({"json", "application/json", "application/fhir+json", "text/json"})
_ANYTHING = "*/*"
_RANGES = _JSON | {_ANYTHING, "application/*", "text/*"}

_REFUSED = re.compile(r";\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)", re.IGNORECASE)
"""A weight of 0: "not acceptable" (RFC 9110 §12.4.2)."""

_ANY = ValueKind(str, {"type": "string", "examples": sorted(_JSON)})


class FormatAsked(Asked):
    """What any path of the facade takes."""

    format: Annotated[str, _ANY, Field(alias="_format")] = ""
    """The format of the answer, instead of Accept: JSON."""


def agree(request: Request, asked: FormatAsked) -> None:
    """Refuse a client that takes no JSON, or no FHIR R4 in it. Raises `NotAcceptable`."""
    accepted = asked.format or request.headers.get("accept", _ANYTHING)
    if accepted == _ANYTHING:
        return
    where = "parameter _format" if asked.format else "header Accept"
    in_json = [one for one in accepted.split(",") if _range(one) in _RANGES and not _REFUSED.search(one)]
    if not in_json:
        raise NotAcceptable(where=where)
    if not any(of_r4(one) for one in in_json):
        cure = f"Ask for fhirVersion={FHIR_VERSION}, or name no version."
        raise NotAcceptable("the answer cannot be had in this version of FHIR", where=where, cure=cure)


def _range(accepted: str) -> str:
    """A media range without its parameters. An unencoded plus sign has become a space in a query."""
    return accepted.partition(";")[0].strip().replace(" ", "+").lower()


def heeded(request: Request, pairs: Sequence[tuple[str, str]], known: Container[str]) -> Sequence[tuple[str, str]]:
    """The parameters that count: all, unless the client would rather have unknown ones ignored.

    FHIR lets a server choose while nothing is preferred. Ours refuses then, as a misspelt filter must not widen an answer.
    """
    preferences = re.split("[,;]", request.headers.get("prefer", "").lower())
    if not any(one.replace('"', "").split() == ["handling=lenient"] for one in preferences):
        return pairs
    return [(name, value) for name, value in pairs if name in known]
