"""How far each projection is behind the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from consumers.store.database import Database
from consumers.store.positions import positions
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, EventLog

TOPIC_OF: Mapping[str, str] = MappingProxyType(
    {"people": EVENTS, "timeline": EVENTS, "receipts": RECEIPTS, "quarantine": QUARANTINE}
)
"""Projection → the topic it reads."""


class Behind(NamedTuple):
    """What a projection has not applied yet."""

    events: int
    """Records in the log after its positions."""
    seconds: float
    """Age of the oldest of them by the log's clock; 0 when there is none."""


async def behind(log: EventLog, database: Database) -> Mapping[str, Behind]:
    """How far each projection is behind, by its name. Raises `LogUnavailable`, `StoreUnavailable`."""
    ends = {topic: await log.ends(topic) for topic in set(TOPIC_OF.values())}
    starts = {topic: await log.starts(topic) for topic in ends}
    found: dict[str, Behind] = {}
    for name, topic in TOPIC_OF.items():
        stored = await positions(database, name)
        wanted = {partition: stored.get((topic, partition), start) for partition, start in starts[topic].items()}
        waiting = {partition: position for partition, position in wanted.items() if position < ends[topic][partition]}
        count = sum(ends[topic][partition] - position for partition, position in waiting.items())
        found[name] = Behind(count, await _age(log, topic, waiting))
    return found


async def _age(log: EventLog, topic: str, waiting: Mapping[int, int]) -> float:
    oldest = [record.appended_at for place in waiting.items() for record in await log.read(topic, *place, limit=1)]
    return max(0.0, time.time() - min(oldest)) if oldest else 0.0
