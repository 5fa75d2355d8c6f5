"""One process of a server, from its first import to its end: the whole of a small server, or a supervisor's child."""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gateway.processes.split import Beside, Seat
from gateway.terminal.frame import Call, TerminatedError, failed

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from gateway.processes.channel import Word
    from gateway.serving.listen import Bound
    from gateway.serving.serve import Announce
    from gateway.settings.shapes import Settings


class Process(NamedTuple):
    """What a process is to do."""

    settings: Settings
    read: Callable[[], Settings]
    """Reads the settings as they now are."""
    seat: Seat
    bound: Bound
    beside: Beside | None = None
    """``None``: it is the whole server."""


def run_child(call: Call, process: Process, private: Path, channel: socket.socket) -> Word:
    """Work until a signal, in a child of the supervisor with this ``private`` folder; the last word to the supervisor."""
    from gateway.processes.channel import Word, heed, say

    heed(channel, private)
    try:
        run_process(process, lambda shown: say(channel, Word(list(shown))))
    except BaseException as error:  # nothing above in this process: the supervisor must learn of any error
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            status = failed(call, error)
        return Word(status=status, says=printed.getvalue())
    return Word()


def run_process(process: Process, announce: Announce) -> None:
    """Work until a signal. Raises ``KeyboardInterrupt`` when it came before the start was over, and what a part raises."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stopped_by = runner.run(_serve(process, announce))
    if stopped_by is not None:
        raise TerminatedError if stopped_by == signal.SIGTERM else KeyboardInterrupt


async def _serve(process: Process, announce: Announce) -> int | None:
    """The signal that stopped it before it had started."""
    import asyncio

    from gateway.composition.assembly import parts
    from gateway.composition.factory import Factory
    from gateway.serving.serve import end_at_once, pass_over, serve, starting

    settings, read, seat, bound, beside = process
    within, again = settings.limits.stop, end_at_once if beside is None else pass_over
    with starting(within, again) as told:
        try:
            async with Factory(settings) as make:
                await serve(await parts(make, seat, bound, read, beside), within, announce, again)
        except asyncio.CancelledError:
            if not told:
                raise
            return told[0]
    return None
