"""One version of one fact, which is a row of the timeline, and its state among the other versions."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from schemas.catalogue import CATALOGUE, Movement

WITHDRAWALS = frozenset(row.name for row in CATALOGUE.values() if row.movement is Movement.WITHDRAWS)
"""Event types that say that a fact did not happen or was entered in error."""


class State(IntEnum):
    """The state of a version among the versions of its fact."""

    HIDDEN = 0
    """Never shown: it repeats what was known, or withdraws a fact that nobody stated."""
    PAST = 1
    """Replaced by a newer version."""
    CURRENT = 2
    """The newest version, which states the fact."""
    PAST_WITHDRAWAL = -1
    """A withdrawal that was replaced by a newer version."""
    WITHDRAWN = -2
    """The newest version, which withdraws the fact."""


class Version(msgspec.Struct, gc=False):
    """A row of ``timeline_version``, its fields in the order of the columns."""

    place: int
    """Place of its event in the log (`consumers.place`)."""
    occurred_at: int
    """Microseconds since the epoch; for a day, its first instant."""
    tie: int
    """Order among entries of the same instant: by the catalogue's order of types, then by the event's id. Never by arrival."""
    recorded_at: int
    """Microseconds since the epoch: when the backbone learned of it."""
    known_until: int | None
    """Microseconds since the epoch: when a newer version was recorded; ``None`` if there is none."""
    state: int
    version: int | None
    """Number among the versions of the fact, in the source's order; ``None`` if it repeats what was known."""
    record: str
    fact: str
    """The fact it is a version of."""
    event: str
    order: str
    latest: str
    """The greatest ``order`` among this version and the silent ones that follow it directly."""
    named: str | None
    """The fact that a stray withdrawal names (`consumers.timeline.versions.stray`); ``None`` for anything else."""
    correlation: str | None
    type: str
    sector: str
    source: str
    classification: str
    digest: str | None
    """Digest of what it states: a later version with the same digest repeats it. ``None`` for a snapshot, which is compared
    with everything known (`consumers.timeline.versions.known`)."""
    entry: str
    """The entry as the JSON it is served as."""
    resource: str
    """The event's Bundle."""

    @property
    def withdraws(self) -> bool:
        return self.type in WITHDRAWALS

    @property
    def rank(self) -> tuple[str, bool, int]:
        """Sort key among the versions of its fact: between equals a withdrawal comes last, then the log decides."""
        return self.order, self.type in WITHDRAWALS, self.place


COLUMNS = Version.__struct_fields__
