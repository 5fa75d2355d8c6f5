"""A connection that does not say what it wants is closed; one that does is served, however often, until the server has left."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from tests.gateway.served import connect, everything_from, served
from tests.patience import eventually

WITHIN_S = 0.3


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(hello, WITHIN_S) as base:
        yield base


def _asked(connection: socket.socket) -> bytes:
    """The answer to one request, over a connection that may stay open."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"hi"):
        piece = connection.recv(4096)
        assert piece, "closed before the request was answered"
        answer += piece
    return answer


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nX: " + b"y" * 100])
def test_headers_that_do_not_end_are_cut_off(url: str, sent: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(sent)
        assert everything_from(connection) == b""


def test_a_second_request_has_its_own_time(url: str) -> None:
    with connect(url) as connection:
        assert b"connection: close" not in _asked(connection)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert everything_from(connection) == b""


def test_an_open_connection_is_served_again_and_again(url: str) -> None:
    with httpx2.Client(base_url=url) as client:
        for _ in range(50):
            assert client.get("/").text == "hi"


def _refuses(url: str) -> bool:
    try:
        connect(url).close()
    except ConnectionError:
        return True
    return False


def test_a_request_on_its_way_while_the_server_stops_is_answered_as_the_last() -> None:
    running = ExitStack()
    url = running.enter_context(served(hello))
    with connect(url) as busy, connect(url) as silent:
        assert b"connection: close" not in _asked(busy)
        stopping = threading.Thread(target=running.close)
        stopping.start()
        eventually(lambda: _refuses(url))
        assert b"connection: close" in _asked(busy)
        assert everything_from(busy) == everything_from(silent) == b""
        stopping.join()
