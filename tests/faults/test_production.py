"""Everything at once, on the production shape under load: what was acknowledged is on the timeline, once, in order.

Three brokers, PostgreSQL, a gateway, an intake and two processes of projections, each hit again and again (P1, P2).
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local.production import Production
from tests.bench.messages import messages
from tests.caught_up import caught_up
from tests.faults.account import Account, count
from tests.faults.production_faults import FAULTS, LONG, Fault, drawn
from tests.faults.senders import Sender, by_person, from_people
from tests.patience import pass_time, until

pytestmark = [pytest.mark.engine, pytest.mark.asyncio]

SENDERS = 16
PARTITIONS = 6
DRAINED_WITHIN_S = 180.0
"""From the last fault until everything acknowledged is on the timeline, on a busy machine."""


@pytest.fixture
def shape() -> Iterator[Production]:
    """A production shape of its own, ready: what is done to it may not meet another test."""
    folder = Path(tempfile.mkdtemp(prefix="backbone-faults-"))
    folder.chmod(0o755)
    made = Production(folder, environment={"BACKBONE_PARTITIONS": str(PARTITIONS)})
    made.processes.append(made.process("projections-2", "projections"))
    try:
        made.start()
        yield made
    finally:
        for process in made.processes:
            process.kill()  # they would wait for their engines
        made.kafka.drop()
        made.stop()
        made.remove()


class Course:
    """One run: senders that send all the while, faults one after the other, then the account."""

    def __init__(self, shape: Production, seed: int, pause_s: float = 0.05) -> None:
        self._shape, self._chance = shape, random.Random(seed)
        people = by_person(messages(10_000_000))
        port = shape.of("intake").mllp
        self._senders = [Sender(port, from_people(people), pause_s) for _ in range(SENDERS)]
        self.struck: Counter[str] = Counter()
        self.drained_s = 0.0

    async def run(self, faults: Iterator[Fault]) -> None:
        """Strike until there are no more faults; then let the senders have their answers."""
        stop = asyncio.Event()
        running = [asyncio.create_task(sender.run(stop)) for sender in self._senders]
        for fault in faults:
            await asyncio.to_thread(fault.strike, self._shape, self._chance)
            self.struck[fault.name] += 1
            await pass_time(self._chance.uniform(0.1, 1.0))
        ended = time.monotonic()
        before = self.acknowledged
        await until(lambda: self.acknowledged >= before + SENDERS, DRAINED_WITHIN_S)
        stop.set()
        await asyncio.gather(*running)
        answered = time.time()
        gateway = f"http://127.0.0.1:{self._shape.of('gateway').health}"
        await until(lambda: asyncio.to_thread(caught_up, gateway, answered), DRAINED_WITHIN_S)
        self.drained_s = time.monotonic() - ended

    @property
    def acknowledged(self) -> int:
        return sum(len(sender.acknowledged) for sender in self._senders)

    async def account(self) -> Account:
        """What became of what was acknowledged."""
        settings, secret = self._shape.settings, _secret(self._shape)
        sent = [message for sender in self._senders for message in sender.acknowledged]
        return await count(sent, settings["BACKBONE_LOG"], PARTITIONS, settings["BACKBONE_STORE"], secret)


def _secret(shape: Production) -> bytes:
    return Path(shape.settings["BACKBONE_KEY_SECRET_FILE"]).read_bytes()


async def _course(shape: Production, kinds: Sequence[Fault], faults: int, seed: int, pause_s: float = 0.1) -> None:
    course = Course(shape, seed, pause_s)
    await course.run(drawn(random.Random(seed), faults, kinds))
    account = await course.account()
    struck = sum(course.struck.values())
    print(f"\nseed {seed}: {struck} faults, {account}, drained in {course.drained_s:.0f} s; {dict(course.struck)}")
    assert account.sound, account
    assert account.acknowledged > SENDERS


async def test_one_fault_of_each_kind_under_load_loses_doubles_and_inverts_nothing(shape: Production) -> None:
    await _course(shape, FAULTS, faults=len(FAULTS), seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_hundred_faults_under_load_lose_double_and_invert_nothing(shape: Production, seed: int) -> None:
    await _course(shape, [*FAULTS, *LONG], faults=110, seed=seed)


@pytest.mark.soak
async def test_either_engine_frozen_for_half_a_minute_under_load_loses_doubles_and_inverts_nothing(shape: Production) -> None:
    await _course(shape, LONG, faults=len(LONG), seed=1)
