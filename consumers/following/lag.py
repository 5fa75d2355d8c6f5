"""Measures how far each projection is behind the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from consumers.database.database import Database
from consumers.following.recognise import Recogniser
from consumers.place import named
from consumers.store.parked import counts
from consumers.store.positions import reached
from schemas.errors import LogMismatch
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, EventLog

TOPIC_OF: Mapping[str, str] = MappingProxyType(
    {"people": EVENTS, "timeline": EVENTS, "receipts": RECEIPTS, "quarantine": QUARANTINE}
)
"""Projection → the topic it reads."""


class Waiting(NamedTuple):
    """What is not yet applied of one partition."""

    events: int
    seconds: float


class Lag(NamedTuple):
    """What a projection has not yet applied."""

    events: int
    """Records in the log after its positions."""
    seconds: float
    """Age in seconds of the oldest of them by the log's clock; 0 when there is none."""
    partitions: Mapping[int, Waiting] = MappingProxyType({})
    """The same for each partition of its topic."""
    parked: int = 0
    """How many events it has set aside because it cannot apply them."""


async def behind(log: EventLog, database: Database, recogniser: Recogniser | None = None) -> Mapping[str, Lag]:
    """How far behind each projection is, by its name.

    With ``recogniser`` the log is also looked at where projections stand still. Raises `LogUnavailable`, `StoreUnavailable`;
    `LogMismatch` when the log does not go on where a projection left off.
    """
    ends = {topic: await log.ends(topic) for topic in set(TOPIC_OF.values())}
    starts = {topic: await log.starts(topic) for topic in ends}
    found: dict[str, Lag] = {}
    ages: dict[tuple[str, int, int], Waiting] = {}
    aside = await counts(database)
    for name, topic in TOPIC_OF.items():
        stored = await reached(database, name)
        wanted = {
            partition: stored[topic, partition].next if (topic, partition) in stored else start
            for partition, start in starts[topic].items()
        }
        for partition, position in wanted.items():
            if position > ends[topic][partition]:  # it moved on meanwhile, or the log is another
                ends[topic] = await log.ends(topic)
            if not starts[topic][partition] <= position <= ends[topic][partition]:
                raise LogMismatch(where=named(name, topic, partition, position))
            place = (topic, partition, position)
            if place not in ages:  # projections that are applied together stand at the same place
                ages[place] = await _waiting(log, topic, partition, position, ends[topic][partition])
        if recogniser is not None:
            await recogniser.require(name, stored)
        partitions = {partition: ages[topic, partition, position] for partition, position in wanted.items()}
        found[name] = _together(partitions, aside.get(name, 0))
    return found


async def _waiting(log: EventLog, topic: str, partition: int, position: int, end: int) -> Waiting:
    if position >= end:
        return Waiting(0, 0.0)
    oldest = await log.read(topic, partition, position, limit=1)
    return Waiting(end - position, max(0.0, time.time() - oldest[0].appended_at) if oldest else 0.0)


def _together(partitions: Mapping[int, Waiting], parked: int) -> Lag:
    events = sum(waiting.events for waiting in partitions.values())
    return Lag(events, max((waiting.seconds for waiting in partitions.values()), default=0.0), partitions, parked)
