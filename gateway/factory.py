"""The composition root: the only place that names concrete classes and plugs them together.

What is heavy is imported by the method that needs it, so that a command pays for what it uses and no more.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway.locks import PRIVATE
from gateway.serve import Role
from gateway.settings.secret import key_secret
from gateway.settings.shapes import Address, Settings, SourceSettings, Url
from schemas.errors import NotFound, SettingsError, UnknownSource
from schemas.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    import ssl

    from adapters.intake import Intake
    from adapters.registry import Registry
    from adapters.sources.folder import DropFolder
    from adapters.sources.mllp import MllpListener
    from adapters.translator import Translator
    from consumers.people.query import PeopleQuery
    from consumers.projection import Projection
    from consumers.quarantine.query import QuarantineQuery
    from consumers.receipts.query import ReceiptsQuery
    from consumers.runner import Runner
    from consumers.store.database import Database
    from consumers.timeline.query import TimelineQuery
    from gateway.freshness import Freshness
    from gateway.parts.part import Part
    from gateway.services import Services
    from gateway.telemetry import Metrics
    from schemas.log import EventLog

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})
"""Names that a request on this machine calls it by; any other is a page of another site (DNS rebinding)."""


def host_name(address: Address) -> str:
    """What a request's Host header says of ``address``, without the port."""
    return str(address).rpartition(":")[0].lower()


def now() -> datetime:
    """The clock: aware, in UTC."""
    return datetime.now(UTC)


