"""Routes on which FastAPI's way to its function would cost more than a tenth of the answer: the function is called directly.

It is written as any other, and FastAPI documents it. What it takes is read here, as far as such functions take anything: the
request, what is in the path and in the query, and `Depends`. Measured in processor time: a page of a timeline takes 600 µs by
FastAPI's injection and 390 by this, a message taken in 410 and 350.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http.strict_route import StrictRoute, sent_by
from gateway.uses.asked import pairs_of, read_query, said_once


class DirectRoute(StrictRoute):
    """A route whose function is given what it takes without FastAPI, and returns the response."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response: Response = await self.endpoint(**await self._given(request))
        await sent_by(scope, response)(scope, receive, send)

    async def _given(self, request: Request) -> dict[str, Any]:
        """The arguments of the function. Raises `InvalidRequest`."""
        taken, query = self.dependant, request.scope["query_string"].decode("latin-1")
        given: dict[str, Any] = {field.name: request.path_params[field.alias] for field in taken.path_params}
        if self.query_model is not None:
            given[taken.query_params[0].name] = read_query(self.query_model, query) if query else self.query_model()
        elif query and not self.by_hand:
            said_once(pairs_of(query), {})
        for needed in (taken, *taken.dependencies):
            arguments = {needed.request_param_name: request} if needed.request_param_name else {}
            if needed is taken:
                given |= arguments
            elif needed.call is not None and needed.name is not None:
                given[needed.name] = await needed.call(**arguments)
        return given
