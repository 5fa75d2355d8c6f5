"""The composition root: engines, queries and projections, each named here and nowhere else.

Beside it, `gateway.composition.translators` names the translators, `gateway.composition.doors` the doors, and
`gateway.composition.assembly` puts a server together from all of them. No other module names concrete classes. Anything heavy
is imported by the method that needs it, so that a command pays only for what it uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from gateway.composition.declared import DeclaredSources, SourceDirectory
from gateway.composition.remembered import RememberedIdentity
from gateway.composition.translators import formats, translators
from gateway.http.host_names import host_names
from gateway.serving.locks import PRIVATE
from gateway.settings.secret import key_secret
from gateway.settings.shapes import Settings, SourceSettings
from gateway.settings.values import Url
from schemas.errors import NotFound, SettingsError, UnknownSource
from schemas.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from adapters.intake.receive import Intake
    from adapters.registry import Registry
    from consumers.database.database import Database
    from consumers.database.engines import ConnectionSettings
    from consumers.ledger.write import LedgerWriter
    from consumers.projection import Projection, ReadModel
    from gateway.uses.services import Services
    from gateway.watching.freshness import Freshness
    from gateway.watching.observers import Observer
    from gateway.watching.telemetry import Metrics
    from gateway.watching.tracing import Tracing
    from schemas.log import EventLog
    from schemas.source import Source


Query = TypeVar("Query")


def now() -> datetime:
    """The clock: aware, in UTC."""
    return datetime.now(UTC)


class Factory:
    """Makes everything one event loop works with, each thing once.

    Use it as an asynchronous context: it closes what it opened, last first.

    With ``writes`` it may create what it needs: the data folder, the key secret and the files of the embedded engines.
    ``log``, ``metrics`` and ``declared`` are borrowed from another factory: it uses them and does not close them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        writes: bool = True,
        log: EventLog | None = None,
        metrics: Metrics | None = None,
        declared: DeclaredSources | None = None,
    ) -> None:
        self.settings = settings
        self.declared = declared or DeclaredSources(settings.sources)
        """The sources in force: at first those of the settings."""
        self._writes = writes
        self._opened = AsyncExitStack()
        self._log = log
        self._metrics = metrics
        self._intake: Intake | None = None
        self._freshness: Freshness | None = None
        self._queries: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._opened.aclose()

    def source(self, source: str) -> SourceSettings:
        """The declared source of that id. Raises `UnknownSource`."""
        found = self.declared.get(source)
        if found is None:
            known = ", ".join(self.declared) or "none"
            raise UnknownSource(where="SOURCE", cure=f"The declared sources are: {known}. `backbone source add` declares one.")
        return found

    @cached_property
    def metrics(self) -> Metrics:
        """What this process counts."""
        if self._metrics is not None:
            return self._metrics
        from gateway.watching.telemetry import Metrics

        metrics = Metrics()
        for source in self.declared.values():
            metrics.declare(source.source.id, source.doors)
        return metrics

    @cached_property
    def observer(self) -> Observer:
        """What the intake and the projections of this process report to."""
        if self.tracing is None:
            return self.metrics
        from gateway.watching.observers import Observers

        return Observers(self.metrics, self.tracing)

    @cached_property
    def tracing(self) -> Tracing | None:
        """Where spans go; ``None``, with nothing imported, unless set. Raises `SettingsError` when tracing is not installed."""
        if self.settings.traces.endpoint is None:
            return None
        try:
            from gateway.watching.tracing import Tracing
        except ModuleNotFoundError as missing:
            cure = "pip install 'care-backbone[traces]', or remove traces.endpoint."
            message = f"traces need {missing.name}, which is not installed"
            raise SettingsError(message, where="traces.endpoint", cure=cure) from None
        tracing = Tracing(self.settings.traces)
        self._opened.push_async_callback(asyncio.to_thread, tracing.close)
        return tracing

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """Keys made with the backbone's secret. Raises `NotFound` when there is none and none may be made; see `key_secret`."""
        secret = key_secret(self.settings, create=self._writes)
        if secret is None:
            raise NotFound("there is no key secret yet", where=str(self.settings.data), cure="`backbone serve` makes it.")
        return Pseudonyms(secret)

    @cached_property
    def registry(self) -> Registry:
        """Which translator reads what. Raises an ``ExceptionGroup`` of `MappingError` when mapping files cannot be used."""
        from adapters.registry import Registry

        own, wrong = translators(self.declared)
        if wrong:
            raise ExceptionGroup("mappings", wrong)
        return Registry(own, formats())

    async def log(self) -> EventLog:
        """The event log, opened once. Raises `SettingsError` (another secret, another log), `LogUnavailable`."""
        from adapters.eventlog.connect import connect
        from gateway.composition.log_identity import open_known
        from gateway.composition.secret_identity import note

        if self._log is None:
            self._prepare(self.settings.log)
            if self._writes:
                _ = self.pseudonyms  # the secret before the log: a log whose secret is gone is refused
            url, partitions = self.settings.log, self.settings.partitions
            log = await open_known(
                self.settings.data,
                lambda create: connect(url, partitions=partitions, create=create),
                create=self._writes,
            )
            self._opened.push_async_callback(log.close)
            if self._writes:
                await note(log, self.pseudonyms)
            self._log = log
        return self._log

    @cached_property
    def database(self) -> Database:
        """The store, not yet connected to."""
        from consumers.database.database import Database

        self._prepare(self.settings.store)
        database = Database.connect(self.settings.store, self._connecting())
        self._opened.push_async_callback(database.close)
        return database

    def _connecting(self) -> ConnectionSettings:
        from consumers.database.engines import ConnectionSettings

        pace = self.settings.postgresql
        return ConnectionSettings(
            pool=pace.pool,
            pool_timeout=pace.pool_wait,
            connect_timeout=pace.connect,
            statement_timeout=pace.statement,
            idle_timeout=pace.idle,
            pooler=pace.pooler != "none",
        )

    @cached_property
    def ledger_database(self) -> Database:
        """The ledger, to be read, not yet connected to."""
        database = self._ledger_database()
        self._opened.push_async_callback(database.close)
        return database

    @cached_property
    def ledger(self) -> LedgerWriter:
        """The ledger, to be written; it is made or looked at with the first write."""
        from consumers.ledger.migrate import prepare
        from consumers.ledger.write import LedgerWriter

        memory = self.ledger_memory

        async def right_one(database: Database) -> None:
            identity = await prepare(database, memory.known())
            with contextlib.suppress(OSError):  # as in some containers: then another ledger is not recognised
                memory.note(identity)

        self._prepare(self.settings.ledger)
        writer = LedgerWriter(self._ledger_database(), right_one, self.metrics)
        self._opened.push_async_callback(writer.close)
        return writer

    def _ledger_database(self) -> Database:
        from consumers.database.database import Database
        from consumers.database.use import LEDGER

        return Database.connect(self.settings.ledger, self._connecting(), LEDGER)

    @property
    def ledger_memory(self) -> RememberedIdentity:
        """Which ledger was used so far."""
        return RememberedIdentity(self.settings.data / "ledger-identity")

    async def ledger_answers(self) -> None:
        """Raises `LedgerUnavailable` with the cure when the ledger used so far cannot be read."""
        from consumers.ledger.migrate import answering

        await answering(self.ledger_database, self.ledger_memory.known())

    def _prepare(self, engine: Url) -> None:
        """Make the folder of an embedded engine. Raises `NotFound` when the engine's file is missing and may not be made."""
        if engine.file is None:
            return
        if self._writes:
            engine.file.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        elif not engine.file.exists():
            raise NotFound("this is not there yet", where=str(engine.file), cure="The first `backbone serve` makes it.")

    @cached_property
    def trial_pseudonyms(self) -> Pseudonyms:
        """For a dry run: the backbone's own, or, while there is no secret yet, keys from one that is thrown away."""
        return Pseudonyms(key_secret(self.settings, create=False) or secrets.token_bytes(32))

    @property
    def has_secret(self) -> bool:
        """Whether the keys of a dry run are the ones the log will have."""
        return key_secret(self.settings, create=False) is not None

    async def intake(self) -> Intake:
        """The one way in, opened once, knowing what arrived recently. Raises `LogUnavailable`."""
        from adapters.intake.receive import Intake
        from gateway.composition.log_identity import remember

        if self._intake is None:
            if not self.settings.log.embedded:  # an embedded one lies in the data folder itself, and the store knows it
                remember(self.settings.data, (await self.log()).identity)
            intake = Intake(await self.log(), self.registry, self.pseudonyms, now, self.observer)
            await intake.open()
            self._intake = intake
        return self._intake

    async def services(self) -> Services:
        """What the routes may use."""
        from consumers.timeline.feed import ChangeFeed
        from gateway.uses.services import Services

        limits = self.settings.limits
        return Services(
            log=await self.log(),
            sources=self.declared,
            queries=self.query,
            changed=ChangeFeed(self.database).changed,
            store=self.store_answers,
            ledger=self.ledger_answers,
            freshness=await self.freshness(),
            metrics=self.metrics,
            intake=await self.intake(),
            folders=self.settings.engine_folders,
            hosts=host_names(self.settings, self.settings.http),
            body_bytes=limits.body,
            patience=limits.next_byte,
        )

    async def store_answers(self) -> None:
        """Raises `StoreUnavailable` with the cure when the store cannot be read as it is now."""
        from consumers.models import answering

        await self.database.let_go()  # a process that does not read itself would first find out that another one made it anew
        await answering(self.database)

    @property
    def sources(self) -> Mapping[str, Source]:
        """The sources in force, as read models know them."""
        return SourceDirectory(self.declared)

    def query(self, model: ReadModel[Query]) -> Query:
        """What answers from ``model``, made once."""
        if model.name not in self._queries:
            self._queries[model.name] = model.query(self.database, self)
        found: Query = self._queries[model.name]
        return found

    async def freshness(self) -> Freshness:
        """How far the read models are behind: one measurement, shared by all who report it."""
        from consumers.following.lag import behind
        from consumers.following.recognise import Recogniser
        from consumers.receipts.model import RECEIPTS
        from gateway.watching.freshness import Freshness

        if self._freshness is None:
            log, database = await self.log(), self.database
            measure = partial(behind, log, database, Recogniser(log))
            self._freshness = Freshness(self.declared, measure, self.query(RECEIPTS).activity, now, self.metrics)
            self.metrics.watch(database.pools)
        return self._freshness

    def projections(self) -> list[Projection]:
        """Every read model."""
        from consumers.models import READ_MODELS

        return [model.projection(self) for model in READ_MODELS]
