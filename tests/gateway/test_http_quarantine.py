"""``/quarantine``: what was not understood is listed, shown with its content on request, and sent through again."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.registry import Registry
from gateway.shapes import QuarantineItem, QuarantinePage
from schemas.arrival.quarantine import CHUNK_BYTES
from schemas.log import EVENTS
from tests.gateway.http_rig import VISIT, Rig, rigged
from tests.line_translator import LineTranslator
from tests.memory_log import MemoryLog

NOTHING = "00000000-0000-5000-8000-000000000000"


class Mended:
    """A mapping that can be mended while the server runs."""

    def __init__(self) -> None:
        self.lines = LineTranslator(data=VISIT)

    def registry(self) -> Registry:
        return Registry({"lines": self.lines})

    def mend(self) -> None:
        self.lines.version = "lines-2"


@pytest.fixture
def mapping() -> Mended:
    return Mended()


@pytest_asyncio.fixture
async def rig(tmp_path: Path, mapping: Mended) -> AsyncIterator[Rig]:
    async with rigged(tmp_path, mapping.registry()) as made:
        yield made


async def kept(rig: Rig, content: bytes) -> str:
    """Id of the one item that ``content`` leaves in quarantine."""
    receipt = (await rig.client.post("/intake/lines", content=content)).json()
    await rig.settle()
    (refusal,) = receipt["refusals"]
    return str(refusal["quarantine"])


@pytest.mark.asyncio
async def test_an_item_a_refusal_just_named_is_found_although_its_projection_is_behind(rig: Rig) -> None:
    (refusal,) = (await rig.client.post("/intake/lines", content=b"bad 1")).json()["refusals"]
    asking = asyncio.create_task(rig.client.get(f"/quarantine/{refusal['quarantine']}"))
    await asyncio.sleep(0)
    assert not asking.done()
    await rig.settle()
    assert (await asking).json()["id"] == refusal["quarantine"]


@pytest.mark.asyncio
async def test_an_item_is_listed_and_shown_without_its_content(rig: Rig) -> None:
    item = await kept(rig, b"good 1\nbad Mrs Canary")
    listed = QuarantinePage.model_validate_json((await rig.client.get("/quarantine")).content)
    assert [(row.id, row.source, row.door, row.position, row.status) for row in listed.items] == [
        (item, "lines", "http", "line 2", "open")
    ]
    shown = await rig.client.get(f"/quarantine/{item}")
    assert QuarantineItem.model_validate_json(shown.content).trials == []
    assert "content" not in shown.json()
    assert "Canary" not in shown.text


@pytest.mark.parametrize("size", [0, 1, 2, 3, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES * 2 + 5])
@pytest.mark.asyncio
async def test_its_content_is_given_on_request_byte_for_byte(rig: Rig, size: int) -> None:
    content = b"refuse " + b"\x00\xff\n"[:size] + b"z" * max(0, size - 3)
    item = await kept(rig, content)
    shown = (await rig.client.get(f"/quarantine/{item}?include=content")).json()
    assert base64.b64decode(shown["content"], validate=True) == content
    assert shown["id"] == item


@pytest.mark.asyncio
async def test_a_mended_mapping_takes_it_in_and_the_item_says_so(rig: Rig, mapping: Mended) -> None:
    item = await kept(rig, b"mended 1")
    refused = await rig.client.post(f"/quarantine/{item}/redrive")
    assert (refused.status_code, refused.json()["code"]) == (422, "missing-identifier")
    mapping.mend()
    rig.now += timedelta(hours=1)
    taken = await rig.client.post(f"/quarantine/{item}/redrive")
    assert (taken.status_code, taken.json()["accepted"]) == (200, 1)
    await rig.settle()
    shown = QuarantineItem.model_validate_json((await rig.client.get(f"/quarantine/{item}")).content)
    assert shown.status == "taken-in"
    assert [trial.accepted for trial in shown.trials] == [False, True]
    assert shown.tries == 2
    assert (await rig.client.get("/quarantine")).json()["items"] == []
    assert [row["id"] for row in (await rig.client.get("/quarantine?status=taken-in")).json()["items"]] == [item]


@pytest.mark.asyncio
async def test_redriving_twice_makes_nothing_twice(rig: Rig, mapping: Mended) -> None:
    item = await kept(rig, b"mended 1")
    mapping.mend()
    answers = [(await rig.client.post(f"/quarantine/{item}/redrive")).json() for _ in range(2)]
    assert answers[0]["events"] == answers[1]["events"]
    assert len(rig.log.all(EVENTS)) == 1


@pytest.mark.asyncio
async def test_pages_follow_one_another_without_gap_or_repetition(rig: Rig) -> None:
    for number in range(7):
        rig.now += timedelta(seconds=number % 2)
        await rig.client.post("/intake/lines", content=b"bad %d" % number)
    await rig.settle()
    whole = [row["id"] for row in (await rig.client.get("/quarantine")).json()["items"]]
    found, query = [], "?limit=2"
    while True:
        page = (await rig.client.get("/quarantine" + query)).json()
        found += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=2&after={page['next']}"
    assert found == whole
    assert len(set(whole)) == 7


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/quarantine/{NOTHING}", 404, "not-found"),
        ("GET", "/quarantine/x", 404, "not-found"),
        ("POST", f"/quarantine/{NOTHING}/redrive", 404, "not-found"),
        ("GET", "/quarantine?status=lost", 400, "invalid-request"),
        ("GET", "/quarantine?after=x", 400, "invalid-request"),
        ("GET", "/quarantine?limit=501", 400, "invalid-request"),
        ("GET", f"/quarantine/{NOTHING}?include=everything", 400, "invalid-request"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_not_there_or_makes_no_sense_is_said(rig: Rig, method: str, path: str, status: int, code: str) -> None:
    answer = await rig.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.asyncio
async def test_an_item_is_redriven_as_a_source_that_is_named(rig: Rig, mapping: Mended) -> None:
    item = await kept(rig, b"mended 1")
    answer = await rig.client.post(f"/quarantine/{item}/redrive?source=unheard-of")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-source")
    mapping.mend()
    answer = await rig.client.post(f"/quarantine/{item}/redrive?source=lines")
    assert answer.json()["source"] == "lines"


@pytest.mark.asyncio
async def test_content_that_retention_removed_is_said_to_be_gone(tmp_path: Path) -> None:
    async with rigged(tmp_path, log=MemoryLog()) as rig:
        item = await kept(rig, b"bad 1")
        for answer in (
            await rig.client.get(f"/quarantine/{item}?include=content"),
            await rig.client.post(f"/quarantine/{item}/redrive"),
        ):
            assert answer.status_code == 404
            assert "no longer in the log" in answer.json()["detail"]
