"""Measures how far each projection is behind the log."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from consumers.database.database import Database
from consumers.following.recognise import Recogniser
from consumers.models import READ_MODELS
from consumers.place import named
from consumers.store.parked import counts
from consumers.store.positions import ReachedPosition, reached
from schemas.errors import LogMismatch
from schemas.log import EventLog


class Waiting(NamedTuple):
    """What is not yet applied of one partition."""

    events: int
    seconds: float


NOTHING = Waiting(0, 0.0)


class Lag(NamedTuple):
    """What a projection has not yet applied."""

    events: int
    """Records in the log after its positions."""
    seconds: float
    """Age in seconds of the oldest of them by the log's clock; 0 when there is none."""
    partitions: Mapping[int, Waiting] = MappingProxyType({})
    """The same for each partition, of all its topics."""
    parked: int = 0
    """How many events it has set aside because it cannot apply them."""


async def behind(log: EventLog, database: Database, recogniser: Recogniser | None = None) -> Mapping[str, Lag]:
    """How far behind each projection is, by its name.

    With ``recogniser`` the log is also looked at where projections stand still. Raises `LogUnavailable`, `StoreUnavailable`;
    `LogMismatch` when the log does not go on where a projection left off.
    """
    ends = {topic: await log.ends(topic) for topic in {topic for model in READ_MODELS for topic in model.topics}}
    starts = {topic: await log.starts(topic) for topic in ends}
    found: dict[str, Lag] = {}
    ages: dict[tuple[str, int, int], Waiting] = {}
    aside = await counts(database)
    for name, topics, *_ in READ_MODELS:
        stored = await reached(database, name)
        waiting: dict[int, Waiting] = {}
        for topic, partition, position in _wanted(topics, stored, starts):
            if position > ends[topic][partition]:  # it moved on meanwhile, or the log is another
                ends[topic] = await log.ends(topic)
            if not starts[topic][partition] <= position <= ends[topic][partition]:
                raise LogMismatch(where=named(name, topic, partition, position))
            waits_at = (topic, partition, position)
            if waits_at not in ages:  # projections that are applied together stand at the same position
                ages[waits_at] = await _waiting(log, topic, partition, position, ends[topic][partition])
            waiting[partition] = _together([waiting.get(partition, NOTHING), ages[waits_at]])
        if recogniser is not None:
            await recogniser.require(name, stored)
        found[name] = Lag(*_together(waiting.values()), waiting, aside.get(name, 0))
    return found


def _wanted(
    topics: Sequence[str], stored: Mapping[tuple[str, int], ReachedPosition], starts: Mapping[str, Mapping[int, int]]
) -> Iterator[tuple[str, int, int]]:
    """The next offset wanted from each partition of each of the topics."""
    for topic in topics:
        for partition, start in starts[topic].items():
            yield topic, partition, stored[topic, partition].next if (topic, partition) in stored else start


async def _waiting(log: EventLog, topic: str, partition: int, position: int, end: int) -> Waiting:
    if position >= end:
        return NOTHING
    oldest = await log.read(topic, partition, position, limit=1)
    return Waiting(end - position, max(0.0, time.time() - oldest[0].appended_at) if oldest else 0.0)


def _together(waiting: Collection[Waiting]) -> Waiting:
    return Waiting(sum(one.events for one in waiting), max((one.seconds for one in waiting), default=0.0))
