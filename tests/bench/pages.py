"""Timeline pages: the gateway against a bare ASGI application that sends as many bytes after the same one query, and against
itself on a hundred or a thousand times as many entries; and `$everything` against the page that has the same resources.

Run as ``python -m tests.bench.pages [sqlite|postgresql] [ENTRIES]``. Everybody has 300 entries, as far apart as they can be
(`tests.many`), and each request is for somebody else. Each application runs in a process of its own under the same uvicorn; the
same load generator asks one after the other.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
import uvicorn

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.timeline.ask import shape_of, statement, values_of
from deploy.local.postgres import PostgresServer
from schemas.identifiers import PersonId
from schemas.timeline import Question
from tests.bench.measure import tell
from tests.bench.rig import READY_S, free_port
from tests.gateway.http_rig import Rig
from tests.many import Many, fill
from tests.stores import empty_database

CONNECTIONS = 16
SECONDS = 1.0
ROUNDS = 9
SMALL, LARGE = 10_000, 1_000_000
"""Entries."""
POOL = 5
"""Connections of the bare application, as many as the gateway has."""
FILLED_WITHIN = timedelta(hours=1)
"""Longest time of one statement while a store is filled: a VACUUM of 10,000,000 entries takes minutes."""
SERVER = {"shared_buffers": "1GB", "fsync": "off", "max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off"}
"""PostgreSQL is filled once and then only read."""


Query = Callable[[tuple[Any, ...]], Awaitable[object]]


async def _sqlite(url: str, words: str) -> Query:
    store = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

    async def query(values: tuple[Any, ...]) -> object:
        return store.execute(words, values).fetchall()

    return query


async def _postgresql(url: str, words: str) -> Query:
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    for _ in range(POOL):
        free.put_nowait(await psycopg.AsyncConnection.connect(url, autocommit=True))

    async def query(values: tuple[Any, ...]) -> object:
        connection = await free.get()
        try:
            return await (await connection.execute(words, values)).fetchall()
        finally:
            free.put_nowait(connection)

    return query


def bare(url: str, sample: PersonId) -> Any:
    """The least that answers: the same statement through the driver alone, and as many bytes as the sample's page has."""
    dialect = Database.connect(url).dialect
    composed = statement(shape_of(Question(person=sample), None)).on(dialect)
    page = asyncio.run(_page(url, sample))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(page)).encode())]
    made: list[Query] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if not made:
            opening = (
                _sqlite(url.removeprefix("sqlite:///"), composed.text) if "sqlite" in url else _postgresql(url, composed.text)
            )
            made.append(await opening)
        asked = Question(person=PersonId(scope["path"].split("/")[2]))
        await made[0](composed.bind(values_of(asked, None, dialect)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    return answer


async def _page(url: str, person: PersonId) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), database=Database.connect(url))
        answer = await rig.client.get(f"/people/{person}/timeline")
        assert len(answer.json()["entries"]) == 50
        await rig.database.close()
    return bytes(answer.content)


def serve(kind: str, url: str, sample: PersonId, port: int) -> None:
    app = bare(url, sample) if kind == "bare" else Rig(Path(), database=Database.connect(url)).app
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="off", ws="none", http="httptools")


PAGE, WITH_RESOURCES, EVERYTHING = "/people/{}/timeline", "/people/{}/timeline?include=resource", "/fhir/Patient/{}/$everything"


class Asked(NamedTuple):
    """A process, and what it is asked for."""

    port: int
    process: int
    many: Many
    path: str = PAGE


class Seen(NamedTuple):
    """What one round saw."""

    rate: float
    """Pages a second."""
    p99_ms: float
    cpu_us: float
    """Processor time of the server a page: what is left when the machine does other things as well."""


