"""``backbone serve``: parts that start together, run until a signal, and stop together.

* A part that ends by itself brings the whole process down, with its error: a server is never half alive.
* SIGTERM or SIGINT: doors take no more in, what is under way is finished or left for the next start, within 10 seconds. A
  second signal ends the process at once; what was acknowledged is on disk all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from gateway.serving.part import ServerPart, Shown
from schemas.errors import BackboneError

LOGGER = logging.getLogger("backbone.gateway")


class PartEndedError(BackboneError):
    """A part of the server ended by itself."""

    code = "part-ended"
    cure = "The process stopped with it, so that whatever supervises it starts it anew; `backbone doctor` looks for the cause."


OVERTIME = timedelta(seconds=1.5)
"""What closing the engines may take after the parts had their time: with the default of 8 s the stop stays below 10 s."""
FORCED = 70
"""Exit status when the time ran out: EX_SOFTWARE of sysexits.h."""

Announce = Callable[[Sequence[Shown]], None]
Again = Callable[[int], None]
"""What is done at a second signal, given its number."""


def end_at_once(number: int) -> None:
    """Whoever asks twice does not want to wait."""
    os._exit(128 + number)


def pass_over(_number: int) -> None:
    """In one of several processes: a terminal, or an init system, signals them all, and then their supervisor stops them too.
    It also ends at once those that are to end at once."""


async def serve(parts: Sequence[ServerPart], within: timedelta, announce: Announce, again: Again = end_at_once) -> None:
    """Start ``parts``, ``announce`` what is open, and run until a signal; ``within`` is each part's time to stop.

    Raises what a part raised, or `PartEndedError`; the others were stopped then.
    """
    stop = asyncio.Event()
    running: dict[asyncio.Task[None], ServerPart] = {}
    with _on_signals(lambda _: stop.set(), within, again):
        try:
            announce(await _start_all(parts))
            running.update((asyncio.create_task(part.run(), name=part.name), part) for part in parts)
            await _until_stopped(running, stop)
        finally:
            await _stop_all(parts, running, within)


async def _start_all(parts: Sequence[ServerPart]) -> list[Shown]:
    """Start ``parts`` side by side; what to print, in their order. Raises what the first of them raised."""
    shown: list[Shown] = []
    for outcome in await asyncio.gather(*(part.start() for part in parts), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        shown += outcome
    return shown


async def _until_stopped(running: Mapping[asyncio.Task[None], ServerPart], stop: asyncio.Event) -> None:
    """Until ``stop`` is set. Raises what a part raised, or `PartEndedError`."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((*running, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        return
    for task, part in running.items():
        if task.done():
            task.result()
            raise PartEndedError(where=part.name)


async def _stop_all(parts: Sequence[ServerPart], running: Mapping[asyncio.Task[None], ServerPart], within: timedelta) -> None:
    """Stop every part, whatever becomes of the others; what does not end in its time is cut off."""
    outcomes = await asyncio.gather(*(part.stop(within) for part in parts), return_exceptions=True)
    for part, outcome in zip(parts, outcomes, strict=True):
        if isinstance(outcome, Exception):
            LOGGER.error("%s did not stop cleanly", part.name, exc_info=outcome)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@contextmanager
def starting(within: timedelta, again: Again = end_at_once) -> Iterator[list[int]]:
    """Inside it, until `serve` has taken the signals over, the first one cancels the current task; its number is in the list.

    Left to Python, a signal raises in whatever runs at that moment. In a callback of a library that lets nothing out it was
    lost, and a server told to stop while it started ran for ever.
    """
    task = asyncio.current_task()
    told: list[int] = []

    def first(number: int) -> None:
        told.append(number)
        if task is not None:
            task.cancel()

    with _on_signals(first, within, again):
        yield told


@contextmanager
def _on_signals(first: Callable[[int], None], within: timedelta, again: Again) -> Iterator[None]:
    """Inside it, ``first`` is given the first signal, whereupon everything must end in time; ``again`` the next ones."""
    loop = asyncio.get_running_loop()
    overdue = threading.Timer((within + OVERTIME).total_seconds(), _give_up)
    overdue.daemon = True
    begun: list[int] = []

    def begin(number: int) -> None:
        if begun:
            return  # it came twice before the first was heard
        begun.append(number)
        first(number)
        overdue.start()
        for each in _SIGNALS:
            loop.add_signal_handler(each, again, each)

    for number in _SIGNALS:
        loop.add_signal_handler(number, begin, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        overdue.cancel()


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _give_up() -> None:
    """The last resort of a stop: whatever hangs, the process ends in time. What was not acknowledged will be sent again."""
    print("backbone: the stop took too long. What was not acknowledged will be sent again.", file=sys.stderr, flush=True)
    os._exit(FORCED)
