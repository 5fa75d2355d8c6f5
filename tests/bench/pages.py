"""Timeline pages: the gateway against a bare ASGI application that sends the same bytes after the same one query.

Run as ``python -m tests.bench.pages``. One person has 300 entries among others' (``PEOPLE`` × 50); each application runs in a
process of its own under the same uvicorn, and the same load generator asks one after the other.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import uvicorn

from adapters.intake import Delivery
from consumers.timeline.ask import shape_of, statement, values_of
from schemas.identifiers import NHS_NUMBER, PersonId, nhs_number
from schemas.timeline import Question
from tests.bench.rig import READY_S, free_port
from tests.gateway.http_rig import SOURCES, Rig, rigged

CONNECTIONS = 16
SECONDS = 1.0
ROUNDS = 9
ENTRIES = 300
"""Of the person who is asked for."""
PEOPLE = 200
"""Others, of 50 entries each: 10,000 entries."""
_HEADER = "Date,Member ID,Time,Contact,Attended,NHS Number,What was done\n"


def _rows(member: str, number: str, count: int) -> Iterator[str]:
    for visit in range(count):
        day, month, hour = visit % 28 + 1, visit // 28 % 12 + 1, visit % 9 + 9
        yield f"{day:02}/{month:02}/2025,{member},{hour:02}:00,Home visit,yes,{number},Tea and a walk in the park\n"


def _numbers() -> Iterator[str]:
    return (
        number for nine in range(999_100_000, 999_200_000) for digit in range(10) if (number := nhs_number(f"{nine}{digit}"))
    )


async def fill(folder: Path, people: int) -> PersonId:
    """Make a store in ``folder``; the person with `ENTRIES` entries."""
    async with rigged(folder) as rig:
        numbers = _numbers()
        asked = next(numbers)
        await _take_in(rig, "".join(_rows("M0", asked, ENTRIES)))
        for start in range(0, people, 1000):
            some = range(start, min(people, start + 1000))
            await _take_in(rig, "".join("".join(_rows(f"M{one + 1}", next(numbers), 50)) for one in some))
        answer = await rig.client.post("/people/search", json={"system": NHS_NUMBER, "value": asked})
        return PersonId(answer.json()["person"])


async def _take_in(rig: Rig, rows: str) -> None:
    content = io.BytesIO((_HEADER + rows).encode())
    await rig.intake.receive(Delivery(SOURCES["willow-contacts"].source, "cli", content, "text/csv"))
    await rig.settle()


def bare(folder: Path, person: PersonId) -> Any:
    """The least that answers: the same statement through the driver alone, and the same bytes."""
    question = Question(person=person)
    rig = Rig(folder)
    dialect = rig.database.dialect
    composed = statement(shape_of(question, None)).on(dialect)
    text, values = composed.text, composed.bind(values_of(question, None, dialect))
    store = sqlite3.connect(folder / "store.db", isolation_level=None)
    page = asyncio.run(_page(rig, person))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(page)).encode())]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        store.execute(text, values).fetchall()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    return answer


async def _page(rig: Rig, person: PersonId) -> bytes:
    answer = await rig.client.get(f"/people/{person}/timeline")
    await rig.database.close()
    return bytes(answer.content)


def serve(kind: str, folder: Path, person: PersonId, port: int) -> None:
    app = bare(folder, person) if kind == "bare" else Rig(folder).app
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="off", ws="none", http="httptools")


class Seen(NamedTuple):
    """What one round saw."""

    rate: float
    """Pages a second."""
    p99_ms: float
    cpu_us: float
    """Processor time of the server a page: what is left when the machine does other things as well."""


@contextmanager
def running(kind: str, folder: Path, person: str) -> Iterator[tuple[int, int]]:
    """The application as a process; its port and process id."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.pages", kind, str(folder), person, str(port)])
    try:
        asyncio.run(_ready(port))
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


async def _ready(port: int) -> None:
    end = time.monotonic() + READY_S
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
    """One connection with one request in flight."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request, self._until = request, until
        self._wanted = 0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

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


async def load(port: int, process: int, path: str) -> Seen:
    """Ask for `SECONDS`."""
    used = _cpu_s(process)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    until, loop = time.perf_counter() + SECONDS, asyncio.get_running_loop()
    readers = [
        (await loop.create_connection(lambda: _Reader(request, until), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(reader.done for reader in readers))
    times = sorted(seconds for reader in readers for seconds in reader.times)
    cpu_us = (_cpu_s(process) - used) / len(times) * 1e6
    return Seen(len(times) / SECONDS, times[len(times) * 99 // 100] * 1000, cpu_us)


async def _in_turn(ones: Mapping[str, tuple[int, int]], path: str) -> dict[str, list[Seen]]:
    """Short rounds in turn, so that whatever else the machine does weighs on all alike; the first of each is not counted."""
    seen: dict[str, list[Seen]] = {kind: [] for kind in ones}
    for _ in range(ROUNDS + 1):
        for kind, (port, process) in ones.items():
            seen[kind].append(await load(port, process, path))
    return {kind: rows[1:] for kind, rows in seen.items()}


def measure(people: int) -> None:
    """Print the ratio, by the medians of `ROUNDS` rounds."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-bench-"))
    try:
        person = asyncio.run(fill(folder, people))
        with closing(sqlite3.connect(folder / "store.db")) as store:
            store.execute("ANALYZE")
        with running("bare", folder, person) as bare_one, running("gateway", folder, person) as gateway_one:
            seen = asyncio.run(_in_turn({"bare": bare_one, "gateway": gateway_one}, f"/people/{person}/timeline"))
        middle = {kind: Seen(*map(statistics.median, zip(*rows, strict=True))) for kind, rows in seen.items()}
        print(f"{people * 50 + ENTRIES:,} entries, {CONNECTIONS} connections")
        for kind, one in middle.items():
            print(
                f"  {kind:8} {one.rate:8,.0f} pages/s   p99 {one.p99_ms:6.2f} ms   {one.cpu_us:6.0f} µs of the processor a page"
            )
        rates, costs = ({kind: one[field] for kind, one in middle.items()} for field in (0, 2))
        print(f"  ratio    {rates['gateway'] / rates['bare']:8.2f}   by the processor {costs['bare'] / costs['gateway']:.2f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(sys.argv[1], Path(sys.argv[2]), PersonId(sys.argv[3]), int(sys.argv[4]))
    else:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE)
