"""Every error has one answer, outside ``/fhir`` and inside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gateway.http.problems import TABLE, answer_of, on_http_error, refuse
from schemas.errors import (
    BackboneError,
    DoorClosed,
    EngineUnavailable,
    InvalidRequest,
    InvalidValue,
    LogUnavailable,
    Misdirected,
    NotAcceptable,
    NotFound,
    PositionLost,
    SettingsError,
    StoreUnavailable,
    TooLarge,
    TooSlow,
    UnknownSource,
    Unreadable,
    WrongCoding,
    WrongMediaType,
)
from schemas.fhir.check import faults_in
from tests.gateway.http_rig import rigged
from tests.gateway.test_http_words import PATHS

CORRELATION = "00000000-0000-4000-8000-000000000001"


def asked(path: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "headers": [], "state": {"correlation_id": CORRELATION}})


def every(error: type[BackboneError] = BackboneError) -> Iterator[type[BackboneError]]:
    yield error
    for child in error.__subclasses__():
        yield from every(child)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unreadable, 422),
        (InvalidValue, 422),
        (TooLarge, 413),
        (UnknownSource, 404),
        (NotFound, 404),
        (InvalidRequest, 400),
        (DoorClosed, 403),
        (Misdirected, 403),
        (WrongMediaType, 415),
        (WrongCoding, 415),
        (NotAcceptable, 406),
        (TooSlow, 408),
        (EngineUnavailable, 503),
        (LogUnavailable, 503),
        (StoreUnavailable, 503),
        (PositionLost, 503),
        (SettingsError, 500),
    ],
)
def test_an_error_has_the_status_of_its_nearest_row(error: type[BackboneError], status: int) -> None:
    assert answer_of(error).status == status


@pytest.mark.parametrize("error", sorted(every(), key=lambda one: one.__name__), ids=lambda error: error.__name__)
def test_an_error_is_a_problem_outside_fhir_and_an_outcome_inside(error: type[BackboneError]) -> None:
    raised = error("something is amiss", where="field 7")
    outside, inside = refuse(asked("/people"), raised), refuse(asked("/fhir/Patient"), raised)
    told = json.loads(bytes(outside.body))
    assert outside.media_type == "application/problem+json"
    assert told == {
        "type": f"urn:care-backbone:problem:{error.code}",
        "title": (error.__doc__ or "").splitlines()[0],
        "status": outside.status_code,
        "detail": "something is amiss",
        "instance": f"urn:uuid:{CORRELATION}",
        "code": error.code,
        "where": "field 7",
        "cure": error.cure,
    }
    outcome = json.loads(bytes(inside.body))
    assert inside.media_type == "application/fhir+json"
    assert inside.status_code == outside.status_code
    assert faults_in(outcome) == []
    OperationOutcome.model_validate(outcome)
    issue = outcome["issue"][0]
    assert issue["details"]["coding"][0]["code"] == error.code
    assert issue["diagnostics"] == f"field 7: {error.cure}"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [(404, "no-such-path", "nothing at this path"), (405, "no-such-method", "with this method"), (431, "http", "too large")],
)
@pytest.mark.asyncio
async def test_what_the_router_refuses_is_said_in_plain_words(status: int, code: str, says: str) -> None:
    for path in ("/nowhere", "/fhir", "/fhir/Nothing"):
        answer = await on_http_error(asked(path), HTTPException(status))
        told = json.loads(bytes(answer.body))
        assert answer.status_code == status
        issue = told["issue"][0] if path.startswith("/fhir") else None
        assert (issue["details"]["coding"][0]["code"] if issue else told["code"]) == code
        assert says in (issue["details"]["text"] if issue else told["detail"])


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"/people/{'0' * 32}/timeline", "GET, HEAD, OPTIONS"),
        (f"/fhir/Patient/{'0' * 32}/$everything", "GET, HEAD, OPTIONS, POST"),
        ("/events", "OPTIONS, POST"),
        ("/people/search", "OPTIONS, POST"),
        ("/fhir/Patient/_search", "OPTIONS, POST"),
        ("/health/live", "GET, HEAD, OPTIONS"),
    ],
)
@pytest.mark.asyncio
async def test_a_method_that_is_not_there_is_answered_with_all_that_are(tmp_path: Path, path: str, allowed: str) -> None:
    async with rigged(tmp_path) as rig:
        for method in ("DELETE", "PUT", "PATCH", "TRACE", *({"GET", "HEAD", "POST"} - set(allowed.split(", ")))):
            answer = await rig.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method
        answer = await rig.client.request("OPTIONS", path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")


@pytest.mark.parametrize("path", sorted({path for _, path in PATHS}))
@pytest.mark.asyncio
async def test_every_path_says_by_which_methods_it_can_be_asked(tmp_path: Path, path: str) -> None:
    filled = re.sub(r"\{(\w+)\}", lambda found: _IN_PATHS[found[1]], path)
    there = {method.upper() for method, one in PATHS if one == path}
    allowed = ", ".join(sorted(there | {"OPTIONS"} | ({"HEAD"} if "GET" in there else set())))
    async with rigged(tmp_path) as rig:
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - set(allowed.split(", ")):
            answer = await rig.client.request(method, filled)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method
        assert (await rig.client.options(filled)).headers["allow"] == allowed
        if "GET" in there:
            got, head = [await rig.client.request(method, filled) for method in ("GET", "HEAD")]
            assert (head.status_code, head.content) == (got.status_code, b"")


_UUID = "00000000-0000-5000-8000-000000000001"
_IN_PATHS = {"person": "0" * 32, "id": "0" * 32, "source": "lines", "receipt": _UUID, "type": "person-changed-1"}


@pytest.mark.parametrize("error", [LogUnavailable, StoreUnavailable, EngineUnavailable, PositionLost])
def test_who_can_try_again_is_told_when(error: type[BackboneError]) -> None:
    assert int(refuse(asked("/intake/x"), error()).headers["retry-after"]) > 0


@pytest.mark.parametrize("error", [TooLarge, TooSlow, WrongMediaType])
def test_a_connection_whose_body_was_not_read_is_closed(error: type[BackboneError]) -> None:
    assert refuse(asked("/intake/x"), error()).headers["connection"] == "close"


def test_every_row_of_the_table_has_a_status_and_a_fhir_issue_code() -> None:
    for answer in TABLE.values():
        assert 400 <= answer.status < 600
        resource = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": answer.issue}]}
        assert faults_in(resource) == []
