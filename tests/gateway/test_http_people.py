"""``/people`` and ``/people/{person}/timeline``: from an identifier to a person, and what is shown of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.shapes import Person, TimelinePage
from tests.gateway.http_rig import DOROTHY, MARGARET, NHS_NUMBER, START, Rig, rigged

NOBODY = "0" * 32
VISITS = (
    "Date,Member ID,Contact,Attended,NHS Number,What was done\n"
    "12/02/2026,W17,Home visit,yes,9990000018,Tea and a walk\n"
    "19/02/2026,W17,Phone call,no,9990000018,\n"
)


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        await made.samples()
        answer = await made.client.post("/intake/willow-contacts", content=VISITS, headers={"content-type": "text/csv"})
        assert answer.status_code == 200, answer.text
        await made.settle()
        yield made


@pytest.mark.parametrize(
    ("system", "value"),
    [
        (NHS_NUMBER, MARGARET),
        (NHS_NUMBER, "999 000 0018"),
        ("urn:care-backbone:source:northfield-pas", "NF204417"),
        ("urn:care-backbone:source:willow-contacts", "W17"),
    ],
)
@pytest.mark.asyncio
async def test_an_identifier_leads_to_its_person(rig: Rig, system: str, value: str) -> None:
    answer = await rig.client.post("/people/search", json={"system": system, "value": value})
    assert answer.json() == {"person": await rig.person()}


@pytest.mark.parametrize(
    ("asked", "status", "where"),
    [
        ({"system": NHS_NUMBER, "value": DOROTHY}, 404, "value"),
        ({"system": "urn:care-backbone:source:northfield-pas", "value": "NF0"}, 404, "value"),
        ({"system": NHS_NUMBER, "value": "9990000019"}, 400, "value"),
        ({"system": NHS_NUMBER, "value": "999 000-0019"}, 400, "value"),
        ({"system": NHS_NUMBER, "value": "9999999999"}, 400, "value"),
        ({"system": NHS_NUMBER, "value": ""}, 400, "value"),
        ({"system": NHS_NUMBER, "value": "999000001"}, 400, "value"),
        ({"system": "urn:care-backbone:source:unheard-of", "value": "1"}, 404, "system"),
        ({"system": "urn:care-backbone:source:northfield-pas", "value": ""}, 400, "value"),
        ({"system": "urn:care-backbone:source:northfield-pas", "value": "x" * 201}, 400, "value"),
        ({"system": "mrn", "value": "1"}, 400, "system"),
        ({"system": NHS_NUMBER}, 400, "body"),
        ({"system": NHS_NUMBER, "value": 9990000018}, 400, "body"),
        ({"system": NHS_NUMBER, "value": MARGARET, "name": "Mrs Canary"}, 400, "body"),
        ([], 400, "body"),
    ],
)
@pytest.mark.asyncio
async def test_a_search_that_finds_nobody_says_why_and_never_repeats_it(rig: Rig, asked: Any, status: int, where: str) -> None:
    answer = await rig.client.post("/people/search", json=asked)
    told = answer.json()
    assert (answer.status_code, told["where"]) == (status, where)
    assert told["cure"]
    assert not any(secret in answer.text for secret in (MARGARET, DOROTHY, "NF0", "Canary"))


@pytest.mark.asyncio
async def test_a_search_for_what_nobody_can_have_says_so(rig: Rig) -> None:
    wrong, undeclared, nobodys = [
        (await rig.client.post("/people/search", json={"system": system, "value": value})).json()
        for system, value in (
            (NHS_NUMBER, "9990000019"),
            ("urn:care-backbone:source:unheard-of", "1"),
            (NHS_NUMBER, DOROTHY),
        )
    ]
    assert (wrong["code"], "fails its own check" in wrong["detail"]) == ("invalid-request", True)
    assert (undeclared["code"], "no source of that id" in undeclared["detail"]) == ("unknown-source", True)
    assert (nobodys["code"], nobodys["detail"]) == ("not-found", "nobody here has this identifier")


@pytest.mark.asyncio
async def test_a_search_is_json_and_small(rig: Rig) -> None:
    answer = await rig.client.post("/people/search", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert (await rig.client.post("/people/search", json={"system": "x" * 5000, "value": ""})).status_code == 413


@pytest.mark.asyncio
async def test_a_person_is_their_records_with_the_rule_that_linked_them(rig: Rig) -> None:
    person = await rig.person()
    shown = (await rig.client.get(f"/people/{person}")).json()
    Person.model_validate(shown)
    assert {record["source"]["id"] for record in shown["records"]} == {"northfield-pas", "willow-contacts"}
    assert all(record["rule"] and record["identifiers"] for record in shown["records"])


@pytest.mark.parametrize("path", ["", "/timeline", "/timeline/live"])
@pytest.mark.parametrize("person", [NOBODY, "9990000018", "x", "A" * 32])
@pytest.mark.asyncio
async def test_nobody_is_not_found(rig: Rig, person: str, path: str) -> None:
    answer = await rig.client.get(f"/people/{person}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.asyncio
async def test_a_page_has_every_source_newest_first(rig: Rig) -> None:
    person = await rig.person()
    answer = await rig.client.get(f"/people/{person}/timeline")
    page = msgspec.json.decode(answer.content, type=TimelinePage)
    assert page.person == person
    assert page.next is None
    assert page.behind.events == 0
    times = [entry.occurred_at for entry in page.entries]
    assert times == sorted(times, reverse=True)
    assert {entry.source.name for entry in page.entries} == {"Northfield Hospital", "Willow Befriending"}
    assert "Home visit by Willow Befriending: Tea and a walk" in [entry.title for entry in page.entries]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=contact", {"contact-made-1", "contact-missed-1"}),
        ("sector=voluntary&type=contact-made-1", {"contact-made-1"}),
        ("source=willow-contacts&until=2026-02-15", {"contact-made-1"}),
        ("since=2026-02-15", {"contact-missed-1"}),
        ("kind=plan", set()),
        ("as_of=2026-02-01", set()),
    ],
)
@pytest.mark.asyncio
async def test_filters_narrow_the_page(rig: Rig, query: str, expected: set[str]) -> None:
    answer = await rig.client.get(f"/people/{await rig.person()}/timeline?{query}")
    assert {entry["type"] for entry in answer.json()["entries"]} == expected


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.asyncio
async def test_pages_follow_one_another_without_gap_or_repetition(rig: Rig, order: str) -> None:
    path = f"/people/{await rig.person()}/timeline?order={order}"
    whole = [entry["id"] for entry in (await rig.client.get(path)).json()["entries"]]
    found, after = [], ""
    while True:
        page = (await rig.client.get(f"{path}&limit=2{after}")).json()
        found += [entry["id"] for entry in page["entries"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == whole
    assert len(whole) > 4


@pytest.mark.asyncio
async def test_a_cursor_of_another_order_or_of_nothing_is_refused(rig: Rig) -> None:
    path = f"/people/{await rig.person()}/timeline"
    cursor = (await rig.client.get(f"{path}?limit=1")).json()["next"]
    for query in (f"order=oldest&after={cursor}", "after=nonsense", "after=e30"):
        answer = await rig.client.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["where"]) == (400, "parameter after")


@pytest.mark.asyncio
async def test_an_entry_has_its_bundle_on_request(rig: Rig) -> None:
    path = f"/people/{await rig.person()}/timeline?limit=1"
    assert "resource" not in (await rig.client.get(path)).json()["entries"][0]
    (entry,) = (await rig.client.get(path + "&include=resource")).json()["entries"]
    assert entry["resource"]["resourceType"] == "Bundle"


@pytest.mark.asyncio
async def test_a_page_says_who_has_fallen_silent(rig: Rig) -> None:
    path = f"/people/{await rig.person()}/timeline"
    assert (await rig.client.get(path)).json()["missing"] == []
    rig.now = START + timedelta(hours=2)
    await rig.freshness.measure()
    (missing,) = (await rig.client.get(path)).json()["missing"]
    assert missing == {
        "source": {"id": "northfield-pas", "name": "Northfield Hospital", "sector": "nhs"},
        "reason": "silent",
        "last_heard_at": "2026-03-01T12:00:00.000Z",
        "expected_every_seconds": 3600,
    }


@pytest.mark.asyncio
async def test_a_page_says_how_far_it_is_behind(rig: Rig) -> None:
    await rig.client.post("/intake/lines", content=b"good 1\ngood 2")
    await rig.freshness.measure()
    behind = (await rig.client.get(f"/people/{await rig.person()}/timeline")).json()["behind"]
    assert behind["events"] == 2
    assert behind["seconds"] >= 0


@pytest.mark.asyncio
async def test_a_store_that_is_away_is_said_and_taking_in_goes_on(rig: Rig, tmp_path: Path) -> None:
    person = await rig.person()
    await rig.lose_the_store(tmp_path)
    answer = await rig.client.get(f"/people/{person}/timeline")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert answer.headers["retry-after"]
    assert (await rig.client.post("/intake/lines", content=b"good 9")).status_code == 200
