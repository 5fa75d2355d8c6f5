"""What open live streams cost the server, beyond what they are sent: processor time of the process that answers, a second.

Run as ``python -m tests.bench.live [CHECKOUT …]``: each checkout (with its own ``.venv``) in turn, by default this one. At 50
messages a second about people whom nobody follows, first without a stream, then with 10 and with 1,000 open ones, each of
another person; then as many about those who are followed. Source of the messages: `tests.bench.messages`.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.bench.load import send_all, send_at
from tests.bench.messages import messages, numbers
from tests.bench.rig import BackboneRig, running

STREAMS = (10, 1_000)
RATE = 50.0
SECONDS = 20
"""How long each figure is measured."""
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
GATEWAY = "gateway"


class Spent(NamedTuple):
    """What the answering process spent."""

    a_second: float
    """Milliseconds of the processor."""
    told: int
    """Events that the streams were sent meanwhile."""


def rig_of(checkout: Path) -> type[BackboneRig]:
    """A rig that runs the backbone of ``checkout``."""

    class Checkout(BackboneRig):
        roles = ("intake,projections", GATEWAY)

        @property
        def environment(self) -> dict[str, str]:
            return {"PYTHONPATH": str(checkout)}

        def commands(self) -> Iterator[list[str]]:
            for _, *arguments in super().commands():
                yield [str(checkout / ".venv" / "bin" / "python"), "-P", *arguments]

    return Checkout


class Streams:
    """Open streams, read to the last byte by this process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reading: list[asyncio.Task[None]] = []
        self.told = 0

    @property
    def open(self) -> int:
        return len(self._reading)

    async def add(self, person: str) -> None:
        """Open one, and wait until it has begun."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(f"GET /people/{person}/timeline/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await reader.readuntil(b"retry:")
        self._reading.append(asyncio.create_task(self._read(reader, writer)))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            self.told += piece.count(b"event: ")
        writer.close()

    async def close(self) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.wait(self._reading)


async def people(port: int, count: int) -> list[str]:
    """The ids of the first ``count`` people of the messages."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        found = []
        for _, number in zip(range(count), numbers(), strict=False):
            answer = await client.post("/people/search", json={"system": NHS_NUMBER, "value": number})
            found.append(str(answer.json()["person"]))
        return found


async def spent(rig: BackboneRig, streams: Streams, sent: list[bytes]) -> Spent:
    """While ``sent`` goes in at a steady rate."""
    await asyncio.sleep(1)
    before, told, began = rig.spent()[GATEWAY], streams.told, time.monotonic()
    await send_at(rig.port, sent, RATE)
    await asyncio.sleep(1)
    return Spent((rig.spent()[GATEWAY] - before) / 1000 / (time.monotonic() - began), streams.told - told)


async def measure(rig: BackboneRig) -> None:
    """Print the figures of one running backbone."""
    count, most = round(RATE * SECONDS), max(STREAMS)
    known = list(messages(4 * most))
    await send_all(rig.port, known[::4], 8)
    await asyncio.to_thread(rig.await_projected, most)
    everybody, streams = await people(rig.http, most), Streams(rig.http)
    base = await spent(rig, streams, list(messages(count, first=10_000)))
    print(f"  no stream: {base.a_second:.1f} ms of the processor a second", flush=True)
    for lot, wanted in enumerate(STREAMS, 1):
        for person in everybody[streams.open : wanted]:
            await streams.add(person)
        silent = await spent(rig, streams, list(messages(count, first=10_000 * (lot + 1))))
        busy = await spent(rig, streams, known[lot::4][:count])
        beyond, more = silent.a_second - base.a_second, busy.a_second - base.a_second
        print(
            f"  {wanted:5,} streams: {beyond:6.1f} ms a second more while nothing is sent ({silent.told} events);"
            f" {more:6.1f} ms when {busy.told / SECONDS:.0f} events a second are",
            flush=True,
        )
    await streams.close()


def main(checkouts: list[Path]) -> None:
    """Measure each of ``checkouts``."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    for checkout in checkouts:
        print(checkout.name, flush=True)
        with ExitStack() as stack:
            rig = stack.enter_context(running(rig_of(checkout)))
            assert isinstance(rig, BackboneRig)
            asyncio.run(measure(rig))


if __name__ == "__main__":
    main([Path(one).resolve() for one in sys.argv[1:]] or [Path(__file__).parents[2]])
