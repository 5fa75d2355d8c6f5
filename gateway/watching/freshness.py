"""How far the read models lag behind what was sent. Measured apart from requests: a page quotes the last measurement.

Two things make a timeline incomplete without anybody noticing: a projection behind the log, and a source that has stopped
sending (promise P10). Every page states both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec

from consumers.following.lag import Lag
from consumers.timeline.model import TIMELINE
from gateway import shapes
from gateway.settings.shapes import SourceSettings
from schemas.errors import BackboneError
from schemas.event import instant
from schemas.source import Source
from schemas.timeline import EntrySource

LOGGER = logging.getLogger("backbone.gateway")

EVERY = timedelta(seconds=1)
"""Time between measurements, and so the greatest age of a page's ``behind``; each takes two cheap queries."""
TRUSTED_FOR = timedelta(seconds=10)
"""Once a measurement is older than this (because an engine does not answer), its number of events is no longer quoted."""


class Measured(NamedTuple):
    """One measurement."""

    at: datetime
    behind: Mapping[str, Lag]
    """By projection."""
    heard: Mapping[str, datetime]
    """Time of the last arrival by source id, without sources that never sent anything."""


class Snapshot(NamedTuple):
    """What a page says about freshness, as JSON ready to be inserted."""

    behind: bytes = b'{"events":null,"seconds":null}'
    silent: Mapping[str, bytes] = MappingProxyType({})
    """By source id, for the silent ones."""

    def missing(self, sources: Iterable[str]) -> bytes:
        """The JSON array of those of ``sources`` that are silent."""
        return b"[" + b",".join([self.silent[source] for source in sources if source in self.silent]) + b"]"


class LagObserver(Protocol):
    """Told of each measurement."""

    def behind(self, projection: str, lag: Lag) -> None:
        """How far a projection is behind the log, and what it has set aside."""
        ...

    def heard(self, source: str, at: datetime | None, expected: timedelta | None) -> None:
        """When a declared source last sent something (``None`` for never), and how often it should."""
        ...

    def measured(self, at: datetime) -> None:
        """The measurement is complete."""
        ...


class Freshness:
    """Measures every `EVERY` while `keep` runs; `snapshot` holds the latest result.

    ``measure_behind`` and ``measure_heard`` ask the engines; ``clock`` gives aware times; ``observer`` is told what was found.
    """

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        measure_behind: Callable[[], Awaitable[Mapping[str, Lag]]],
        measure_heard: Callable[[], Awaitable[Mapping[str, datetime]]],
        clock: Callable[[], datetime],
        observer: LagObserver | None = None,
    ) -> None:
        self._sources = sources
        self._measure_behind = measure_behind
        self._measure_heard = measure_heard
        self._clock = clock
        self._observer = observer
        self._measured: Measured | None = None
        self.snapshot = Snapshot()

    async def keep(self) -> None:
        """Measure until cancelled. An engine that does not answer is asked again, and pages say since when it has not."""
        said = ""
        while True:
            try:
                await self.measure()
                said = ""
            except BackboneError as error:
                if said != error.code:
                    said = error.code
                    LOGGER.warning("how far the projections are behind is not known: %s", error)
                self._say()
            await asyncio.sleep(EVERY.total_seconds())

    async def measure(self) -> Measured:
        """Measure now and update `snapshot`. Raises `schemas.errors.EngineUnavailable`."""
        at = self._clock()  # before the log is asked where it ends: whatever was acknowledged by then is counted
        measured = self._measured = Measured(at, await self._measure_behind(), await self._measure_heard())
        self._say()
        self._tell(measured)
        return measured

    def _tell(self, measured: Measured) -> None:
        if self._observer is None:
            return
        for name, lag in measured.behind.items():
            self._observer.behind(name, lag)
        for source, row in self._sources.items():
            self._observer.heard(source, measured.heard.get(source), row.expect_every)
        self._observer.measured(measured.at)

    @property
    def behind(self) -> dict[str, shapes.Behind]:
        """How far each projection was behind when last measured."""
        return {name: self._lag(self._measured, name) for name in self._measured.behind} if self._measured else {}

    @property
    def parked(self) -> dict[str, int]:
        """How many events each projection had set aside when last measured."""
        return {name: lag.parked for name, lag in self._measured.behind.items()} if self._measured else {}

    def _say(self) -> None:
        if self._measured is not None:
            behind = msgspec.json.encode(self._lag(self._measured, TIMELINE.name))
            self.snapshot = Snapshot(behind, dict(self._silent(self._measured)))

    def _lag(self, measured: Measured, projection: str) -> shapes.Behind:
        lag, age = measured.behind[projection], self._clock() - measured.at
        if age < TRUSTED_FOR:
            return shapes.Behind(events=lag.events, seconds=round(lag.seconds, 3))
        return shapes.Behind(events=None, seconds=round(lag.seconds + age.total_seconds(), 3))

    def _silent(self, measured: Measured) -> Iterator[tuple[str, bytes]]:
        for source_id, row in self._sources.items():
            heard = measured.heard.get(source_id)
            if row.expect_every is not None and (heard is None or self._clock() - heard > row.expect_every):
                yield source_id, msgspec.json.encode(_missing(row.source, heard, row.expect_every))


def _missing(source: Source, heard: datetime | None, expected: timedelta) -> shapes.Missing:
    return shapes.Missing(
        source=EntrySource(id=source.id, name=source.name, sector=source.sector),
        reason="silent",
        last_heard_at=instant(heard) if heard else None,
        expected_every_seconds=int(expected.total_seconds()),
    )
