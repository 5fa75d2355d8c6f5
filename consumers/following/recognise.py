"""Recognises the log by the records that were applied.

A log restored to an earlier moment, or another log in its place, may be as long as what was read of it once new records have
arrived. Where a projection left off it then holds another record than the one applied there.
"""

from __future__ import annotations

from collections.abc import Mapping

from consumers.place import named
from consumers.store.positions import ReachedPosition, fingerprint
from schemas.errors import LogMismatch
from schemas.log import EventLog, Record


def require_applied(record: Record, reached: ReachedPosition, projection: str) -> None:
    """Check that ``record``, which stands before the position, is the one that was applied. Raises `LogMismatch`."""
    if fingerprint(record) != reached.last:
        where = named(projection, record.topic, record.partition, record.offset)
        raise LogMismatch("the log holds another record than the one that was applied", where=where)


class Recogniser:
    """Reads the record before each position: of each that it sees first, and once of each at which a projection stands still.

    A position that moves is checked by whoever moves it (`consumers.following.applier`): it would have to be looked at every
    time.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._before: dict[tuple[str, str, int], ReachedPosition] = {}
        self._recognised: dict[tuple[str, int], ReachedPosition] = {}

    async def require(self, projection: str, reached: Mapping[tuple[str, int], ReachedPosition]) -> None:
        """Check where ``projection`` stands, by topic and partition. Raises `LogMismatch`, `LogUnavailable`."""
        for partition, at in reached.items():
            stands = self._before.get((projection, *partition), at) == at
            self._before[projection, *partition] = at
            if stands and self._recognised.get(partition) != at:
                await self._look(projection, partition, at)

    async def _look(self, projection: str, partition: tuple[str, int], at: ReachedPosition) -> None:
        """A record that retention removed meanwhile proves nothing, and is passed over."""
        if at.next and at.last:
            for record in await self._log.read(*partition, at.next - 1, limit=1):
                if record.offset < at.next:
                    require_applied(record, at, projection)
        self._recognised[partition] = at
