"""The server is killed under load, again and again: what was acknowledged is on the timeline, once, in order (P1, P2)."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.bench.messages import messages
from tests.caught_up import caught_up
from tests.faults.senders import Sender
from tests.journeys.harness import Backbone
from tests.patience import eventually, pass_time

SENDERS = 16


Kill = Callable[[Backbone, int], None]
"""Kills a part of the server, given which kill it is, and waits until it is whole again."""


def the_whole(backbone: Backbone, _number: int) -> None:
    """The supervisor, with which its processes end; another server is started in the same folder."""
    backbone.end(signal.SIGKILL)
    backbone.start()


def each_in_turn(backbone: Backbone, number: int) -> None:
    """One process, which the supervisor starts again."""
    supervisor = psutil.Process(backbone.processes[0].pid)
    before = supervisor.children()
    before[number % len(before)].kill()
    eventually(lambda: len(supervisor.children()) == len(before) and before[number % len(before)] not in supervisor.children())
    backbone.processes[0].await_ready()


async def _kill_under_load(backbone: Backbone, kill: Kill, kills: int, count: int, seed: int) -> int:
    chance = random.Random(seed)
    sent = list(messages(count))
    # One person's messages keep their order, as a hospital's do: they all go through one sender.
    shares: list[list[bytes]] = [[] for _ in range(SENDERS)]
    for place, message in enumerate(sent):
        shares[place // 4 % SENDERS].append(message)
    senders = [Sender(backbone.mllp_port, share) for share in shares]
    running = [asyncio.create_task(sender.run()) for sender in senders]
    for number in range(kills):
        await pass_time(chance.uniform(0.05, 0.6))
        await asyncio.to_thread(kill, backbone, number)
    await asyncio.gather(*running)
    return sum(len(sender.acknowledged) for sender in senders)


def _kills(backbone: Backbone, kill: Kill, kills: int, count: int, seed: int) -> None:
    backbone.start()
    try:
        acknowledged = asyncio.run(_kill_under_load(backbone, kill, kills, count, seed))
        assert acknowledged == count
        ended = time.time()
        eventually(lambda: caught_up(str(backbone.http.base_url).rstrip("/"), ended))
        _check_timelines(backbone, count)
    finally:
        backbone.close()


def _check_timelines(backbone: Backbone, count: int) -> None:
    from tests.bench.messages import numbers

    for number, _ in zip(numbers(), range(0, count, 4), strict=False):
        entries = backbone.timeline(number)
        kinds = Counter(entry["type"] for entry in entries)
        assert kinds["encounter-admitted-1"] == 1, "lost or doubled"
        assert kinds["encounter-discharged-1"] == 1, "lost or doubled"
        assert all(times == 1 for times in kinds.values()), "doubled"
        assert [entry["version"] for entry in entries] == [1] * len(entries), "a second version of what came once"


def test_ten_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    _kills(Backbone(tmp_path), the_whole, kills=10, count=2_000, seed=1)


def test_killing_each_of_its_processes_in_turn_under_load_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path, {"BACKBONE_PROCESSES": "3"})
    _kills(backbone, each_in_turn, kills=6, count=2_000, seed=2)
    assert backbone.output.count("ended with signal 9 and is started again") == 6


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_fifty_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    _kills(Backbone(tmp_path), the_whole, kills=50, count=25_000, seed=seed)
