"""What every path does beyond what FastAPI does by itself.

* What it does not take is refused in our words (`gateway.uses.asked`): any query where the path function takes no `Asked`, a
  parameter given twice that may be given once, and whatever FastAPI refuses.
* A body in JSON is received with a deadline, a limit (the path's ``max_body_size``), and uncompressed (`gateway.http.body`).
* What can be asked by GET can be asked by HEAD (RFC 9110 §9.1), and every path by OPTIONS (§9.3.7), which says by what else.
* A path without parameters is never taken for the parameter of another: ``/people/search`` is no person's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Iterable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from gateway.http.body import MESSAGE_BYTES, expect, whole
from gateway.uses.asked import Asked, pairs_of, refusal, said_once
from schemas.errors import BackboneError

HEAD, OPTIONS = "HEAD", "OPTIONS"
_BY_HEAD = "backbone.head"
"""In a scope: it is answered as GET is, but without the content."""

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route as the module says."""

    query_model: type[Asked] | None = None
    """What the function takes of the query."""
    by_hand = False
    """Whether the function reads the query itself, which it then documents itself."""
    fixed: Container[str] = ()
    """Paths of other routes that have no parameter."""

    def get_route_handler(self) -> Answer:
        answer, models = super().get_route_handler(), [field.field_info.annotation for field in self.dependant.query_params]
        self.query_model = next((model for model in models if isinstance(model, type) and issubclass(model, Asked)), None)
        names = self._names
        self.by_hand = any(row["in"] == "query" for row in (self.openapi_extra or {}).get("parameters", ()))

        async def handle(request: Request) -> Response:
            query = request.scope["query_string"]
            if query and not self.by_hand:
                said_once(pairs_of(query.decode("latin-1")), names)
            if self.body_field is not None:
                request = await _Received.whole(request, self.max_body_size or MESSAGE_BYTES)
            try:
                response = await answer(request)
            except RequestValidationError as error:
                raise self._refusal(error) from None
            return sent_by(request.scope, response)

        return handle

    @property
    def _names(self) -> Mapping[str, bool]:
        return self.query_model.names() if self.query_model else {}

    def _refusal(self, refused: RequestValidationError) -> BackboneError:
        """What FastAPI refused, in our words."""
        place = refused.errors()[0]["loc"][0]
        errors = [row | {"loc": row["loc"][1:]} for row in refused.errors() if row["loc"][0] == place]
        body = self.body_field.field_info.annotation if self.body_field else None
        unknown = self.query_model.unknown if self.query_model else ""
        return refusal(place, errors, getattr(body, "model_fields", ()) if place == "body" else self._names, unknown)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"] in self.fixed:
            return Match.NONE, {}
        return super().matches({**scope, "method": "GET"} if scope["method"] == HEAD else scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, methods = scope["method"], self.methods or ()
        if method == OPTIONS:
            await Response(status_code=204, headers=_allow(scope))(scope, receive, send)
        elif method == HEAD and "GET" in methods:
            await self.answer({**scope, "method": "GET", _BY_HEAD: True}, receive, send)
        elif method in methods:
            await self.answer(scope, receive, send)
        else:
            raise HTTPException(405, headers=_allow(scope))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of a method that is there."""
        await super().handle(scope, receive, send)


class _Received(Request):
    """A request whose body, in JSON, has been received."""

    _content: bytes

    @classmethod
    async def whole(cls, request: Request, most: int) -> _Received:
        """Raises `WrongMediaType` and what `gateway.http.body.whole` does."""
        expect(request, "application/json")
        received = cls(request.scope)
        received._content = await whole(request, most)
        return received

    async def body(self) -> bytes:
        return self._content


def _direct(routes: Iterable[BaseRoute]) -> list[StrictRoute]:
    """The routes of ours, included or not."""
    found = [context.original_route for context in iter_route_contexts(list(routes))]
    return [route for route in found if isinstance(route, StrictRoute)]


def _allow(scope: Scope) -> dict[str, str]:
    """Every method the path can be asked with, whichever routes answer them (RFC 9110 §15.5.6)."""
    matching = [route for route in _direct(scope["app"].routes) if route.matches(scope)[0] is not Match.NONE]
    found = {method for route in matching for method in route.methods or ()}
    return {"allow": ", ".join(sorted(found | {OPTIONS} | ({HEAD} if "GET" in found else set())))}


def sent_by(scope: Scope, response: Response) -> Response:
    """The answer; by HEAD without its content, which is not even made: that of a live stream has no end."""
    if _BY_HEAD not in scope:
        return response
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head


def set_apart(routes: Iterable[BaseRoute]) -> None:
    """Keep the parameter of a path from standing for what is a path of its own."""
    direct = _direct(routes)
    fixed = frozenset(route.path for route in direct if not route.param_convertors)
    for route in direct:
        if route.param_convertors:
            route.fixed = fixed
