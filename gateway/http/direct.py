"""Routers of paths whose functions take the request and return the response."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.strict_route import StrictRoute
from gateway.uses.services import Services


def router(subject: str) -> APIRouter:
    """A router of strict routes; ``subject`` groups them in the documentation."""
    return APIRouter(route_class=StrictRoute, tags=[subject], default_response_class=Response)


def services(request: Request) -> Services:
    """What the application was made with (`gateway.app.create_app`)."""
    found: Services = request.app.state.services
    return found
