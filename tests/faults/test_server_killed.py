"""The server is killed under load, again and again: what was acknowledged is on the timeline, once, in order (P1, P2)."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.messages import messages
from tests.caught_up import caught_up
from tests.faults.senders import Sender
from tests.journeys.harness import Backbone
from tests.patience import eventually, pass_time

SENDERS = 16


async def _kill_under_load(backbone: Backbone, kills: int, count: int, seed: int) -> int:
    chance = random.Random(seed)
    sent = list(messages(count))
    # One person's messages keep their order, as a hospital's do: they all go through one sender.
    shares: list[list[bytes]] = [[] for _ in range(SENDERS)]
    for place, message in enumerate(sent):
        shares[place // 4 % SENDERS].append(message)
    senders = [Sender(backbone.mllp_port, share) for share in shares]
    running = [asyncio.create_task(sender.run()) for sender in senders]
    for _ in range(kills):
        await pass_time(chance.uniform(0.05, 0.6))
        backbone.end(signal.SIGKILL)
        await asyncio.to_thread(backbone.start)
    await asyncio.gather(*running)
    return sum(len(sender.acknowledged) for sender in senders)


def _kills(tmp_path: Path, kills: int, count: int, seed: int) -> None:
    backbone = Backbone(tmp_path).start()
    try:
        acknowledged = asyncio.run(_kill_under_load(backbone, kills, count, seed))
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
    _kills(tmp_path, kills=10, count=2_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_fifty_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    _kills(tmp_path, kills=50, count=25_000, seed=seed)
