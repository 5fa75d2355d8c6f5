"""An ASGI application on a real socket, as `backbone serve` serves it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from gateway.serving.http_connection import HttpProtocol
from tests.patience import PATIENCE_S


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve ``app`` on the test's own loop; its base URL."""
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", http=HttpProtocol)
    server = _Server(config)
    running = asyncio.create_task(server.serve([bound]))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE_S):
            await running


@contextmanager
def served(app: Any, headers_within_s: float = 10.0) -> Iterator[str]:
    """Serve ``app`` in a thread with a loop of its own; its base URL."""
    protocol = type("Protocol", (HttpProtocol,), {"headers_within_s": headers_within_s})
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", http=protocol)
    server = _Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the server did not stop"


def connect(url: str) -> socket.socket:
    """A bare connection to the server at ``url``."""
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def everything_from(connection: socket.socket) -> bytes:
    """What is received until the other side closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received
