"""What surrounds every request: the correlation id, the check who may send it at all, headers, metrics, and the last resort
for errors.

Plain ASGI, because a middleware that wraps requests and responses in objects of its own costs more than the route inside.

Source: ASGI HTTP 2.3; OWASP REST Security Cheat Sheet, "Security Headers".
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Container
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.observe import CORRELATION, Correlation
from gateway.http.problems import UnexpectedError, refuse
from schemas.errors import Misdirected, kind_and_place

LOGGER = logging.getLogger("backbone.gateway")

CORRELATION_HEADER = b"x-correlation-id"
"""Constant throughout a conversation (BaRS, transport headers). A sender's own is kept if it is a UUID."""
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""Only a UUID is accepted: the id goes into logs, and free text could contain an NHS number."""

SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE = (b"cache-control", b"no-store")
"""Answers about people stay out of caches; any other answer overrides this."""
_LOCKED = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""Nothing here is a web page: a browser that displays it anyway may load nothing."""
_UNLESS_SET = (_NO_STORE, _LOCKED)

CLIENT_GONE = 499
"""The status counted when a client left before its answer; it is never sent."""


class AnswerCounter(Protocol):
    """Counts answers. Labels are route templates, never paths, which may contain a person's id."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``seconds`` until the first byte of the answer."""
        ...


class Envelope:
    """Wraps the application.

    ``hosts`` are the names this server answers to, without port, or ``None`` for any (see `gateway.http.host_names`).
    """

    def __init__(self, app: ASGIApp, metrics: AnswerCounter, hosts: Container[str] | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        correlation = _correlation(headers.get(CORRELATION_HEADER, b""))
        scope.setdefault("state", {})["correlation_id"] = correlation
        answer = _Answer(send, correlation)
        answering = CORRELATION.set(Correlation(correlation))
        try:
            await self._answer(headers, scope, receive, answer)
        except ClientDisconnect:
            answer.status = answer.status or CLIENT_GONE
        finally:
            CORRELATION.reset(answering)
            self._metrics.answered(_route(scope), scope["method"], answer.status or 500, answer.seconds)

    async def _answer(self, headers: dict[bytes, bytes], scope: Scope, receive: Receive, answer: _Answer) -> None:
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refuse(Request(scope), refusal)(scope, receive, answer.send)
            return
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            raise
        except Exception as error:
            # Its message may quote content: only its kind and place are written.
            LOGGER.error("unexpected: %s", kind_and_place(error))
            if answer.status:
                raise ClientDisconnect from None  # half an answer is out: only ending the connection tells the client
            await refuse(Request(scope), UnexpectedError())(scope, receive, answer.send)

    def _refusal(self, method: str, headers: dict[bytes, bytes]) -> Misdirected | None:
        if self._hosts is not None and _host(headers.get(b"host", b"")) not in self._hosts:
            return Misdirected(where="header Host")
        if headers.get(b"sec-fetch-site") == b"cross-site" and not _followed(method, headers):
            return Misdirected("a page of another site may not use this server", where="header Sec-Fetch-Site")
        return None


class _Answer:
    """Passes the application's answer on and remembers what it was."""

    def __init__(self, send: Send, correlation: str) -> None:
        self._send = send
        self._started = time.perf_counter()
        self.correlation = correlation
        self.status = 0
        self.seconds = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.seconds = time.perf_counter() - self._started
            message["headers"] = [*message["headers"], (CORRELATION_HEADER, self.correlation.encode()), *SAFE_HEADERS]
            names = [name for name, _ in message["headers"]]
            message["headers"] += [header for header in _UNLESS_SET if header[0] not in names]
        await self._send(message)


def _correlation(sent: bytes) -> str:
    """The sender's own, or a new version 4 UUID (RFC 9562 §5.4), made without the six objects that the library's takes."""
    if sent and _UUID.fullmatch(sent):
        return sent.decode().lower()
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _followed(method: str, headers: dict[bytes, bytes]) -> bool:
    """Whether somebody follows a link to a page of its own: the site it stands on can neither read nor frame the answer.

    Source: W3C Fetch Metadata Request Headers §2 (``document`` is the destination of no frame).
    """
    to = headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")
    return method in ("GET", "HEAD") and to == (b"navigate", b"document")


def _host(header: bytes) -> str:
    """The name in a Host header, without port (RFC 9110 §7.2)."""
    text = header.decode("latin-1").lower()
    return text[: text.find("]") + 1] if text.startswith("[") else text.partition(":")[0]


def _route(scope: Scope) -> str:
    """The template of the route that answered."""
    return str(getattr(scope.get("route"), "path", "")) or "(none)"
