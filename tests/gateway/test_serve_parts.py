"""Parts start together, stop together, and none of them dies alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from gateway.serving.part import Shown
from gateway.serving.projections import ProjectionsPart
from gateway.serving.serve import PartEndedError, serve, starting
from schemas.errors import LogUnavailable, StoreUnavailable

WITHIN = timedelta(seconds=5)


class FakePart:
    """Ends when it is told to, or at once, or badly."""

    def __init__(self, name: str, *, starts: Exception | None = None, runs: Exception | str = "") -> None:
        self.name = name
        self._starts = starts
        self._runs = runs
        self._stop = asyncio.Event()
        self.stopped = False
        self._finished = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether it did what was under way."""
        return self._finished.is_set()

    async def start(self) -> list[Shown]:
        if self._starts:
            raise self._starts
        return [Shown(self.name, f"at {self.name}")]

    async def run(self) -> None:
        if isinstance(self._runs, Exception):
            raise self._runs
        if self._runs != "ends":
            await self._stop.wait()
            await asyncio.sleep(0)  # work under way
            self._finished.set()

    async def stop(self, within: timedelta) -> None:
        self.stopped = True
        self._stop.set()
        if not self._runs and not self._starts:
            await asyncio.wait_for(self._finished.wait(), within.total_seconds())


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_every_part_and_lets_it_finish(number: signal.Signals) -> None:
    parts = [FakePart("http"), FakePart("mllp")]
    seen: list[Shown] = []

    def announce(shown: Sequence[Shown]) -> None:
        seen.extend(shown)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)

    await serve(parts, WITHIN, announce)
    assert [one.door for one in seen] == ["http", "mllp"]
    assert all(part.stopped and part.finished for part in parts)


@pytest.mark.asyncio
async def test_a_part_that_ends_by_itself_brings_the_others_down() -> None:
    parts = [FakePart("http"), FakePart("mllp", runs="ends")]
    with pytest.raises(PartEndedError) as caught:
        await serve(parts, WITHIN, lambda shown: None)
    assert caught.value.where == "mllp"
    assert parts[0].finished


@pytest.mark.asyncio
async def test_what_a_part_raises_is_the_servers_error() -> None:
    parts = [FakePart("http"), FakePart("projections", runs=LogUnavailable())]
    with pytest.raises(LogUnavailable):
        await serve(parts, WITHIN, lambda shown: None)
    assert parts[0].finished


@pytest.mark.asyncio
async def test_a_part_that_cannot_start_keeps_the_server_from_starting() -> None:
    parts = [FakePart("http", runs="ends"), FakePart("mllp", starts=LogUnavailable())]
    announced: list[Shown] = []
    with pytest.raises(LogUnavailable):
        await serve(parts, WITHIN, announced.extend)
    assert announced == []
    assert parts[0].stopped


HANGS = """
import asyncio, os, signal, sys
from datetime import timedelta
from gateway.serving.part import Shown
from gateway.serving.serve import serve

class Hangs:
    name = "hangs"
    async def start(self): return []
    async def run(self): await asyncio.Event().wait()
    async def stop(self, within): await asyncio.Event().wait()

def announce(shown):
    print("ready", flush=True)

asyncio.run(serve([Hangs()], timedelta(seconds=float(sys.argv[1])), announce))
"""


def hanging(within_s: float) -> subprocess.Popen[bytes]:
    """A server one part of which never stops."""
    process = subprocess.Popen([sys.executable, "-c", HANGS, str(within_s)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_part_that_never_stops_is_left_behind_in_time() -> None:
    process = hanging(0.1)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 70
    assert b"took too long" in err


def test_a_second_signal_ends_it_at_once() -> None:
    process = hanging(1000)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT


class FakeRunner:
    """A projection of the engine ``engine``: it runs until the stop, or fails while the engine is down."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    async def run(self, stop: asyncio.Event) -> None:
        self._engine.running.set()
        await stop.wait()
        self._engine.finished = True


class FakeEngine:
    """Answers after so many tries; usable from two loops, as the engines are not."""

    def __init__(self, refusals: int = 0, error: Exception | None = None) -> None:
        self.refusals = refusals
        self.error = error
        self.opened = 0
        self.closed = 0
        self.finished = False
        self.running = threading.Event()

    async def __aenter__(self) -> list[FakeRunner]:
        self.opened += 1
        if self.error is not None:
            raise self.error
        if self.opened <= self.refusals:
            raise StoreUnavailable
        return [FakeRunner(self), FakeRunner(self)]

    async def __aexit__(self, *raised: object) -> None:
        self.closed += 1


@pytest.mark.asyncio
async def test_projections_run_on_a_thread_of_their_own_until_the_stop() -> None:
    engine = FakeEngine()
    part = ProjectionsPart(("people", "timeline"), lambda: engine)
    assert await part.start() == [Shown("projections", "people, timeline")]
    running = asyncio.create_task(part.run())
    assert await asyncio.to_thread(engine.running.wait, 10)
    await part.stop(WITHIN)
    await running
    assert engine.finished
    assert engine.closed == 1


@pytest.mark.asyncio
async def test_projections_wait_for_a_store_that_is_down_while_the_server_goes_on() -> None:
    engine = FakeEngine(refusals=1)
    part = ProjectionsPart(("people",), lambda: engine)
    await part.start()
    assert not engine.running.is_set()
    assert await asyncio.to_thread(engine.running.wait, 10)
    await part.stop(WITHIN)
    await part.run()
    assert engine.opened == 2


@pytest.mark.asyncio
async def test_a_stop_does_not_wait_for_a_store_that_is_down() -> None:
    engine = FakeEngine(refusals=1_000_000)
    part = ProjectionsPart(("people",), lambda: engine)
    await part.start()
    await part.stop(WITHIN)
    await part.run()
    assert not engine.running.is_set()


@pytest.mark.asyncio
async def test_a_fault_of_a_projection_is_the_servers_error() -> None:
    engine = FakeEngine(error=ZeroDivisionError())
    part = ProjectionsPart(("people",), lambda: engine)
    with pytest.raises(ZeroDivisionError):
        await part.start()
    with pytest.raises(ZeroDivisionError):
        await part.run()
    await part.stop(WITHIN)


@pytest.mark.asyncio
async def test_a_signal_while_it_starts_is_heard_whatever_runs_at_that_moment() -> None:
    def lets_nothing_out() -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGTERM)

    async def start() -> list[int]:
        with starting(WITHIN) as told, contextlib.suppress(asyncio.CancelledError):
            asyncio.get_running_loop().call_soon(lets_nothing_out)
            await asyncio.Event().wait()
        return told

    assert await asyncio.create_task(start()) == [signal.SIGTERM]


STARTS_FOR_EVER = """
import asyncio, contextlib
from datetime import timedelta
from gateway.serving.serve import starting

async def main():
    with starting(timedelta(seconds=0.1)):
        print("begun", flush=True)
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_start_that_passes_over_the_signal_ends_all_the_same() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS_FOR_EVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 70
    assert b"the stop took too long" in said
