"""A rebuild at size: events a second, memory on the way, and the same rows twice (promise P3).

Run as ``python -m tests.bench.rebuild [sqlite|postgresql] [EVENTS]``. The events are those that the real translator makes of
the bench's messages, appended straight to an embedded log.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from adapters.eventlog.connect import connect
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Arrival
from consumers.database.database import Database
from consumers.following.rebuild import rebuild
from consumers.models import migrate
from consumers.people.project import PeopleProjection
from consumers.projection import Projection
from consumers.timeline.project import TimelineProjection
from deploy.local.postgres import PostgresServer
from schemas.event import encode
from schemas.log import EVENTS, PARTITIONS, EventLog, NewRecord
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.bench.messages import messages
from tests.stores import empty_database

HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation="RX1")
PSEUDONYMS = Pseudonyms(bytes(32))
COUNT = 1_000_000
LOT = 2_000
"""Events appended at a time."""
LOOKED_EVERY = 50_000
"""Events between two looks at the memory."""


def events(count: int) -> Iterator[NewRecord]:
    """What becomes of ``count`` messages."""
    translator, arrival = Hl7v2Translator(), Arrival(HOSPITAL, datetime.now(UTC), PSEUDONYMS)
    for content in messages(count):
        for item in translator.translate(io.BytesIO(content), arrival):
            yield from (NewRecord(EVENTS, event.partitionkey, encode(event)) for event in item.events)


async def fill(log: EventLog, count: int) -> int:
    """Append the events; how many there are."""
    lot: list[NewRecord] = []
    made = 0
    for record in events(count):
        lot.append(record)
        if len(lot) == LOT:
            await log.append(lot)
            made, lot = made + len(lot), []
    await log.append(lot)
    return made + len(lot)


async def fingerprint(database: Database, projection: Projection) -> str:
    """Of every row of its tables, in their order."""
    found = hashlib.sha256()
    for table in projection.tables:
        words = table.select().order_by(*table.primary_key)
        if database.is_sqlite:  # its rows stay in the file until they are looked at
            async with database.reading() as connection:
                for row in await connection.execute(words):
                    found.update(repr(tuple(row)).encode())
            continue
        async with database.writing() as connection, connection.stream(words) as rows:  # a cursor needs a transaction
            async for row in rows:
                found.update(repr(tuple(row)).encode())
    return found.hexdigest()[:16]


async def once(projection: Projection, log: EventLog, database: Database) -> str:
    """Rebuild it, say how fast and in how much memory; the fingerprint of what came of it."""
    process, sizes = psutil.Process(), list[int]()

    def look(applied: int) -> None:
        if applied // LOOKED_EVERY >= len(sizes):
            sizes.append(process.memory_info().rss >> 20)

    began, used = time.perf_counter(), sum(process.cpu_times()[:2])
    made = await rebuild(projection, log, database, lambda: datetime.now(UTC), look)
    seconds, processor = time.perf_counter() - began, sum(process.cpu_times()[:2]) - used
    found = await fingerprint(database, projection)
    cost = f"{made / seconds:,.0f}/s, {processor / made * 1e6:.0f} µs of the processor each"
    memory = f"memory {sizes[0]} to {max(sizes)} MB, at the end {sizes[-1]}"
    print(f"  {projection.name}: {made:,} events, {cost}; {memory}; rows {found}", flush=True)
    return found


async def measure(log_url: str, store_url: str, count: int) -> None:
    """Rebuild every projection of events twice."""
    log, database = await connect(log_url, partitions=PARTITIONS), Database.connect(store_url)
    await migrate(database)
    began = time.perf_counter()
    made = await fill(log, count)
    print(f"{database.dialect.name}: {made:,} events in the log, {made / (time.perf_counter() - began):,.0f}/s", flush=True)
    for projection in (PeopleProjection(PSEUDONYMS), TimelineProjection({HOSPITAL.id: HOSPITAL})):
        assert await once(projection, log, database) == await once(projection, log, database), "the rows differ"
    await database.close()
    await log.close()


@contextmanager
def store_of(engine: str, folder: Path) -> Iterator[str]:
    """URL of an empty store."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
        return
    server = PostgresServer(folder / "postgres", {"shared_buffers": "512MB", "max_wal_size": "4GB"})
    server.start()
    try:
        yield empty_database(server.url())
    finally:
        server.kill()


def main(engine: str, count: int) -> None:
    """Print the figures."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="backbone-bench-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        url = held.enter_context(store_of(engine, folder))
        asyncio.run(measure(f"sqlite:///{folder / 'log.db'}", url, count))


if __name__ == "__main__":
    for engine in sys.argv[1:2] or ("sqlite", "postgresql"):
        main(engine, int(sys.argv[2].replace("_", "")) if len(sys.argv) > 2 else COUNT)
