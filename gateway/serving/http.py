"""The HTTP door: uvicorn on our own socket, under our own signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta

import uvicorn
from starlette.types import ASGIApp

from gateway.serving.http_connection import HttpProtocol
from gateway.serving.listen import BACKLOG, address_of
from gateway.serving.part import Shown
from gateway.settings.shapes import Limits
from gateway.watching.freshness import Freshness

KEEP_ALIVE_S = 75
"""Idle connections are kept longer than clients and proxies keep theirs (60 s), so that the client closes first and never
sends a request into a closing connection."""


class _Server(uvicorn.Server):
    """Leaves signals to the process and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class HttpPart:
    """Answers HTTP and, with ``freshness``, keeps measuring how far its answers are behind.

    ``stopping`` is set when the server stops, so that live streams end instead of holding it up.
    """

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        limits: Limits,
        freshness: Freshness | None = None,
        stopping: asyncio.Event | None = None,
        name: str = "http",
    ) -> None:
        self.name = name
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # a path holds a person's id; the metrics count requests by their route
            lifespan="off",
            ws="none",
            http=HttpProtocol,
            proxy_headers=False,  # nothing here depends on the client's address, and a forwarded one is only a claim
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, int(limits.stop.total_seconds())),
        )
        self._server = _Server(config)
        self._bound = bound
        self._freshness = freshness
        self._stopping = stopping or asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> list[Shown]:
        where = f"http://{address_of(self._bound)}"
        serving = asyncio.create_task(self._server.serve([self._bound]), name=self.name)
        ready = asyncio.create_task(self._server.ready.wait())
        self._serving = serving
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if serving.done():
            serving.result()
        return [Shown(self.name, where)]

    async def run(self) -> None:
        measuring = asyncio.create_task(self._freshness.keep(), name="freshness") if self._freshness else None
        working = [task for task in (self._serving, measuring) if task is not None]
        try:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if measuring is not None:
                measuring.cancel()

    async def stop(self, within: timedelta) -> None:
        self._stopping.set()
        self._server.should_exit = True
        if self._serving is None:
            self._bound.close()
        else:
            await asyncio.wait((self._serving,), timeout=within.total_seconds())
