"""One table: which error is answered with which status, inside ``/fhir`` and outside.

Outside ``/fhir`` an error is a problem detail, inside it an OperationOutcome. Both carry the error's stable code, the place
and the cure; neither repeats what was sent, which may be about a person (promise P12).

Source: RFC 9457 (problem details); RFC 9110 §15 (status codes); FHIR R4 OperationOutcome, IssueType.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import (
    BackboneError,
    DoorClosed,
    EngineUnavailable,
    InvalidRequest,
    Misdirected,
    NotAcceptable,
    NotFound,
    PositionLost,
    RejectedInput,
    SettingsError,
    TooLarge,
    TooSlow,
    UnknownSource,
    Unsupported,
    WrongCoding,
    WrongMediaType,
)

PROBLEM_TYPE = "application/problem+json"
FHIR_TYPE = "application/fhir+json"
PROBLEM_URN = "urn:care-backbone:problem:"
"""Prefix; the error's code follows. The problem's ``type``, and the system of the code in an OperationOutcome."""
RETRY_AFTER_S = 5
"""Seconds a sender is asked to wait: a broker's leader election or a server's restart is over by then."""

_RETRY = {"retry-after": str(RETRY_AFTER_S)}
_CLOSE = {"connection": "close"}
"""The rest of the body is not read, so the connection cannot carry another request."""


class ProblemAnswer(NamedTuple):
    """How one class of errors is answered."""

    status: int
    issue: str
    """FHIR IssueType."""
    headers: Mapping[str, str] = MappingProxyType({})


TABLE: Mapping[type[BackboneError], ProblemAnswer] = MappingProxyType(
    {
        BackboneError: ProblemAnswer(500, "exception"),
        RejectedInput: ProblemAnswer(422, "processing"),
        Unsupported: ProblemAnswer(415, "not-supported"),
        TooLarge: ProblemAnswer(413, "too-long", _CLOSE),
        UnknownSource: ProblemAnswer(404, "not-found"),
        SettingsError: ProblemAnswer(500, "exception"),
        EngineUnavailable: ProblemAnswer(503, "transient", _RETRY),
        PositionLost: ProblemAnswer(503, "transient", _RETRY),
        NotFound: ProblemAnswer(404, "not-found"),
        InvalidRequest: ProblemAnswer(400, "invalid"),
        DoorClosed: ProblemAnswer(403, "forbidden"),
        WrongMediaType: ProblemAnswer(415, "not-supported", _CLOSE),
        WrongCoding: ProblemAnswer(415, "not-supported", {**_CLOSE, "accept-encoding": "gzip, identity"}),
        NotAcceptable: ProblemAnswer(406, "not-supported"),
        TooSlow: ProblemAnswer(408, "timeout", _CLOSE),
        Misdirected: ProblemAnswer(403, "security"),
    }
)
"""An error is answered by the row of its nearest ancestor."""


class HttpError(BackboneError):
    """This request cannot be answered."""

    code = "http"
    cure = "See /openapi.json for the paths and methods there are."


class NoSuchPathError(HttpError):
    """There is nothing at this path."""

    code = "no-such-path"


class NoSuchMethodError(HttpError):
    """This path cannot be asked with this method."""

    code = "no-such-method"


class UnexpectedError(BackboneError):
    """Something went wrong that nobody foresaw."""

    code = "unexpected"
    cure = "Try again; if it stays, give the operator the instance named here: the server's log has the place under it."


def answer_of(error: type[BackboneError]) -> ProblemAnswer:
    """The row of `TABLE` for a class of errors."""
    return next(TABLE[ancestor] for ancestor in error.__mro__ if ancestor in TABLE)


def refuse(request: Request, error: BackboneError, answer: ProblemAnswer | None = None) -> Response:
    """The response that reports ``error`` in the way of the requested path."""
    answer = answer or answer_of(type(error))
    instance = getattr(request.state, "correlation_id", "")
    inside = f"{request.scope['path']}/".startswith("/fhir/")
    body = outcome([issue(error, answer.issue)]) if inside else problem(error, answer.status, instance)
    media_type = FHIR_TYPE if inside else PROBLEM_TYPE
    return Response(orjson.dumps(body), answer.status, dict(answer.headers), media_type)


def problem(error: BackboneError, status: int, instance: str) -> dict[str, Any]:
    """A problem detail (RFC 9457 §3), with the extensions ``code``, ``where`` and ``cure``."""
    return {
        "type": PROBLEM_URN + error.code,
        "title": (type(error).__doc__ or "").splitlines()[0],
        "status": status,
        "detail": error.message,
        "instance": f"urn:uuid:{instance}" if instance else None,
        "code": error.code,
        "where": error.where or None,
        "cure": error.cure,
    }


def issue(error: BackboneError, code: str, severity: str = "error") -> dict[str, Any]:
    """One issue of an OperationOutcome."""
    place = f"{error.where}: " if error.where else ""
    return {
        "severity": severity,
        "code": code,
        "details": {"coding": [{"system": PROBLEM_URN.removesuffix(":"), "code": error.code}], "text": error.message},
        "diagnostics": f"{place}{error.cure}",
    }


def outcome(issues: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome: at least one issue."""
    return {"resourceType": "OperationOutcome", "issue": issues}


async def on_backbone_error(request: Request, error: Exception) -> Response:
    """Handle whatever we raise on purpose."""
    if not isinstance(error, BackboneError):
        raise error
    return refuse(request, error)


_ROUTED: Mapping[int, tuple[type[HttpError], str, str]] = MappingProxyType(
    {
        404: (NoSuchPathError, "not-found", "path"),
        405: (NoSuchMethodError, "not-supported", "method"),
        413: (HttpError, "too-long", "body"),
    }
)
"""What the router refuses before our code runs, with its FHIR IssueType and place."""


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handle whatever the router refuses."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    kind, issue_type, where = _ROUTED.get(status, (HttpError, "invalid", "request"))
    said = "" if kind is not HttpError else status.description or status.phrase
    return refuse(request, kind(said, where=where), ProblemAnswer(status, issue_type, error.headers or {}))
