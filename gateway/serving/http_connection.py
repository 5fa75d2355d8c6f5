"""One HTTP connection: how long it may take to say what it wants, and how it ends when the server stops.

uvicorn waits for ever for the end of a request's headers: one byte a second then holds a connection for hours (Slowloris).
Bodies have a deadline of their own (`gateway.http.body`).

And when it stops it closes each connection that is idle at that moment, so a request already on its way fails. Here such a
connection is kept a moment longer: whatever it still asks is answered, with ``Connection: close``.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_WITHIN_S = 10.0
"""From the first byte, or from the connection, to the end of the headers: they fit into one packet."""
FAREWELL_S = 1.0
"""From the server's stop to the end of a connection that asks nothing more: longer than a busy client or proxy pauses between
two requests, and than a request is on its way."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, with a deadline for headers and a farewell. For ``uvicorn.Config(http=HttpProtocol)``."""

    headers_within_s = HEADERS_WITHIN_S
    _deadline: asyncio.TimerHandle | None = None
    _leaving = False

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
        if self._leaving:
            super().shutdown()  # this was the last request: its answer says so

    def shutdown(self) -> None:
        """The server stops: for `FAREWELL_S` the next request is still answered, as the connection's last."""
        self._leaving = True
        if self.cycle is not None and not self.cycle.response_started:
            super().shutdown()  # the answer that is being made says so
        else:
            self.loop.call_later(FAREWELL_S, super().shutdown)

    def _expect_headers(self) -> None:
        self._deadline = self.loop.call_later(self.headers_within_s, self._too_slow)

    def _headers_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.close()
