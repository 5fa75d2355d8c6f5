"""The HTTP application: its routes, its errors, and what surrounds them."""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from importlib.metadata import version

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from gateway.http.documented import JSON, components
from gateway.http.envelope import Envelope
from gateway.http.problems import on_backbone_error, on_http_error
from gateway.http.strict_route import set_apart
from gateway.routes import events, health, intake, pages, people, quarantine, timeline
from gateway.routes import vocabulary as words
from gateway.routes.fhir import everything, process_message
from gateway.routes.fhir import patient as fhir
from gateway.uses.services import Operated, Services
from schemas.errors import BackboneError

SUBJECTS = (
    (timeline.routes, "people", "One person's timeline, across every source."),
    (everything.routes, "fhir", "FHIR R4: messages in, one Patient for each person out."),
    (intake.routes, "intake", "What sources send, and the receipts for it."),
    (people.routes, "people", ""),
    (process_message.routes, "fhir", ""),
    (fhir.routes, "fhir", ""),
    (quarantine.routes, "quarantine", "What was not understood, kept whole."),
    (words.routes, "words", "The vocabulary, for machines."),
    (health.routes, "operating", "For operators."),
    (pages.routes, "pages", ""),
)
"""Router, subject, and a description of the subject. Paths are looked up in this order, so the busiest come first."""

_DESCRIPTION = """Health and care records of many systems, as one timeline a person.

Errors are `application/problem+json` (RFC 9457), under `/fhir` an OperationOutcome; each has a stable code, where and the cure.
What a path does not document it does not take: an unknown query parameter is refused. A body may be compressed
(`Content-Encoding: gzip`)."""


_UNTRACED = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False)
"""The framework's own telemetry would send paths, which contain people's ids, and the texts of exceptions (promise P12)."""


def create_app(services: Services) -> FastAPI:
    """The application that answers requests with ``services``."""
    app = FastAPI(
        title="Care Backbone",
        version=version("care-backbone"),
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_UNTRACED,
    )
    app.state.services = services
    app.state.operated = services.operated
    app.state.openapi = cache(lambda: orjson.dumps(_described(app)))
    for routes in (timeline.direct, intake.direct, events.direct):
        app.router.routes.extend(routes.routes)  # not included: a request is then matched twice, which costs 13 µs
    for routes, _, _ in SUBJECTS:
        app.include_router(routes)
    set_apart(app.routes)
    app.add_exception_handler(BackboneError, on_backbone_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_middleware(Envelope, metrics=services.metrics, hosts=services.hosts)
    return app


def create_operators_app(operated: Operated, hosts: Container[str]) -> FastAPI:
    """``/health`` and ``/metrics`` alone, for a process of any role."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=_UNTRACED)
    app.state.operated = operated
    app.include_router(health.routes)
    app.add_exception_handler(BackboneError, on_backbone_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_middleware(Envelope, metrics=operated.metrics, hosts=hosts)
    return app


def _described(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document."""
    tags = [{"name": name, "description": says} for _, name, says in SUBJECTS if says]
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes, tags=tags)
    schemas = document["components"]["schemas"]
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs)
    document["components"]["schemas"] = schemas | components()
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        if JSON in operation["responses"].get("422", {}).get("content", ()):
            del operation["responses"]["422"]  # FastAPI's own words: what cannot be read is refused with 400
    return document
