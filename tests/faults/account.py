"""What became of messages that were acknowledged: counted in the log and on the timeline, by their events' ids."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import psycopg

from adapters.eventlog.connect import connect
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Arrival
from schemas.event import Event
from schemas.log import EVENTS, EventLog, Record
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source

HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation="RX1")
"""As the sample settings declare it."""


class Account(NamedTuple):
    """The figures of docs/reliability.md."""

    acknowledged: int
    """Messages."""
    events: int
    """Expected of them."""
    lost: int
    """Events of acknowledged messages that are not in the log, or not on the timeline."""
    doubled: int
    """Events that the timeline has twice."""
    inverted: int
    """Records whose events stand in the log in another order than they were sent."""
    resent: int
    """Copies in the log of events it has already: harmless, and known by their ids."""

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.inverted)


class _Read(msgspec.Struct):
    id: str
    time: str


_READ = msgspec.json.Decoder(_Read)


def expected(messages: Iterable[bytes], secret: bytes) -> set[str]:
    """Ids of the events that ``messages`` make: a function of what they say, not of when they arrive."""
    translator, arrival = Hl7v2Translator(), Arrival(HOSPITAL, datetime.now(UTC), Pseudonyms(secret))
    events: list[Event] = []
    for message in messages:
        for item in translator.translate(io.BytesIO(message), arrival):
            assert item.rejection is None, item.rejection
            events += item.events
    return {event.id for event in events}


async def count(acknowledged: list[bytes], log_url: str, partitions: int, store_url: str, secret: bytes) -> Account:
    """The account of ``acknowledged``, once everything has been projected."""
    wanted = expected(acknowledged, secret)
    log = await connect(log_url, partitions=partitions)
    try:
        order: dict[str, list[str]] = defaultdict(list)
        seen: Counter[str] = Counter()
        for record in await _everything(log):
            event = _READ.decode(record.value)
            if not seen[event.id]:
                order[record.key].append(event.time)
            seen[event.id] += 1
    finally:
        await log.close()
    with psycopg.connect(store_url) as store:
        shown: Counter[str] = Counter(row[0] for row in store.execute("SELECT event FROM timeline_version"))
    return Account(
        acknowledged=len(acknowledged),
        events=len(wanted),
        lost=len(wanted - seen.keys()) + len(wanted - shown.keys()),
        doubled=sum(times > 1 for times in shown.values()),
        inverted=sum(times != sorted(times) for times in order.values()),
        resent=sum(times - 1 for times in seen.values()),
    )


async def _everything(log: EventLog) -> list[Record]:
    records: list[Record] = []
    for partition, end in (await log.ends(EVENTS)).items():
        start = 0
        while start < end:
            batch = await log.read(EVENTS, partition, start, 5000)
            assert batch, f"partition {partition} cannot be read from {start} on"
            records += batch
            start = batch[-1].offset + 1
    return records
