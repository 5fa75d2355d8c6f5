"""What is measured of any shape of the backbone against its floor: throughput in turn, and delay at a steady rate."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import uvloop

from tests.bench.load import send_all, send_at
from tests.bench.messages import messages
from tests.bench.rig import Rig

ROUNDS = 3

Running = Callable[[], AbstractContextManager[Rig]]
"""Starts a rig, and stops it at the end."""


def tell(what: str, figure: str) -> None:
    """Print one row of the table."""
    print(f"| {what} | {figure} |", flush=True)


def mllp(what: str, floor: Running, backbone: Running, count: int, connections: int) -> None:
    """ACKed → on the timeline, floor and backbone in turn: the median of the ratios, and the round in the middle."""
    ratios, figures = [], []
    for number in range(ROUNDS):
        sent = list(messages(count, run=f"R{number}"))
        least, least_spent = _throughput(floor, sent, connections)
        ours, spent = _throughput(backbone, sent, connections)
        ratios.append(ours / least)
        figures.append((ours, least, costs(spent), costs(least_spent)))
    ours, least, cost, floors = sorted(figures)[len(figures) // 2]
    ratio = f"ratio {statistics.median(ratios):.2f}; {cost} µs a message; floor {floors}"
    tell(f"{what}, {connections} connections, ACKed → on the timeline", f"{ours:,.0f}/s; floor {least:,.0f}/s; {ratio}")


def one_and_many(one: Running, many: Running, count: int, connections: int) -> None:
    """ACKed → on the timeline and acknowledged alone, by one process and by as many as there are processors, in turn."""
    figures: dict[str, list[tuple[float, float]]] = {"one": [], "many": []}
    for number in range(ROUNDS):
        sent = list(messages(count, run=f"N{number}"))
        for name, running in (("one", one), ("many", many)):
            with running() as rig:
                started = time.perf_counter()
                load = uvloop.run(send_all(rig.port, sent, connections))
                rig.await_projected(len(sent))
                assert not load.refused, "messages were refused"
                figures[name].append((count / (time.perf_counter() - started), load.acked / load.seconds))
    said = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in figures.items()}
    ratios = [many / one for one, many in zip(said["one"], said["many"], strict=True)]
    for what, place in (("ACKed → on the timeline", 0), ("ACKed", 1)):
        figure = f"{said['many'][place]:,.0f}/s; one process {said['one'][place]:,.0f}/s; {ratios[place]:.2f}"
        tell(f"`backbone serve`, {connections} connections, {what}", figure)


def costs(spent: Mapping[str, float]) -> str:
    """Who spends how much."""
    return ", ".join(f"{who} {one:.0f}" for who, one in spent.items())


def _throughput(running: Running, sent: list[bytes], connections: int) -> tuple[float, Mapping[str, float]]:
    """Messages a second from the first sent to the last on the timeline, and microseconds of the processor a message."""
    with running() as rig:
        before, started = rig.spent(), time.perf_counter()
        load = uvloop.run(send_all(rig.port, sent, connections))
        rig.await_projected(len(sent))
        seconds = time.perf_counter() - started
        assert not load.refused, "messages were refused"
        return len(sent) / seconds, {who: (now - before[who]) / len(sent) for who, now in rig.spent().items()}


def latency(what: str, backbone: Running, count: int, a_second: float = 200.0) -> None:
    """ACK → visible at a steady rate: when the position of the timeline passed the n-th message."""
    sent = list(messages(count))
    with backbone() as rig:
        seen: list[tuple[float, int]] = []

        async def watch_and_send() -> dict[int, float]:
            sending = asyncio.create_task(send_at(rig.port, sent, a_second))
            while not sending.done() or not seen or seen[-1][1] < count:
                known = rig.projected()
                if not seen or known > seen[-1][1]:
                    seen.append((time.monotonic(), known))
                await asyncio.sleep(0.001)
            return await sending

        acked = sorted(uvloop.run(watch_and_send()).values())
    delays = sorted(max(0.0, at - ack) for at, ack in zip(_visible(seen, count), acked, strict=True))
    p50, p99 = delays[len(delays) // 2] * 1000, delays[len(delays) * 99 // 100] * 1000
    tell(f"{what}, ACK → visible at {a_second:.0f} messages/s", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _visible(seen: list[tuple[float, int]], count: int) -> Iterator[float]:
    """For each of ``count`` messages in turn, when so many were on the timeline."""
    known = 0
    for at, total in seen:
        yield from [at] * (min(total, count) - known)
        known = min(total, count)
