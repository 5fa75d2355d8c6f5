"""The new events of one transaction, the stored versions they affect, and what is decided about both."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.timeline.changes import Rejudged
from consumers.timeline.rows import TimelineRows
from consumers.timeline.versions.compose import ComposedEvent, recompose, render
from consumers.timeline.versions.fold import FoldedFact, RankedVersion
from consumers.timeline.versions.stray import Aim
from consumers.timeline.versions.version import Version


class Batch:
    """The events and versions that one transaction works on."""

    def __init__(self, rows: TimelineRows, connection: AsyncConnection) -> None:
        self.rows = rows
        self.connection = connection
        self.new: list[ComposedEvent] = []
        self.stored: dict[int, Version] = {}
        """Stored versions that are judged again, by place. Each is read once, so that all decisions change the same object."""
        self._read: dict[int, Version] = {}
        self._silent: dict[int, bool] = {}
        self.disturbed: set[str] = set()
        """Facts whose versions must all be judged again."""
        self.demoted: list[RankedVersion] = []
        """Newest stored versions of facts that are not disturbed, as they stand now: alone of their facts they were read."""

    async def take(self, events: Sequence[ComposedEvent]) -> None:
        """Keep the events that are not stored yet. Of several with the same id, keep the first."""
        seen = await self.rows.seen([one.version for one in events], self.connection)
        for one in events:
            if one.version.event not in seen:
                seen.add(one.version.event)
                self.new.append(one)

    async def history(self, records: Collection[str], stays: Collection[str]) -> list[ComposedEvent]:
        """All stored events of these records or, when ``stays`` are given, of those stays of theirs."""
        found = await self.rows.history(records, stays, self.connection) if records else []
        return [recompose(version) for version in self._keep(found)]

    async def read_disturbed(self) -> None:
        """Read the other versions of the disturbed facts."""
        if self.disturbed:
            self._keep(await self.rows.versions(self.disturbed, self.connection))

    def _keep(self, versions: Sequence[Version]) -> list[Version]:
        for version in versions:
            if self.stored.setdefault(version.place, version) is version:
                self._read[version.place] = msgspec.structs.replace(version)
        return [self.stored[version.place] for version in versions]

    def aim(self, version: Version, found: Aim) -> None:
        """Give a movement the fact it belongs to. When it is stray, or that fact is another now, the facts are judged again."""
        before = version.fact
        version.fact, version.named = found
        if found.named or found.fact != before:
            self.disturbed |= {found.fact, before}

    def decide(self, version: Version, silent: bool) -> None:
        """Note whether a snapshot only repeats what was already known (is silent)."""
        self._silent[version.place] = silent
        if version.place in self.stored and silent != (version.version is None):
            self.disturbed.add(version.fact)

    def silent(self, version: Version) -> bool:
        """Whether ``version`` is a snapshot that only repeats what was already known; ``False`` if it is not a snapshot."""
        stood = version.place in self.stored and version.version is None
        return version.digest is None and self._silent.get(version.place, stood)

    def rank(self, fact: FoldedFact) -> None:
        """Give the versions of ``fact`` their places among each other, and write those into their entries."""
        for one in fact.versions:
            version = one.version
            version.version, version.state, version.known_until, version.latest = (
                one.number,
                one.state,
                one.known_until,
                one.latest,
            )
            version.entry = render(version.entry, one.number, one.replaces)
        if fact.newest:
            self.demoted.append(fact.newest)

    def changed(self) -> list[Version]:
        """The stored versions that have changed since they were read."""
        return [version for place, version in self.stored.items() if version != self._read[place]]

    def rejudged(self) -> list[Rejudged]:
        """The stored versions that were judged again and have changed, with their states."""
        demoted = [Rejudged(one.version, one.version.state, one.state) for one in self.demoted]
        return demoted + [Rejudged(one, self._read[one.place].state, one.state) for one in self.changed()]
