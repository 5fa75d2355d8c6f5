"""``make bench``: every figure of docs/performance.md, those with a floor as ratios of one run.

Run it on a quiet machine; ``python -m tests.bench quick`` takes a tenth of the messages.
"""

from __future__ import annotations

import csv
import io
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files

import psutil
import uvloop

from adapters.hl7v2.translate import Hl7v2Translator
from adapters.tabular.mapping import load_mapping
from adapters.tabular.translate import TabularTranslator
from schemas.identifiers import OdsCode
from schemas.source import Sector, Source
from tests.bench.load import send_all, send_at
from tests.bench.messages import messages, numbers
from tests.bench.rig import BackboneRig, Rig, running
from tests.bench.translate import rate

HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation=OdsCode("RX1"))
COUNCIL = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL, organisation=OdsCode("E10000099"))
ROUNDS = 3


def tell(what: str, figure: str) -> None:
    """Print one row of the table."""
    print(f"| {what} | {figure} |", flush=True)


def council_rows(count: int, first: int = 0) -> bytes:
    """A service extract of so many people from ``first`` on, after the shape of the sample's first service."""
    sample = (files("gateway") / "samples" / "riverside-services.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(sample)))
    service = next(row for row in rows if row["Event Type"] == "Service" and not row["Event End Date"])
    out = io.StringIO()
    writer = csv.DictWriter(out, service.keys(), lineterminator="\n")
    writer.writeheader()
    for person, number in zip(range(first, first + count), numbers(2 * first), strict=False):
        writer.writerow({**service, "LA Person Unique Identifier": f"RC{person:07d}", "NHS Number": number})
    return out.getvalue().encode()


def translating(count: int) -> None:
    """One core: messages and rows, with validation and encoding."""
    hl7 = Hl7v2Translator()
    rate(hl7, HOSPITAL, messages(500))
    # People nobody has seen yet in each round: what is remembered of a message helps the next one about the same person only.
    rounds = [list(messages(count, first=round_number * count)) for round_number in range(1, ROUNDS + 1)]
    best = max(rate(hl7, HOSPITAL, sent) for sent in rounds)
    tell("HL7 parse + translate, one core", f"{best:,.0f} messages/s")
    mapping = files("adapters.tabular") / "mappings" / "riverside-adult-care.yaml"
    council = TabularTranslator(load_mapping(mapping.read_text("utf-8"), "riverside-adult-care.yaml"))
    best = max(rate(council, COUNCIL, [council_rows(count, one * count)]) for one in range(1, ROUNDS + 1))
    tell("mapping rows (50 columns) with validation, one core", f"{best:,.0f} rows/s")


def _throughput(kind: type[Rig], sent: list[bytes], connections: int) -> tuple[float, list[float]]:
    """Messages a second from the first sent to the last on the timeline, and each process's microseconds a message."""
    with running(kind) as rig:
        processes = [psutil.Process(process.pid) for process in rig.processes]
        before = [sum(process.cpu_times()[:2]) for process in processes]
        started = time.perf_counter()
        load = uvloop.run(send_all(rig.port, sent, connections))
        rig.await_projected(len(sent))
        seconds = time.perf_counter() - started
        assert not load.refused, "messages were refused"
        spent = [sum(process.cpu_times()[:2]) - begun for process, begun in zip(processes, before, strict=True)]
    return len(sent) / seconds, [one / len(sent) * 1e6 for one in spent]


def mllp(count: int, connections: int) -> None:
    """ACKed → on the timeline, floor and backbone in turn."""
    ratios, figures = [], []
    for round_number in range(ROUNDS):
        sent = list(messages(count, run=f"R{round_number}"))
        floor, _ = _throughput(Rig, sent, connections)
        ours, spent = _throughput(BackboneRig, sent, connections)
        ratios.append(ours / floor)
        figures.append((ours, floor, spent))
    ours, floor, spent = sorted(figures)[len(figures) // 2]
    each = " + ".join(f"{one:.0f}" for one in reversed(spent))
    what = f"MLLP, {connections} connections, ACKed → on the timeline"
    tell(what, f"{ours:,.0f}/s; floor {floor:,.0f}/s; ratio {statistics.median(ratios):.2f}; {each} µs a message")


def latency(count: int, a_second: float = 200.0) -> None:
    """ACK → visible at a steady rate: when the position of the timeline passed the n-th message."""
    with running(BackboneRig) as rig:
        sent = list(messages(count))
        seen: list[tuple[float, int]] = []

        async def watch_and_send() -> dict[int, float]:
            import asyncio

            sending = asyncio.create_task(send_at(rig.port, sent, a_second))
            while not sending.done() or not seen or seen[-1][1] < count:
                known = rig.projected()
                if not seen or known > seen[-1][1]:
                    seen.append((time.monotonic(), known))
                await asyncio.sleep(0.001)
            return await sending

        acked = sorted(uvloop.run(watch_and_send()).values())
    delays = sorted(max(0.0, at - ack) for at, ack in zip(visible(seen, count), acked, strict=True))
    p50, p99 = delays[len(delays) // 2] * 1000, delays[len(delays) * 99 // 100] * 1000
    tell(f"ACK → visible at {a_second:.0f} messages/s", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def visible(seen: list[tuple[float, int]], count: int) -> Iterator[float]:
    """For each of ``count`` messages in turn, when so many were on the timeline."""
    known = 0
    for at, total in seen:
        yield from [at] * (min(total, count) - known)
        known = min(total, count)


def starting() -> None:
    """From the command to readiness, and the memory of an idle server."""
    seconds, memory = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with running(_Whole) as rig:
            seconds.append(time.perf_counter() - started)
            time.sleep(2)
            memory.append(psutil.Process(rig.processes[0].pid).memory_info().rss / 2**20)
    tell(
        "`backbone serve`, an empty folder",
        f"ready in {statistics.median(seconds):.2f} s, {statistics.median(memory):.0f} MB idle",
    )


class _Whole(BackboneRig):
    """Every role in one process."""

    roles = ("gateway,intake,projections",)


def main(scale: Callable[[int], int]) -> None:
    """Print the table."""
    print("| measure | figure |\n|---|---|")
    starting()
    translating(scale(20_000))
    for connections in (32, 256):
        mllp(scale(30_000), connections)
    latency(scale(4_000))


if __name__ == "__main__":
    main((lambda count: count // 10) if "quick" in sys.argv else (lambda count: count))
