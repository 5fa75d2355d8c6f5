"""``POST /fhir/$process-message``: FHIR message Bundles, answered by an OperationOutcome."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fhir.resources.R4B.operationoutcome import OperationOutcome

from schemas.event import decode
from schemas.fhir.check import faults_in
from schemas.log import EVENTS, QUARANTINE
from tests.gateway.http_rig import DOROTHY, ENDPOINT, NHS_NUMBER, Rig, rigged

PATH = "/fhir/$process-message"
FHIR = {"content-type": "application/fhir+json"}
PATIENT = "urn:uuid:0e3f2504-4f89-41d3-9a0c-0305e82c3301"
REQUEST = "urn:uuid:1e3f2504-4f89-41d3-9a0c-0305e82c3301"
OURS = "urn:care-backbone:source:riverside-bars"


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


def message(endpoint: str = ENDPOINT, service: str = "Falls response", **bundle: Any) -> dict[str, Any]:
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": "servicerequest-request"},
        "reason": {"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/message-reason-bars", "code": "new"}]},
        "source": {"endpoint": endpoint},
        "focus": [{"reference": REQUEST}],
    }
    request = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/UBRN", "value": "000049736070"}],
        "status": "active",
        "intent": "plan",
        "code": {"text": service},
        "subject": {"reference": PATIENT},
        "authoredOn": "2026-02-12T10:00:00+00:00",
    }
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": OURS, "value": "1001"},
            {
                "extension": [
                    {
                        "url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus",
                        "valueCodeableConcept": {"coding": [{"code": "number-present-and-verified"}]},
                    }
                ],
                "system": NHS_NUMBER,
                "value": DOROTHY,
            },
        ],
    }
    entries = [("urn:uuid:2e3f2504-4f89-41d3-9a0c-0305e82c3301", header), (REQUEST, request), (PATIENT, patient)]
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": "2026-02-12T10:00:01Z",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
        **bundle,
    }


def outcome(answer: Any) -> dict[str, Any]:
    """The OperationOutcome of an answer, which is one whatever happened."""
    assert answer.headers["content-type"] == "application/fhir+json"
    told: dict[str, Any] = answer.json()
    assert faults_in(told) == []
    OperationOutcome.model_validate(told)
    return told


@pytest.mark.parametrize(
    ("endpoint", "query"),
    [
        (ENDPOINT, ""),
        (ENDPOINT.replace("https://fhir", "http://fhir"), ""),
        (OURS, ""),
        ("https://unheard.example/", "?source=riverside-bars"),
        ("https://unheard.example/", "?source=riverside-bars&_format=json"),
    ],
)
@pytest.mark.asyncio
async def test_whose_message_it_is_says_its_header_or_the_query(rig: Rig, endpoint: str, query: str) -> None:
    answer = await rig.client.post(PATH + query, json=message(endpoint), headers=FHIR)
    told = outcome(answer)
    assert answer.status_code == 200, told
    assert {issue["severity"] for issue in told["issue"]} == {"information"}
    (made,) = (decode(record.value) for record in rig.log.all(EVENTS))
    assert (made.type, made.source) == ("referral-requested-1", OURS)


@pytest.mark.asyncio
async def test_the_same_message_again_has_the_same_answer(rig: Rig) -> None:
    headers = FHIR | {"x-request-id": "c1ab3fba-6bae-4ba4-b257-5a87c44d4a91"}
    first = await rig.client.post(PATH, json=message(), headers=headers)
    again = await rig.client.post(PATH, json=message(), headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(rig.log.all(EVENTS)) == 1


@pytest.mark.asyncio
async def test_another_message_under_a_used_request_id_is_taken_in_and_flagged(rig: Rig) -> None:
    headers = FHIR | {"x-request-id": "c1ab3fba-6bae-4ba4-b257-5a87c44d4a91"}
    await rig.client.post(PATH, json=message(), headers=headers)
    answer = await rig.client.post(PATH, json=message(service="Reablement"), headers=headers)
    assert answer.status_code == 200
    warnings = [issue["diagnostics"] for issue in outcome(answer)["issue"] if issue["severity"] == "warning"]
    assert warnings == ["flagged: control-id-reused"]


@pytest.mark.asyncio
async def test_without_a_request_id_the_messages_own_is_known_again(rig: Rig) -> None:
    one, other = message(), message(service="Reablement")
    for sent in (one, other):
        sent["entry"][0]["resource"]["id"] = "m1"
    await rig.client.post(PATH, json=one, headers=FHIR)
    answer = await rig.client.post(PATH, json=other, headers=FHIR)
    warnings = [issue["diagnostics"] for issue in outcome(answer)["issue"] if issue["severity"] == "warning"]
    assert warnings == ["flagged: control-id-reused"]


@pytest.mark.asyncio
async def test_a_message_that_names_no_endpoint_is_told_so_and_how_else_to_say_whose_it_is(rig: Rig) -> None:
    [issue] = outcome(await rig.client.post(PATH, json=message(""), headers=FHIR))["issue"]
    assert issue["details"]["text"] == "the message does not say whose it is"
    assert "name the source in the query" in issue["diagnostics"]


@pytest.mark.asyncio
async def test_a_message_with_an_unknown_event_is_told_which_there_are(rig: Rig) -> None:
    sent = message()
    sent["entry"][0]["resource"]["eventCoding"]["code"] = "unheard-of"
    first = outcome(await rig.client.post(PATH, json=sent, headers=FHIR))["issue"][0]
    assert "GET /catalogue" in first["details"]["text"]


@pytest.mark.asyncio
async def test_a_message_that_cannot_be_read_is_kept_and_its_outcome_says_where(rig: Rig) -> None:
    sent = message()
    sent["entry"][1]["resource"]["status"] = "Mrs Canary"
    answer = await rig.client.post(PATH, json=sent, headers=FHIR)
    first = outcome(answer)["issue"][0]
    assert answer.status_code == 422
    assert (first["severity"], first["code"]) == ("error", "processing")
    assert "/quarantine/" in first["diagnostics"]
    assert "Canary" not in answer.text
    assert len(rig.log.all(QUARANTINE)) == 1


@pytest.mark.parametrize(
    ("content", "path", "headers", "status", "code"),
    [
        (message("https://unheard.example/"), PATH, FHIR, 404, "unknown-source"),
        (message(""), PATH, FHIR, 404, "unknown-source"),
        (message(), PATH + "?source=unheard-of", FHIR, 404, "unknown-source"),
        (message(), PATH + "?source=folder-only", FHIR, 403, "door-closed"),
        (message(), PATH + "?sauce=riverside-bars", FHIR, 400, "invalid-request"),
        (message(type="collection"), PATH, FHIR, 400, "invalid-request"),
        (message(entry=[]), PATH, FHIR, 400, "invalid-request"),
        (message(entry=[{"resource": {"resourceType": "Patient"}}]), PATH, FHIR, 400, "invalid-request"),
        ([], PATH, FHIR, 400, "invalid-request"),
        (message(), PATH, {"content-type": "application/fhir+xml"}, 415, "wrong-media-type"),
        (message(), PATH, FHIR | {"accept": "application/fhir+xml"}, 406, "not-acceptable"),
        (message(), PATH + "?_format=xml", FHIR, 406, "not-acceptable"),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_is_an_operation_outcome_with_code_place_and_cure(
    rig: Rig, content: Any, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await rig.client.post(path, content=json.dumps(content), headers=headers)
    (told,) = outcome(answer)["issue"]
    assert answer.status_code == status
    assert told["details"]["coding"][0]["code"] == code
    assert told["diagnostics"]
    assert rig.log.appends == 0


@pytest.mark.parametrize("accept", ["*/*", "application/fhir+json;q=0.9", "text/html, application/*;q=0.1", "APPLICATION/JSON"])
@pytest.mark.asyncio
async def test_whoever_accepts_json_has_it(rig: Rig, accept: str) -> None:
    answer = await rig.client.post(PATH, json=message(), headers=FHIR | {"accept": accept})
    assert answer.status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"entry":' + b"[" * 50_000, b'{"resourceType":"Bundle","type":7}'])
@pytest.mark.asyncio
async def test_rubbish_is_refused_and_never_an_error_of_ours(rig: Rig, content: bytes) -> None:
    answer = await rig.client.post(PATH, content=content, headers=FHIR)
    assert answer.status_code == 400
    outcome(answer)


@pytest.mark.asyncio
async def test_while_the_log_does_not_answer_the_outcome_is_transient(rig: Rig) -> None:
    rig.log.room = 0
    answer = await rig.client.post(PATH, json=message(), headers=FHIR)
    assert (answer.status_code, outcome(answer)["issue"][0]["code"]) == (503, "transient")
    assert answer.headers["retry-after"]