def _owner() -> str:
    """Names this process among those that run the same projections: no other one, now or later, has it."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Factory:
    """Makes what one event loop works with, each thing once.

    Use it as an asynchronous context: what it opened it closes, last first.

    ``writes``: it may make what it needs, the data folder, the key secret and the files of the embedded engines.
    """

    def __init__(self, settings: Settings, *, writes: bool = True) -> None:
        self.settings = settings
        self._writes = writes
        self._opened = AsyncExitStack()
        self._log: EventLog | None = None
        self._intake: Intake | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._opened.aclose()

    def source(self, source: str) -> SourceSettings:
        """The declared source of that id. Raises `UnknownSource`."""
        found = self.settings.sources.get(source)
        if found is None:
            known = ", ".join(self.settings.sources) or "none"
            raise UnknownSource(where="SOURCE", cure=f"Declared are: {known}. `backbone source add` declares one.")
        return found

    @cached_property
    def metrics(self) -> Metrics:
        """What this process counts."""
        from gateway.telemetry import Metrics

        return Metrics()

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Raises `SettingsError` when there is no key secret and none may be made."""
        secret = key_secret(self.settings, create=self._writes)
        if secret is None:
            raise NotFound("there is no key secret yet", where=str(self.settings.data), cure="`backbone serve` makes it.")
        return Pseudonyms(secret)

    @cached_property
    def registry(self) -> Registry:
        """Which translator reads what. Raises `MappingError` for a mapping file that cannot be used."""
        from adapters.registry import Registry

        return Registry({name: self._translator(source) for name, source in self.settings.sources.items()}, self._formats)

    @cached_property
    def _formats(self) -> Mapping[str, Translator]:
        """The translators that serve every source."""
        from adapters.cloudevents import CloudEventsTranslator
        from adapters.fhir.translate import FhirTranslator
        from adapters.hl7v2.translate import Hl7v2Translator

        return {"hl7v2": Hl7v2Translator(), "fhir": FhirTranslator(), "cloudevents": CloudEventsTranslator()}

    def _translator(self, source: SourceSettings) -> Translator:
        """What ``source`` reads."""
        if source.mapping is None:
            return self._formats[source.reads]
        from adapters.tabular.mapping import load_mapping
        from adapters.tabular.translate import TabularTranslator

        return TabularTranslator(load_mapping(source.mapping.read_text("utf-8"), str(source.mapping)))

    async def log(self) -> EventLog:
        """The event log, opened once. Raises `SettingsError`, `LogUnavailable`."""
        from adapters.eventlog.connect import connect

        if self._log is None:
            self._prepare(self.settings.log)
            if self._writes:
                _ = self.pseudonyms  # the secret before the log: a log whose secret is gone is refused
            self._log = await connect(self.settings.log, partitions=self.settings.partitions)
            self._opened.push_async_callback(self._log.close)
        return self._log

    @cached_property
    def database(self) -> Database:
        """The store; nothing is asked of it yet."""
        from consumers.store.database import Database
        from consumers.store.engines import Settings as Connecting

        self._prepare(self.settings.store)
        pace = self.settings.postgresql
        connecting = Connecting(
            pool=pace.pool,
            pool_timeout=pace.pool_wait,
            connect_timeout=pace.connect,
            statement_timeout=pace.statement,
            idle_timeout=pace.idle,
            pooler=pace.pooler != "none",
        )
        database = Database.connect(self.settings.store, connecting)
        self._opened.push_async_callback(database.close)
        return database

    def _prepare(self, engine: Url) -> None:
        """Make the folder of an embedded engine. Raises `NotFound` when it is not there and nothing may be made."""
        if engine.file is None:
            return
        if self._writes:
            engine.file.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        elif not engine.file.exists():
            raise NotFound("nothing was taken in here yet", where=str(engine.file), cure="Start with `backbone serve`.")

    @cached_property
    def trial_pseudonyms(self) -> Pseudonyms:
        """For a dry run: the backbone's own, or, where there is no secret yet, those of one that is thrown away."""
        return Pseudonyms(key_secret(self.settings, create=False) or secrets.token_bytes(32))

    async def intake(self) -> Intake:
        """The one way in, opened once: it knows what arrived of late. Raises `LogUnavailable`."""
        from adapters.intake import Intake

        if self._intake is None:
            intake = Intake(await self.log(), self.registry, self.pseudonyms, now, self.metrics)
            await intake.open()
            self._intake = intake
        return self._intake

    async def parts(self, roles: Collection[Role]) -> list[Part]:
        """The parts of a server that has these roles. Raises `SettingsError` when they have nothing to do."""
        parts: list[Part] = []
        if Role.GATEWAY in roles:
            parts.append(await self._http())
        if Role.INTAKE in roles:
            parts += await self._doors()
        if Role.PROJECTIONS in roles:
            parts.append(self._projections())
        if not parts:
            cure = "Name another role beside it: what delivers to subscribers is not part of this version."
            raise SettingsError("a server of this role has nothing to do", where="--only", cure=cure)
        return parts

    async def _http(self) -> Part:
        from gateway.app import create_app
        from gateway.listen import listen
        from gateway.parts.http import HttpPart

        bound = listen("http", self.settings.http)
        services = await self.services()
        return HttpPart(create_app(services), bound, services.freshness, services.stopping, self.settings.limits)

    async def services(self) -> Services:
        """What the routes may use."""
        from gateway.services import Services

        limits = self.settings.limits
        return Services(
            log=await self.log(),
            sources=self.settings.sources,
            people=self.people,
            timeline=self.timeline,
            receipts=self.receipts,
            quarantine=self.quarantine,
            freshness=await self.freshness(),
            metrics=self.metrics,
            intake=await self.intake(),
            hosts=LOOPBACK_HOSTS | {host_name(self.settings.http)},
            body_bytes=limits.body,
            patience=limits.next_byte,
        )

    @cached_property
    def people(self) -> PeopleQuery:
        """Who is who."""
        from consumers.people.query import PeopleQuery

        return PeopleQuery(self.database, self.pseudonyms, {name: row.source for name, row in self.settings.sources.items()})

    @cached_property
    def timeline(self) -> TimelineQuery:
        """What happened to a person."""
        from consumers.timeline.query import TimelineQuery

        return TimelineQuery(self.database)

    @cached_property
    def receipts(self) -> ReceiptsQuery:
        """What became of what arrived."""
        from consumers.receipts.query import ReceiptsQuery

        return ReceiptsQuery(self.database)

    @cached_property
    def quarantine(self) -> QuarantineQuery:
        """What was not understood."""
        from consumers.quarantine.query import QuarantineQuery

        return QuarantineQuery(self.database)

    async def freshness(self) -> Freshness:
        """How far what is read is behind."""
        from consumers.lag import behind
        from gateway.freshness import Freshness

        log, database = await self.log(), self.database
        sources, activity = self.settings.sources, self.receipts.activity
        return Freshness(sources, lambda: behind(log, database), activity, now, self.metrics.behind)

    def projections(self) -> list[Projection]:
        """Every read model."""
        from consumers.people.project import PeopleProjection
        from consumers.quarantine.project import QuarantineProjection
        from consumers.receipts.project import ReceiptsProjection
        from consumers.timeline.project import TimelineProjection

        sources = {name: declared.source for name, declared in self.settings.sources.items()}
        return [PeopleProjection(self.pseudonyms), TimelineProjection(sources), ReceiptsProjection(), QuarantineProjection()]

    def _projections(self) -> Part:
        from gateway.parts.projections import ProjectionsPart

        return ProjectionsPart([projection.name for projection in self.projections()], self._runners)

    @asynccontextmanager
    async def _runners(self) -> AsyncIterator[list[Runner]]:
        """The projections' runners, on the event loop that asks for them, which gets engines of its own."""
        from consumers.runner import Runner
        from consumers.store.migrate import migrate

        async with Factory(self.settings) as there:
            if self.settings.log.embedded:
                there._log = await self.log()  # of any thread, and it wakes its followers at once
            await migrate(there.database)
            log, owner = await there.log(), _owner()
            yield [Runner(projection, log, there.database, owner, now) for projection in self.projections()]

    async def _doors(self) -> list[Part]:
        from gateway.parts.doors import FoldersPart, MllpPart, Watched

        intake = await self.intake()
        doors: list[Part] = [MllpPart(self._listener(intake))]
        folders = [(source, source.folder) for source in self.settings.sources.values() if source.folder is not None]
        if folders:
            watched = [Watched(s.source.id, path, self._drop_folder(intake, s, path)) for s, path in folders]
            doors.append(FoldersPart(watched))
        return doors

    def _listener(self, intake: Intake) -> MllpListener:
        from adapters.sources.mllp import MllpListener
        from adapters.sources.mllp_connection import Limits
        from adapters.sources.mllp_senders import MllpSource, Senders
        from gateway.listen import resolve

        limits = self.settings.limits
        senders = Senders(
            MllpSource(s.source, s.match.sending_application, s.match.sending_facility, s.tls_client)
            for s in self.settings.sources.values()
            if s.match is not None
        )
        _, address = resolve("mllp", self.settings.mllp)
        patience = Limits(
            message_bytes=limits.mllp_frame,
            connections_per_peer=limits.mllp_connections,
            first_byte=limits.first_byte,
            next_byte=limits.next_byte,
        )
        return MllpListener(intake, senders, address, patience, self._mllp_tls(), self.metrics)

    def _mllp_tls(self) -> ssl.SSLContext | None:
        from adapters.sources.mllp_tls import listening

        tls = self.settings.mllp_tls
        if tls.certificate is None or tls.key is None:
            return None
        return listening(tls.certificate, tls.key, tls.client_authority)

    def _drop_folder(self, intake: Intake, source: SourceSettings, folder: Path) -> DropFolder:
        from adapters.sources.folder import DropFolder

        pace = self.settings.folders
        return DropFolder(intake, source.source, folder, now, settle=pace.settle, interval=pace.interval, observer=self.metrics)