@contextmanager
def running(kind: str, url: str, many: Many) -> Iterator[Asked]:
    """The application as a process."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.pages", kind, url, many.person(0), str(port)])
    try:
        asyncio.run(_ready(port))
        yield Asked(port, process.pid, many)
    finally:
        process.terminate()
        process.wait(20)


async def _ready(port: int) -> None:
    end = time.monotonic() + 4 * READY_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


class _Reader(asyncio.Protocol):
    """One connection with one request in flight, of another person each time."""

    def __init__(self, ask: Callable[[], bytes], until: float) -> None:
        self._ask_for, self._until = ask, until
        self._wanted = 0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._ask_for())

    def data_received(self, data: bytes) -> None:
        if not self._wanted:
            head, _, body = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head[:100]
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            self._wanted = int(length) - len(body)
        else:
            self._wanted -= len(data)
        if self._wanted:
            return
        self.times.append(time.perf_counter() - self._began)
        if time.perf_counter() < self._until:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)


def _cpu_s(process: int) -> float:
    """Processor time it has used, by the kernel's count (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(asked: Asked, chance: random.Random) -> Seen:
    """Ask for `SECONDS`, for anybody's."""
    used = _cpu_s(asked.process)

    def request() -> bytes:
        path = asked.path.format(asked.many.person(chance.randrange(asked.many.people)))
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    until, loop = time.perf_counter() + SECONDS, asyncio.get_running_loop()
    readers = [
        (await loop.create_connection(lambda: _Reader(request, until), "127.0.0.1", asked.port))[1] for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(reader.done for reader in readers))
    times = sorted(seconds for reader in readers for seconds in reader.times)
    cpu_us = (_cpu_s(asked.process) - used) / len(times) * 1e6
    return Seen(len(times) / SECONDS, times[len(times) * 99 // 100] * 1000, cpu_us)


async def _in_turn(ones: dict[str, Asked]) -> dict[str, Seen]:
    """The medians of `ROUNDS` short rounds in turn, so that whatever else the machine does weighs on all alike; the first of
    each is not counted."""
    chance = random.Random(1)
    seen: dict[str, list[Seen]] = {kind: [] for kind in ones}
    for _ in range(ROUNDS + 1):
        for kind, asked in ones.items():
            seen[kind].append(await load(asked, chance))
    return {kind: Seen(*map(statistics.median, zip(*rows[1:], strict=True))) for kind, rows in seen.items()}


async def _filled(url: str, entries: int) -> Many:
    database = Database.connect(url, ConnectionSettings(statement_timeout=FILLED_WITHIN))
    many = await fill(database, entries)
    await database.close()
    return many


@contextmanager
def stores(engine: str) -> Iterator[Callable[[int], str]]:
    """Makes the URL of an empty store of ``engine``, told for how many entries."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-bench-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "postgres", SERVER) if engine == "postgresql" else None
    try:
        if server is not None:
            server.start()
            yield lambda entries: empty_database(server.url())
        else:
            yield lambda entries: f"sqlite:///{folder / f'{entries}.db'}"
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def everything(entries: int) -> None:
    """Tell how `$everything` compares with the page that has the same resources, on SQLite."""
    with stores("sqlite") as make:
        url = make(entries)
        with running("gateway", url, asyncio.run(_filled(url, entries))) as page:
            ones = {path: page._replace(path=path) for path in (WITH_RESOURCES, EVERYTHING)}
            whole, as_fhir = asyncio.run(_in_turn(ones)).values()
    figure = (
        f"{as_fhir.rate:,.0f}/s; page {whole.rate:,.0f}/s; {as_fhir.rate / whole.rate:.2f}; by the processor "
        f"{as_fhir.cpu_us:.0f} and {whole.cpu_us:.0f} µs, {whole.cpu_us / as_fhir.cpu_us:.2f}"
    )
    tell(f"`$everything` against the page with its resources, SQLite, {entries:,} entries", figure)


def measure(engine: str, large: int) -> None:
    """Print the ratios."""
    with stores(engine) as make, ExitStack() as started:
        ones: dict[str, Asked] = {}
        for entries in (SMALL, large):
            url, began = make(entries), time.monotonic()
            many = asyncio.run(_filled(url, entries))
            print(f"{engine}: {entries:,} entries of {many.people:,} people in {time.monotonic() - began:.0f} s", flush=True)
            ones[f"gateway {entries:,}"] = started.enter_context(running("gateway", url, many))
        ones["with resources"] = ones[f"gateway {large:,}"]._replace(path=WITH_RESOURCES)
        ones["$everything"] = ones[f"gateway {large:,}"]._replace(path=EVERYTHING)
        ones[f"bare {large:,}"] = started.enter_context(running("bare", url, many))
        middle = asyncio.run(_in_turn(ones))
    for kind, one in middle.items():
        print(f"  {kind:20} {one.rate:7,.0f} pages/s   p99 {one.p99_ms:6.2f} ms   {one.cpu_us:5.0f} µs of the processor a page")
    small, big, whole, as_fhir, least = middle.values()
    print(f"  gateway to bare: {big.rate / least.rate:.2f} by pages a second, {least.cpu_us / big.cpu_us:.2f} by the processor")
    by_cpu = whole.cpu_us / as_fhir.cpu_us
    print(f"  $everything to the page with resources: {as_fhir.rate / whole.rate:.2f}, {by_cpu:.2f} by the processor")
    print(f"  p99 at {large:,} to that at {SMALL:,}: {big.p99_ms / small.p99_ms:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        serve(sys.argv[1], sys.argv[2], PersonId(sys.argv[3]), int(sys.argv[4]))
    else:
        for engine in sys.argv[1:2] or ("sqlite", "postgresql"):
            measure(engine, int(sys.argv[2].replace("_", "")) if len(sys.argv) > 2 else LARGE)
