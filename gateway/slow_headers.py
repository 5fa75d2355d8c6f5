"""Ends a connection whose request does not begin, or whose headers do not end, in time.

uvicorn waits for ever for the end of a request's headers: one byte a second then holds a connection for hours (Slowloris).
Bodies have a deadline of their own (`gateway.routes.body`).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_WITHIN_S = 10.0
"""From the first byte, or from the connection, to the end of the headers: they fit into one packet."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, with a deadline for headers. For ``uvicorn.Config(http=HttpProtocol)``."""

    headers_within_s = HEADERS_WITHIN_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if self._deadline is None:
            self._expect_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        self._deadline = self.loop.call_later(self.headers_within_s, self._too_slow)

    def _headers_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.close()
