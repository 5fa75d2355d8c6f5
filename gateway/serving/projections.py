"""The projections, on a thread and an event loop of their own, so that a batch's commit never delays an acknowledgement.

While the store is down the doors go on taking in, because that needs only the log. The projections wait for the store and then
catch up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

import uvloop

from gateway.serving.part import Shown
from schemas.errors import EngineUnavailable

LOGGER = logging.getLogger("backbone.gateway")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Wait between attempts to reach an engine: doubled each time, and reset once the projections have run for longer than the
longest."""


class ProjectionRunner(Protocol):
    """Whatever runs one projection."""

    async def run(self, stop: asyncio.Event) -> None:
        """Project until ``stop`` is set."""
        ...


Open = Callable[[], AbstractAsyncContextManager[Sequence[ProjectionRunner]]]
"""Opens the engines and makes the runners; called on the projections' own loop."""


class ProjectionsPart:
    """Runs the projections that ``open_runners`` makes."""

    name = "projections"

    def __init__(self, names: Sequence[str], open_runners: Open) -> None:
        self._names = names
        self._open = open_runners
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._opened: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="projections", daemon=True)

    async def start(self) -> list[Shown]:
        self._thread.start()
        await asyncio.wrap_future(self._opened)
        return [Shown(self.name, ", ".join(self._names))]

    async def run(self) -> None:
        await asyncio.shield(asyncio.wrap_future(self._ended))

    async def stop(self, within: timedelta) -> None:
        if self._loop is not None and self._stop is not None and not self._ended.done():
            self._loop.call_soon_threadsafe(self._stop.set)
            await asyncio.wait((asyncio.wrap_future(self._ended),), timeout=within.total_seconds())

    def _work(self) -> None:
        """The thread."""
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._project())
            self._ended.set_result(None)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            self._ended.set_exception(error)

    async def _project(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            begun = self._loop.time()
            try:
                async with self._open() as runners:
                    self._tried()
                    await self._run_all(runners)
            except* EngineUnavailable as failures:
                if self._loop.time() - begun > LONGEST_WAIT_S:
                    wait_s = FIRST_WAIT_S
                said = sorted({str(failure) for failure in _leaves(failures)})
                LOGGER.error("the projections wait %.1f s: %s", wait_s, " ".join(said))
                self._tried()
                await pause(self._stop, wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _tried(self) -> None:
        """The engines have been opened or do not answer yet: either way the server may call itself ready."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def _run_all(self, runners: Sequence[ProjectionRunner]) -> None:
        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(self._run_one(runner))

    async def _run_one(self, runner: ProjectionRunner) -> None:
        stop = self._stop or asyncio.Event()
        await runner.run(stop)
        if not stop.is_set():
            raise RuntimeError("a projection ended by itself")


def _leaves(group: BaseExceptionGroup[EngineUnavailable]) -> Iterator[EngineUnavailable]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but only until ``stop`` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
