"""What the routes may use, filled by the factory and by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from adapters.intake.receive import Intake
from consumers.people.model import PEOPLE
from consumers.people.query import PeopleQuery
from consumers.projection import ReadModel
from consumers.quarantine.model import QUARANTINE
from consumers.quarantine.query import QuarantineQuery
from consumers.receipts.model import RECEIPTS
from consumers.receipts.query import ReceiptsQuery
from consumers.timeline.model import TIMELINE
from consumers.timeline.query import TimelineQuery
from gateway.settings.shapes import SourceSettings
from gateway.settings.values import Door
from gateway.uses.live import Changed, News
from gateway.watching.freshness import Freshness
from schemas.errors import DoorClosed, NotFound, UnknownSource
from schemas.log import EventLog

BODY_BYTES = 256 * 1024 * 1024
"""Largest body taken in unless set: a year of one council's rows is about 60 MiB."""
PATIENCE = timedelta(seconds=10)
"""How long a body may take before it must come at a steady rate (`gateway.http.body`)."""


class ServedMetrics(Protocol):
    """What is counted here, and everything that was counted, for ``/metrics``."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is a template, never a path, ``seconds`` until the first byte of the answer."""
        ...

    def exposition(self) -> bytes:
        """Everything counted in this process, in the Prometheus text format."""
        ...


class ServerSiblings(Protocol):
    """The other processes of a server that is several."""

    async def exposition(self) -> bytes:
        """Everything counted in the server, in the Prometheus text format."""
        ...

    async def unready(self) -> Mapping[str, Sequence[str]]:
        """Kind of readiness (`gateway.routes.readiness`; empty: as a whole) → those that stand in its way."""
        ...


Query = TypeVar("Query")
Queries = Callable[[ReadModel[Any]], Any]
"""Read model → what answers from it, always the same."""
Answers = Callable[[], Awaitable[None]]
"""Raises `schemas.errors.EngineUnavailable` with the cure when the store, or the ledger, cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Operated:
    """What operators ask of one process, whatever its roles."""

    log: EventLog
    metrics: ServedMetrics
    taking_in: bool
    """Whether this process takes anything in."""
    store: Answers | None = None
    """``None`` in a process that needs the log alone."""
    ledger: Answers | None = None
    """``None`` in a process that writes nothing to it."""
    freshness: Freshness | None = None
    """``None`` where nothing is measured."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Where the embedded engines keep their files, by engine."""
    siblings: ServerSiblings | None = None
    """``None`` where this process is the whole server."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """The engines and queries of one process."""

    log: EventLog
    sources: Mapping[str, SourceSettings]
    """By id, as declared."""
    queries: Queries
    changed: Changed
    """Whose timelines changed."""
    store: Answers
    freshness: Freshness
    metrics: ServedMetrics
    ledger: Answers | None = None
    """As in `Operated`."""
    intake: Intake | None = None
    """``None`` in a process that does not take in."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """As in `Operated`."""
    siblings: ServerSiblings | None = None
    """As in `Operated`."""
    hosts: Container[str] | None = None
    """Names this server answers to, without port; ``None``: any. See `gateway.http.host_names`."""
    body_bytes: int = BODY_BYTES
    patience: timedelta = PATIENCE
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is told to stop: live streams end then, instead of holding it up."""

    def query(self, model: ReadModel[Query]) -> Query:
        """What answers from ``model``."""
        found: Query = self.queries(model)
        return found

    @property
    def people(self) -> PeopleQuery:
        """Who is who."""
        return self.query(PEOPLE)

    @property
    def timeline(self) -> TimelineQuery:
        """What happened to a person."""
        return self.query(TIMELINE)

    @property
    def receipts(self) -> ReceiptsQuery:
        """What became of what arrived."""
        return self.query(RECEIPTS)

    @property
    def quarantine(self) -> QuarantineQuery:
        """What was not understood."""
        return self.query(QUARANTINE)

    @cached_property
    def news(self) -> News:
        """What all live streams of this process listen to."""
        return News(self.changed, self.stopping)

    @property
    def operated(self) -> Operated:
        """What of it operators ask."""
        return Operated(
            log=self.log,
            metrics=self.metrics,
            taking_in=self.intake is not None,
            store=self.store,
            ledger=self.ledger,
            freshness=self.freshness,
            folders=self.folders,
            siblings=self.siblings,
        )

    @property
    def taking_in(self) -> Intake:
        """The intake. Raises `NotFound` in a process without one."""
        if self.intake is None:
            cure = "Send it to a process that was started with `intake` among its `--only` parts, or without `--only`."
            raise NotFound("this process does not take anything in", cure=cure)
        return self.intake

    def declared(self, source: str, door: Door = Door.HTTP) -> SourceSettings:
        """The settings of a source that may send through ``door``. Raises `UnknownSource`, `DoorClosed`."""
        found = self.sources.get(source)
        if found is None:
            raise UnknownSource(where="source")
        if door not in found.doors:
            raise DoorClosed(f"{source} may not send through {door}", where="source")
        return found
