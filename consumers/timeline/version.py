"""One version of one fact: a row of the timeline, and how it stands among the others."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from schemas.catalogue import CATALOGUE, Movement

WITHDRAWALS = frozenset(row.name for row in CATALOGUE.values() if row.movement is Movement.WITHDRAWS)
"""Types that say that a fact did not happen or was entered in error."""


class State(IntEnum):
    """How a version stands."""

    HIDDEN = 0
    """Says nothing: repeats what was known, or withdraws what nobody stated."""
    PAST = 1
    """Was replaced by a newer version."""
    CURRENT = 2
    """The newest, and it states the fact."""
    PAST_WITHDRAWAL = -1
    WITHDRAWN = -2
    """The newest, and it withdraws the fact."""


class Version(msgspec.Struct, gc=False):
    """A row of ``timeline_version``, its fields in the order of the columns."""

    place: int
    """Of its event in the log (`consumers.place`)."""
    occurred_at: int
    """Microseconds since the epoch; of a day its first instant."""
    tie: int
    """Order among entries of one instant: as the catalogue lists their types, then by the event's id. Never by arrival."""
    recorded_at: int
    """Microseconds since the epoch: known from then on."""
    known_until: int | None
    """A newer version was known from then on."""
    state: int
    version: int | None
    """Number among the versions of the fact in the source's order; ``None`` of one that repeats what was known."""
    record: str
    fact: str
    """The fact it is a version of."""
    event: str
    order: str
    latest: str
    """Of the newest version: the greatest order among those of the fact that repeat it, else its own."""
    named: str | None
    """The fact a stray withdrawal named (`consumers.timeline.stray`)."""
    correlation: str | None
    type: str
    sector: str
    source: str
    classification: str
    digest: str | None
    """Of what it states: an equal one after it repeats it. ``None`` of a snapshot, judged by all that was known."""
    entry: str
    """The JSON it is served as."""
    resource: str
    """The event's Bundle."""

    @property
    def withdraws(self) -> bool:
        return self.type in WITHDRAWALS

    @property
    def rank(self) -> tuple[str, bool, int]:
        """Its place among the versions of its fact. Of equals a withdrawal comes last, then the log decides."""
        return self.order, self.type in WITHDRAWALS, self.place


COLUMNS = Version.__struct_fields__
