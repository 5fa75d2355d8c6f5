"""The timeline projection: events in, versions of entries out.

An entry belongs to a source record, never to a person, so linking records moves no entry (`consumers.people`). The content of a
version is a function of its event; its number and state are a function of all events about its fact, its person and its stay,
in whatever order they arrive. Most events are the first of their fact or come after its newest version; for those, only the
newest version is read. Only an event out of order makes the other versions be read and judged again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.store.outbox import Change, Outbox
from consumers.timeline.batch import Batch
from consumers.timeline.changes import entry_changes
from consumers.timeline.judge import aim_strays, judge_snapshots
from consumers.timeline.rows import TimelineRows
from consumers.timeline.tables import NAME, TIMELINE_TABLES, TOPICS, TimelineTables
from consumers.timeline.versions.compose import compose
from consumers.timeline.versions.fold import comes_after, fold
from consumers.timeline.versions.version import Version
from schemas.log import Record
from schemas.source import Source


class TimelineProjection:
    """Writes the timeline (`consumers.projection.Projection`), and what it changes there into the outbox.

    ``sources`` are the declared ones by id: an entry carries the name its source has when the entry is written. Onto other
    tables than the live ones it changes nobody's timeline, and writes nothing into the outbox.
    """

    name = NAME
    topics = TOPICS

    def __init__(self, sources: Mapping[str, Source], tables: TimelineTables = TIMELINE_TABLES) -> None:
        self.tables = tables
        self._sources = sources
        self._rows = TimelineRows(tables)
        self._outbox = Outbox() if tables is TIMELINE_TABLES else None

    def onto(self, tables: TimelineTables) -> TimelineProjection:
        """See `consumers.projection.Projection.onto`."""
        return TimelineProjection(self._sources, tables)

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """See `consumers.projection.Projection.apply`."""
        batch = Batch(self._rows, connection)
        await batch.take([compose(record, self._sources) for record in records])
        await judge_snapshots(batch)
        await aim_strays(batch)
        changes = await _order_facts(batch)
        if self._outbox:
            await self._outbox.put(changes, connection)


async def _order_facts(batch: Batch) -> list[Change]:
    """Put the versions of every affected fact in order, and write those that are new or changed; returns what that changes."""
    fresh: defaultdict[str, list[Version]] = defaultdict(list)
    for one in batch.new:
        fresh[one.version.fact].append(one.version)
    calm = fresh.keys() - batch.disturbed
    newest = await batch.rows.newest(calm, batch.connection) if calm else {}
    batch.disturbed |= {fact for fact, last in newest.items() if not all(comes_after(one, last) for one in fresh[fact])}
    await batch.read_disturbed()
    for fact, versions in fresh.items():
        if fact not in batch.disturbed:
            batch.rank(fold(versions, _silent(batch, versions), newest.get(fact)))
    for versions in _disturbed(batch, fresh).values():
        batch.rank(fold(versions, _silent(batch, versions)))
    await batch.rows.restate(batch.changed(), batch.connection)
    await batch.rows.demote(batch.demoted, batch.connection)
    new = [one.version for one in batch.new]
    await batch.rows.insert(new, batch.connection)
    return entry_changes(new, batch.rejudged())


def _disturbed(batch: Batch, fresh: Mapping[str, list[Version]]) -> dict[str, list[Version]]:
    """All versions of each disturbed fact."""
    found = {fact: list(fresh.get(fact, ())) for fact in batch.disturbed}
    for version in batch.stored.values():
        if version.fact in found:
            found[version.fact].append(version)
    return found


def _silent(batch: Batch, versions: Iterable[Version]) -> set[int]:
    return {version.place for version in versions if batch.silent(version)}
