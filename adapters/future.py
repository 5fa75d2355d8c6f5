"""Times that lie ahead of their arrival: a slip of the sender's, but for the event types that say what is to come."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.event import Event

AHEAD = timedelta(days=1)
"""A sender's clock, or its time zone, may be wrong by so much before a time counts as one in the future."""
MAY_LIE_AHEAD = frozenset({"encounter-planned-1", "encounter-discharge-planned-1"})
"""Event types that say what is to come."""
SAYS_IT_IS_OVER = frozenset({"service-ended-1", "carer-ended-1"})
"""Event types that say that something is over. An end that lies ahead is a plan: nothing is over, and nothing wrong."""
FLAG = "time-in-future at time"
"""Of an event that is taken in all the same: who sends events or resources of its own says what it means."""


def flagged(event: Event, received_at: datetime) -> tuple[str, ...]:
    """`FLAG` when ``event`` says that something has happened which cannot have by ``received_at``."""
    happened_at = datetime.fromisoformat(event.time)
    return (FLAG,) if happened_at > received_at + AHEAD and event.type not in MAY_LIE_AHEAD else ()
