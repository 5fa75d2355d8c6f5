"""``POST /intake/{source}`` and its receipts: what arrives is answered by what became of it, once that is durable."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.http.body import LEAST_BYTES_PER_S
from gateway.shapes import ReceiptView
from schemas.arrival.receipt import LISTED
from schemas.event import decode
from schemas.log import EVENTS, QUARANTINE, RECEIPTS
from tests.gateway.http_rig import DOROTHY, NHS_NUMBER, Rig, rigged
from tests.gateway.served import connect, everything_from, served
from tests.patience import pass_time

LINES = "/intake/lines"


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("content", "status", "counts"),
    [
        (b"good 1", 200, (1, 1, 0)),
        (b"good 1\ngood 2\n", 200, (2, 2, 0)),
        (b"flagged 1", 200, (1, 1, 0)),
        (b"blank", 200, (1, 1, 0)),
        (b"", 200, (0, 0, 0)),
        (b"good 1\nbad 2\n", 207, (2, 1, 1)),
        (b"good 1\nboom", 207, (2, 1, 1)),
        (b"bad 1", 422, (1, 0, 1)),
        (b"refuse", 422, (1, 0, 1)),
        (b"boom", 422, (1, 0, 1)),
    ],
)
@pytest.mark.asyncio
async def test_the_status_says_how_much_was_taken_in(rig: Rig, content: bytes, status: int, counts: tuple[int, ...]) -> None:
    answer = await rig.client.post(LINES, content=content)
    receipt = answer.json()
    assert answer.status_code == status
    assert (receipt["received"], receipt["accepted"], receipt["rejected"]) == counts
    assert len(rig.log.all(RECEIPTS)) == 1, "the receipt is durable before it is given"
    assert len(rig.log.all(EVENTS)) == len(receipt["events"])
    assert [one["quarantine"] for one in receipt["refusals"]] == [record.key for record in rig.log.all(QUARANTINE)]


@pytest.mark.asyncio
async def test_a_receipt_says_everything_and_nothing_of_the_backbones_own(rig: Rig) -> None:
    answer = await rig.client.post(LINES, content=b"flagged 1\nbad 2")
    receipt = answer.json()
    assert set(receipt) == set(ReceiptView.model_fields)
    assert receipt["source"] == "lines"
    assert receipt["door"] == "http"
    assert receipt["flags"] == ["odd at line 1"]
    (refusal,) = receipt["refusals"]
    assert refusal["position"] == "line 2"
    assert refusal["code"] == "missing-identifier"
    assert answer.headers["content-location"] == f"/intake/receipts/{receipt['id']}"


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_a_problem_and_a_receipt_in_one(rig: Rig) -> None:
    answer = await rig.client.post(LINES, content=b"bad 1")
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["code"], told["where"]) == (422, "missing-identifier", "line 1")
    assert told["title"] == "Nothing in the content says whose record it is."
    assert told["refusals"][0]["quarantine"] in told["cure"]
    assert set(ReceiptView.model_fields) < set(told)


@pytest.mark.asyncio
async def test_an_unknown_media_type_is_kept_and_said(rig: Rig) -> None:
    answer = await rig.client.post(LINES, content=b"<x/>", headers={"content-type": "application/xml"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "unsupported"
    assert "Send it as " in answer.json()["detail"]
    assert f"/quarantine/{answer.json()['refusals'][0]['quarantine']}/redrive" in answer.json()["cure"]
    assert len(rig.log.all(QUARANTINE)) == 1


@pytest.mark.asyncio
async def test_the_same_body_again_has_the_same_receipt_and_appends_nothing(rig: Rig) -> None:
    first = await rig.client.post(LINES, content=b"good 1\nbad 2")
    appended = rig.log.appends
    again = await rig.client.post(LINES, content=b"good 1\nbad 2")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert rig.log.appends == appended


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/intake/unheard-of", 404, "unknown-source"),
        ("/intake/folder-only", 403, "door-closed"),
        ("/intake/Not A Source", 404, "unknown-source"),
        ("/intake/lines?dry=1", 400, "invalid-request"),
    ],
)
@pytest.mark.asyncio
async def test_who_may_not_send_is_told_why_and_the_cure(rig: Rig, path: str, status: int, code: str) -> None:
    answer = await rig.client.post(path, content=b"good 1")
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["cure"]
    assert rig.log.appends == 0


@pytest.mark.asyncio
async def test_while_the_log_does_not_answer_nothing_is_acknowledged(rig: Rig) -> None:
    rig.log.room = 0
    answer = await rig.client.post(LINES, content=b"good 1")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["code"] == "log-unavailable"
    rig.log.room = float("inf")
    assert (await rig.client.post(LINES, content=b"good 1")).status_code == 200


@pytest.mark.asyncio
async def test_a_process_that_does_not_take_in_says_so(tmp_path: Path) -> None:
    async with rigged(tmp_path, intake=None) as rig:
        answer = await rig.client.post(LINES, content=b"good 1")
    assert answer.status_code == 404
    assert "--only" in answer.json()["cure"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.asyncio
async def test_a_body_over_the_limit_is_refused_whole(tmp_path: Path, chunked: bool) -> None:
    async with rigged(tmp_path, body_bytes=1000) as rig:
        answer = await rig.client.post(LINES, content=_pieces(b"good 1\n" * 200) if chunked else b"good 1\n" * 200)
        assert answer.status_code == 413
        assert answer.json()["code"] == "too-large"
        assert answer.headers["connection"] == "close"
        assert rig.log.appends == 0
        assert (await rig.client.post(LINES, content=b"x" * 900)).status_code == 200


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100):
        yield content[start : start + 100]


GZIP = {"content-encoding": "gzip"}
ROWS = b"".join(b"good %d\n" % number for number in range(300))


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.asyncio
async def test_a_body_compressed_by_gzip_is_the_same_arrival_as_it_is_uncompressed(rig: Rig, name: str, chunked: bool) -> None:
    sent = gzip.compress(ROWS)
    body = _pieces(sent) if chunked else sent
    answer = await rig.client.post(LINES, content=body, headers={"content-encoding": name})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["size_bytes"]) == (200, 300, len(ROWS))
    assert (await rig.client.post(LINES, content=ROWS, headers={"content-encoding": "identity"})).json() == answer.json()


@pytest.mark.asyncio
async def test_a_compressed_body_may_be_of_several_members(rig: Rig) -> None:
    sent = gzip.compress(ROWS[:1000]) + gzip.compress(b"") + gzip.compress(ROWS[1000:])
    for body in (sent, _pieces_of(sent, 7)):
        answer = await rig.client.post(LINES, content=body, headers=GZIP)
        assert answer.json()["sha256"] == hashlib.sha256(ROWS).hexdigest()


@pytest.mark.parametrize("name", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip, identity"])
@pytest.mark.asyncio
async def test_another_coding_is_refused_with_those_there_are(rig: Rig, name: str) -> None:
    answer = await rig.client.post(LINES, content=b"\x1f\x8b", headers={"content-encoding": name})
    assert (answer.status_code, answer.json()["code"]) == (415, "wrong-content-coding")
    assert answer.headers["accept-encoding"] == "gzip, identity"
    other = await rig.client.post("/events", content=b"x", headers={"content-type": "text/plain"})
    assert (other.status_code, "accept-encoding" in other.headers) == (415, False), "RFC 7694 §3: only about the coding"
    assert rig.log.appends == 0


@pytest.mark.parametrize(
    "sent",
    [b"", b"good 1\n", gzip.compress(ROWS)[:-1], gzip.compress(ROWS)[:5], gzip.compress(ROWS) + b"x"],
    ids=["empty", "text", "cut", "cut early", "more behind it"],  # no bytes: there is a time in them, other in each worker
)
@pytest.mark.asyncio
async def test_a_compressed_body_that_is_broken_is_refused_whole(rig: Rig, sent: bytes) -> None:
    answer = await rig.client.post(LINES, content=sent, headers=GZIP)
    assert (answer.status_code, answer.json()["where"]) == (400, "body")
    assert rig.log.appends == 0


@pytest.mark.asyncio
async def test_a_compressed_body_is_limited_by_what_is_in_it(tmp_path: Path) -> None:
    async with rigged(tmp_path, body_bytes=2000) as rig:
        answer = await rig.client.post(LINES, content=gzip.compress(ROWS), headers=GZIP)
        assert (answer.status_code, answer.json()["code"], len(gzip.compress(ROWS)) < 2000) == (413, "too-large", True)
        assert rig.log.appends == 0


@pytest.mark.asyncio
async def test_a_body_that_swells_without_end_is_refused_long_before_it_does(rig: Rig) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    answer = await rig.client.post(LINES, content=bomb, headers=GZIP)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "uncompressed" in answer.json()["cure"]
    assert rig.log.appends == 0


@pytest.mark.asyncio
async def test_a_compressed_fhir_body_is_read_too(rig: Rig) -> None:
    form = gzip.compress(f"identifier={NHS_NUMBER}|{DOROTHY}".encode())
    headers = GZIP | {"content-type": "application/x-www-form-urlencoded"}
    answer = await rig.client.post("/fhir/Patient/_search", content=form, headers=headers)
    assert (answer.status_code, answer.json()["total"]) == (200, 0)
    refused = await rig.client.post("/fhir/$process-message", content=b"x", headers=headers | {"content-encoding": "br"})
    assert refused.status_code == 415


@pytest.mark.asyncio
async def test_a_body_too_long_for_memory_is_taken_in_from_a_file(rig: Rig) -> None:
    many = LISTED // 10
    content = b"".join(b"good %d %s\n" % (number, b"x" * 20_000) for number in range(many))
    receipt = (await rig.client.post(LINES, content=_pieces_of(content, 65536))).json()
    assert receipt["size_bytes"] == len(content) > 1024 * 1024
    assert receipt["accepted"] == many


async def _pieces_of(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.asyncio
async def test_a_disk_that_takes_no_more_is_our_own_trouble(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    answer = await rig.client.post(LINES, content=b"x" * (2 * 1024 * 1024))
    assert (answer.status_code, answer.json()["code"]) == (503, "engine-unavailable")
    assert rig.log.appends == 0


@pytest.mark.asyncio
async def test_a_trace_context_goes_on_with_the_events(rig: Rig) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await rig.client.post(LINES, content=b"good 1", headers={"traceparent": parent})
    await rig.client.post(LINES, content=b"good 2", headers={"traceparent": "9990000018"})
    assert {decode(record.value).traceparent for record in rig.log.all(EVENTS)} == {parent, ""}


@pytest.mark.asyncio
async def test_a_receipt_just_given_is_found_although_its_projection_is_behind(rig: Rig) -> None:
    given = (await rig.client.post(LINES, content=b"good 1\nbad 2")).json()
    asking = asyncio.create_task(rig.client.get(f"/intake/receipts/{given['id']}"))
    await asyncio.sleep(0)
    assert not asking.done()
    await rig.settle()
    found = await asking
    assert found.status_code == 200
    assert found.json() == given


@pytest.mark.parametrize("receipt", ["00000000-0000-5000-8000-000000000000", "x", "..%2f..%2fetc"])
@pytest.mark.asyncio
async def test_a_receipt_nobody_gave_is_not_found(rig: Rig, receipt: str) -> None:
    answer = await rig.client.get(f"/intake/receipts/{receipt}")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("not-found", "no-such-path")


@pytest.mark.asyncio
async def test_a_long_arrivals_receipt_is_given_whole(rig: Rig) -> None:
    many = LISTED + 500
    given = (await rig.client.post(LINES, content=b"".join(b"good %d\n" % number for number in range(many)))).json()
    await rig.settle()
    found = (await rig.client.get(f"/intake/receipts/{given['id']}")).json()
    assert found["accepted"] == many
    assert len(set(found["events"])) == many


@pytest.mark.asyncio
async def test_doors_are_counted_by_route(rig: Rig) -> None:
    await rig.client.post(LINES, content=b"good 1")
    await rig.client.post("/intake/9990000018", content=b"good 1")
    text = (await rig.client.get("/metrics")).text
    assert 'route="/intake/{source}",status="200"' in text
    assert 'route="/intake/{source}",status="404"' in text
    assert "9990000018" not in text


def test_one_byte_at_a_time_is_cut_off_and_nothing_taken_in(tmp_path: Path) -> None:
    answer, appended = _trickled(tmp_path, b"Content-Length: 100\r\n\r\ngo")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == "too-slow"
    assert appended == 0


@pytest.mark.asyncio
async def test_a_body_that_takes_long_at_a_good_rate_is_taken_in(tmp_path: Path) -> None:
    patience, line = timedelta(milliseconds=100), b"good %060d\n"
    two_seconds_worth = b"".join(line % number for number in range(2 * LEAST_BYTES_PER_S // len(line % 0)))

    async def slowly() -> AsyncIterator[bytes]:
        yield two_seconds_worth
        await pass_time(3 * patience.total_seconds())
        yield b"good last\n"

    async with rigged(tmp_path, patience=patience) as rig:
        answer = await rig.client.post(LINES, content=slowly())
    assert (answer.status_code, answer.json()["rejected"]) == (200, 0)


def test_a_sender_that_leaves_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with served(rig.app) as url, connect(url) as connection:
        connection.sendall(_HEAD + b"Content-Length: 100\r\n\r\ngood 1")
    assert rig.log.appends == 0


_HEAD = b"POST /intake/lines HTTP/1.1\r\nHost: x\r\n"


def _trickled(folder: Path, begun: bytes) -> tuple[bytes, int]:
    rig: Any = Rig(folder, patience=timedelta(milliseconds=200))
    with served(rig.app) as url, connect(url) as connection:
        connection.sendall(_HEAD + begun)
        return everything_from(connection), rig.log.appends
