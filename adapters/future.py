"""Flags events whose time is after their arrival: a mistake of the sender, except for event types about the future."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.catalogue import CATALOGUE
from schemas.event import Event

CLOCK_MARGIN = timedelta(days=1)
"""How far a sender's clock or time zone may be wrong before a time counts as in the future."""
FLAG = "time-in-future at time"
"""Flag of such an event. It is accepted all the same, because a sender of events or resources is responsible for their
times."""


def flagged(event: Event, received_at: datetime) -> tuple[str, ...]:
    """`FLAG` if ``event`` says that something happened that cannot have happened by ``received_at``."""
    happened_at = datetime.fromisoformat(event.time)
    return (FLAG,) if happened_at > received_at + CLOCK_MARGIN and not CATALOGUE[event.type].may_lie_ahead else ()
