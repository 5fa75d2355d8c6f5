"""What surrounds every request: correlation, refusals of strangers, headers, counts, and the last resort."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

import httpx2
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.http.envelope import Envelope

CANARY = "Mrs Canary 9990000018"


class Counted:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, int]] = []

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.rows.append((route, method, status))


class Route:
    path = "/people/{person}"


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = Route()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["state"]["correlation_id"].encode()})


async def cached(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public, max-age=300")]})
    await send({"type": "http.response.body", "body": b""})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError(CANARY)


async def broken_halfway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError(CANARY)


async def left(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


def client(app: Any, counted: Counted | None = None, hosts: frozenset[str] | None = None) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(Envelope(app, counted or Counted(), hosts), raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


@pytest.mark.asyncio
async def test_a_correlation_id_is_made_and_told() -> None:
    answer = await client(fine).get("/people/x")
    assert str(uuid.UUID(answer.text)) == answer.text == answer.headers["x-correlation-id"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("3F2504E0-4F89-41D3-9A0C-0305E82C3301", True), ("9990000018", False), ("", False), ("3f2504e0", False)],
)
@pytest.mark.asyncio
async def test_a_senders_correlation_id_is_kept_if_it_is_a_uuid(sent: str, kept: bool) -> None:
    answer = await client(fine).get("/people/x", headers={"x-correlation-id": sent})
    assert (answer.headers["x-correlation-id"] == sent.lower()) is kept


@pytest.mark.asyncio
async def test_answers_are_kept_by_no_cache_and_shown_as_no_page() -> None:
    headers = (await client(fine).get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (await client(cached).get("/")).headers.get_list("cache-control") == ["public, max-age=300"]


@pytest.mark.asyncio
async def test_requests_are_counted_by_route_and_never_by_path() -> None:
    counted = Counted()
    await client(fine, counted).get("/people/9990000018")
    await client(broken, counted).get("/people/9990000018")
    assert counted.rows == [("/people/{person}", "GET", 200), ("(none)", "GET", 500)]


@pytest.mark.asyncio
async def test_what_nobody_foresaw_is_a_problem_with_a_number_and_no_detail(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client(broken).get("/people/x")
    told = answer.json()
    assert answer.status_code == 500
    assert told["code"] == "unexpected"
    assert told["instance"] == f"urn:uuid:{answer.headers['x-correlation-id']}"
    assert "Canary" not in answer.text
    assert "ZeroDivisionError at test_http_envelope" in caplog.text
    assert "Canary" not in caplog.text


@pytest.mark.asyncio
async def test_inside_fhir_it_is_an_operation_outcome() -> None:
    answer = await client(broken).get("/fhir/Patient/x")
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.asyncio
async def test_half_an_answer_is_cut_off_rather_than_completed() -> None:
    counted = Counted()
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    await asyncio.wait_for(Envelope(broken_halfway, counted)(scope, receive, send), 5)
    assert [message["type"] for message in messages] == ["http.response.start"]
    assert counted.rows == [("(none)", "GET", 200)]


@pytest.mark.asyncio
async def test_a_client_that_left_is_counted_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    await Envelope(left, counted)(scope, _nothing, _nowhere)
    assert counted.rows == [("(none)", "POST", 499)]
    assert caplog.text == ""


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _nowhere(message: Message) -> None:
    raise AssertionError("nothing may be sent to a client that left")


HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8080"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "LOCALHOST:1"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"host": "rebound.example"}, 403),
        ({"host": "127.0.0.1.example:8080"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, 403),
        ({"host": "localhost", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "localhost", "sec-fetch-site": "none"}, 200),
    ],
)
@pytest.mark.asyncio
async def test_a_page_of_another_site_cannot_use_the_readers_browser(headers: dict[str, str], status: int) -> None:
    answer = await client(fine, hosts=HOSTS).get("/", headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "misdirected"


@pytest.mark.parametrize(
    ("method", "host", "mode", "to", "status"),
    [
        ("GET", "localhost", "navigate", "document", 200),
        ("HEAD", "localhost", "navigate", "document", 200),
        ("POST", "localhost", "navigate", "document", 403),
        ("GET", "localhost", "navigate", "iframe", 403),
        ("GET", "localhost", "navigate", "object", 403),
        ("GET", "localhost", "navigate", "", 403),
        ("GET", "localhost", "no-cors", "image", 403),
        ("GET", "localhost", "no-cors", "document", 403),
        ("GET", "localhost", "cors", "empty", 403),
        ("GET", "localhost", "", "document", 403),
        ("GET", "rebound.example", "navigate", "document", 403),
    ],
)
@pytest.mark.asyncio
async def test_a_link_on_another_site_may_be_followed_and_nothing_else_be_asked_from_there(
    method: str, host: str, mode: str, to: str, status: int
) -> None:
    headers = {"host": host, "sec-fetch-site": "cross-site", "sec-fetch-mode": mode, "sec-fetch-dest": to}
    answer = await client(fine, hosts=HOSTS).request(method, "/", headers=headers)
    assert answer.status_code == status
