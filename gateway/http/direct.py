"""How a handler is called: with the request, and nothing between.

FastAPI's own way (parameters injected one by one) takes 190 µs a request for the timeline's twelve parameters; this takes 15 µs
over a bare ASGI app. The parameters are read by one table, which also documents them (`gateway.uses.parameters`), and what
that table does not name is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from gateway.uses.services import Services
from schemas.errors import InvalidRequest

HEAD, OPTIONS = "HEAD", "OPTIONS"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route whose handler takes the request and returns the response.

    A query on a path that documents none is refused here: a filter that is not one must not widen an answer in silence.
    What can be asked by GET can be asked by HEAD (RFC 9110 §9.1), which answers the same but for the content, and every path by
    OPTIONS with what it can be asked by (§9.3.7).
    """

    fixed: Container[str] = ()
    """Paths of other routes without a parameter: they are not what a parameter of this one stands for."""

    def __init__(self, path: str, endpoint: Handler, **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        documented = (self.openapi_extra or {}).get("parameters", ())
        takes_query = any(parameter["in"] == "query" for parameter in documented)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["query_string"] and not takes_query:
                raise InvalidRequest("this path takes no parameters", where="query", cure="Leave out what follows “?”.")
            response = await endpoint(Request(scope, receive, send))
            if scope["method"] == HEAD:
                await _head_of(response, send)
            else:
                await response(scope, receive, send)

        self.app = answer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"] in self.fixed:
            return Match.NONE, {}
        return super().matches({**scope, "method": "GET"} if scope["method"] == HEAD else scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self.methods or ()
        if scope["method"] in methods or (scope["method"] == HEAD and "GET" in methods):
            await self.app(scope, receive, send)
        elif scope["method"] == OPTIONS:
            await Response(status_code=204, headers={"allow": ", ".join(_allowed(scope))})(scope, receive, send)
        else:
            raise HTTPException(405, headers={"allow": ", ".join(_allowed(scope))})


def _allowed(scope: Scope) -> list[str]:
    """Every method the path can be asked with, whichever routes answer them (RFC 9110 §15.5.6)."""
    found = {
        method
        for route in scope["app"].routes
        if isinstance(route, DirectRoute) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return sorted(found | {OPTIONS} | ({HEAD} if "GET" in found else set()))


async def _head_of(response: Response, send: Send) -> None:
    """Answer without the content: it is not even made, as that of a live stream has no end."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": b""})


def set_apart(routes: Iterable[BaseRoute]) -> None:
    """Keep the parameter of a path from standing for what is a path of its own: ``/people/search`` is no person's."""
    direct = [route for route in routes if isinstance(route, DirectRoute)]
    fixed = frozenset(route.path for route in direct if not route.param_convertors)
    for route in direct:
        if route.param_convertors:
            route.fixed = fixed


def router(subject: str) -> APIRouter:
    """A router of direct routes; ``subject`` groups them in the documentation."""
    return APIRouter(route_class=DirectRoute, tags=[subject], default_response_class=Response)


def services(request: Request) -> Services:
    """What the application was made with (`gateway.app.create_app`)."""
    found: Services = request.app.state.services
    return found
