"""The words for machines, what operators ask, and what is answered to nonsense."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from jsonschema_rs import validator_for
from prometheus_client.parser import text_string_to_metric_families

from schemas.catalogue import CATALOGUE
from schemas.event import decode, encode
from schemas.log import EVENTS
from tests.gateway.http_rig import Rig, rigged

PATHS = {
    ("post", "/intake/{source}"),
    ("get", "/intake/receipts/{receipt}"),
    ("post", "/fhir/$process-message"),
    ("post", "/events"),
    ("post", "/people/search"),
    ("get", "/people/{person}"),
    ("get", "/people/{person}/timeline"),
    ("get", "/people/{person}/timeline/live"),
    ("get", "/fhir/Patient"),
    ("post", "/fhir/Patient/_search"),
    ("get", "/fhir/Patient/{id}"),
    ("get", "/fhir/Patient/{id}/$everything"),
    ("post", "/fhir/Patient/{id}/$everything"),
    ("get", "/fhir/metadata"),
    ("get", "/quarantine"),
    ("get", "/quarantine/{id}"),
    ("post", "/quarantine/{id}/redrive"),
    ("get", "/catalogue"),
    ("get", "/schemas/{type}.json"),
    ("get", "/asyncapi.json"),
    ("get", "/openapi.json"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/metrics"),
}


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


@pytest.mark.asyncio
async def test_the_catalogue_has_every_type_with_its_schema(rig: Rig) -> None:
    listed = (await rig.client.get("/catalogue")).json()["types"]
    assert [row["type"] for row in listed] == list(CATALOGUE)
    for row in listed:
        answer = await rig.client.get(row["schema"])
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["$id"] == row["dataschema"]


@pytest.mark.asyncio
async def test_an_event_in_the_log_is_what_its_schema_says(rig: Rig) -> None:
    await rig.samples()
    for record in rig.log.all(EVENTS):
        event = decode(record.value)
        schema = (await rig.client.get(f"/schemas/{event.type}.json")).json()
        validator_for(schema).validate(json.loads(encode(event)))


@pytest.mark.parametrize("name", ["no-such-type-1", "x", "..%2F..%2Fetc", "encounter-discharged-2"])
@pytest.mark.asyncio
async def test_a_type_the_catalogue_does_not_have_is_not_found(rig: Rig, name: str) -> None:
    answer = await rig.client.get(f"/schemas/{name}.json")
    assert answer.status_code == 404
    assert "%2F" in name or "GET /catalogue" in answer.json()["cure"]


@pytest.mark.parametrize("path", ["/catalogue", "/schemas/plan-agreed-1.json", "/asyncapi.json", "/openapi.json"])
@pytest.mark.asyncio
async def test_the_words_may_be_cached_and_are_the_same_each_time(rig: Rig, path: str) -> None:
    first, again = await rig.client.get(path), await rig.client.get(path)
    assert first.content == again.content
    assert first.headers["cache-control"] == "public, max-age=300"


@pytest.mark.asyncio
async def test_a_process_is_alive_whatever_its_engines_do(rig: Rig) -> None:
    rig.log.room = 0
    await rig.database.close()
    assert (await rig.client.get("/health/live")).json() == {"status": "live"}


@pytest.mark.asyncio
async def test_a_process_is_ready_when_its_engines_answer(rig: Rig) -> None:
    await rig.client.post("/intake/lines", content=b"good 1")
    await rig.freshness.measure()
    answer = await rig.client.get("/health/ready")
    told = answer.json()
    assert (answer.status_code, told["status"], told["taking_in"]) == (200, "ready", True)
    assert told["log"] == told["store"] == {"reachable": True}
    assert told["behind"]["timeline"]["events"] == 1


@pytest.mark.parametrize(("query", "status"), [("", 503), ("?part=reading", 503), ("?part=taking-in", 200)])
@pytest.mark.asyncio
async def test_without_the_store_it_is_ready_to_take_in_and_not_to_be_read(
    rig: Rig, tmp_path: Path, query: str, status: int
) -> None:
    await rig.lose_the_store(tmp_path)
    answer = await rig.client.get("/health/ready" + query)
    told = answer.json()
    assert answer.status_code == status
    assert told["log"] == {"reachable": True}
    assert told["store"]["code"] == "store-unavailable"
    assert told["store"]["cure"]


@pytest.mark.asyncio
async def test_how_far_it_is_behind_is_unknown_rather_than_old(rig: Rig) -> None:
    await rig.freshness.measure()
    rig.now += timedelta(minutes=5)
    await rig.database.close()
    assert rig.freshness.behind["timeline"].events is None
    assert (rig.freshness.behind["timeline"].seconds or 0) >= 300


@pytest.mark.asyncio
async def test_metrics_are_in_the_text_format_of_prometheus(rig: Rig) -> None:
    await rig.client.get("/health/live")
    answer = await rig.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert "backbone_http_request_seconds" in names


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "application/problem+json"),
        ("GET", "/pages/nowhere", 404, "application/problem+json"),
        ("DELETE", "/quarantine", 405, "application/problem+json"),
        ("GET", "/people/search/", 404, "application/problem+json"),
        ("GET", "/fhir/Observation", 404, "application/fhir+json"),
        ("PUT", "/fhir/metadata", 405, "application/fhir+json"),
        ("GET", "/catalogue?version=2", 400, "application/problem+json"),
        ("GET", "/health/live?verbose", 400, "application/problem+json"),
    ],
)
@pytest.mark.asyncio
async def test_what_there_is_not_is_answered_in_the_manner_of_its_place(
    rig: Rig, method: str, path: str, status: int, kind: str
) -> None:
    answer = await rig.client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)


@pytest.mark.asyncio
async def test_every_answer_is_documented_with_all_its_errors(rig: Rig) -> None:
    document = (await rig.client.get("/openapi.json")).json()
    operations = {(method, path): row for path, rows in document["paths"].items() for method, row in rows.items()}
    assert set(operations) == PATHS
    for (_, path), row in operations.items():
        assert row["summary"]
        assert {"400", "403", "500"} <= set(row["responses"])
        named = {one["name"] for one in row.get("parameters", ()) if one["in"] == "path"}
        assert all("{" + name + "}" in path for name in named)
        assert path.count("{") == len(named)
        error = "application/fhir+json" if path.startswith("/fhir") else "application/problem+json"
        assert all(error in said["content"] for status, said in row["responses"].items() if status[0] == "4")


@pytest.mark.asyncio
async def test_what_can_be_asked_by_get_can_be_asked_by_head_and_answers_all_but_the_content(rig: Rig) -> None:
    await rig.samples()
    person = await rig.person()
    for path in (
        "/health/live",
        "/catalogue",
        "/fhir/metadata",
        f"/people/{person}/timeline",
        f"/people/{person}/timeline/live",
    ):
        answer = await rig.client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
    gone = await rig.client.head(f"/people/{'0' * 32}/timeline")
    assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")
    assert (await rig.client.head("/people/search")).status_code == 405
    assert (await rig.client.head("/events")).status_code == 405


@pytest.mark.parametrize(("path", "method", "where"), [("/nowhere", "GET", "path"), ("/events", "GET", "method")])
@pytest.mark.asyncio
async def test_what_the_router_refuses_says_where(rig: Rig, path: str, method: str, where: str) -> None:
    assert (await rig.client.request(method, path)).json()["where"] == where
