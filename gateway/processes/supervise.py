"""The supervisor: starts a server's processes, starts again those that die, and stops them all.

It is small on purpose: one thread, no event loop, nothing imported that the work needs. So it can fork at any time, and what it
holds (locks, listening sockets, the private folder) outlives any of its children: a connection that waits to be accepted is
not lost with a child. The children end with it (`gateway.processes.channel`).
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from gateway.processes.channel import STOP, Channel, Word, say, words
from gateway.processes.split import Seat
from gateway.serving.part import Shown
from schemas.errors import BackboneError

LOGGER = logging.getLogger("backbone.gateway")

PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Before each start in a row of a process that died: the first at once, because senders wait."""
STEADY_S = 30.0
"""A process that worked for so long and dies then has not died again: the pauses begin anew."""
OVERTIME = timedelta(seconds=1.8)
"""What the children have for a stop besides their time: each ends itself after 1.5 s of it (`gateway.serving.serve`)."""
FORCED = 70
"""Exit status when they did not: EX_SOFTWARE of sysexits.h."""
_PLACE_MOST = 64
"""Longest path of the folder for temporary files that is used: that of a socket in it may have 103 bytes (unix(7), macOS)."""
_SHORT = Path(os.sep, "tmp")
"""Taken instead."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ProcessLostError(BackboneError):
    """A process of this server was ended by a signal while it started."""

    code = "process-lost"
    cure = "See who ended it: short of memory, the system itself does (its log says so)."


class ProcessKeepsDyingError(BackboneError):
    """A process of this server died at every start."""

    code = "process-keeps-dying"
    cure = "Mend what it said last; `backbone doctor` looks for the cause."


class Ending(NamedTuple):
    """How a server ended."""

    status: int = 0
    says: str = ""
    """What goes to standard error: the child's own message, when one kept the server from going on."""
    error: BackboneError | None = None
    stopped_by: int | None = None
    """The signal that stopped it before it was ready."""


@dataclass
class _Child:
    """One seat and the process that has it."""

    seat: Seat
    pid: int = 0
    """0: none at the moment."""
    end: socket.socket | None = None
    """Of the channel."""
    heard: bytearray = field(default_factory=bytearray)
    shown: list[Shown] | None = None
    """``None`` until it is ready."""
    ready_at: float = 0.0
    last: Word | None = None
    """What it said about its end."""
    deaths: int = 0
    """In a row."""
    unready: int = 0
    """Starts in a row that did not come to be ready."""
    due_at: float = 0.0
    """When it is to be started (again)."""


Work = Callable[[Seat, socket.socket], Word]
"""What a child does, given its end of the channel; answers its last word."""


class Supervisor:
    """Keeps a process on every one of ``seats``.

    ``work`` runs in each child. ``doors`` are the listening sockets that the children inherit: they are closed when the stop
    begins, so that nobody connects any more. ``announce`` is called once, with all that was opened.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        work: Work,
        within: timedelta,
        doors: Sequence[socket.socket],
        announce: Callable[[Sequence[Shown]], None],
    ) -> None:
        self._children = [_Child(seat) for seat in seats]
        self._work, self._doors, self._announce = work, doors, announce
        self._within_s = (within + OVERTIME).total_seconds()
        self._announced = False
        self._stopping: int | None = None
        """The signal, or 0 when a child's end is the reason."""
        self._ending = Ending()
        self._overdue_at = float("inf")
        self._told, self._tells = socket.socketpair()
        """Where the signals come in, as bytes."""
        self._wakes = selectors.DefaultSelector()

    def run(self) -> Ending:
        """Until a signal, or until a child cannot be started."""
        for end in (self._told, self._tells):
            end.setblocking(False)
        signal.set_wakeup_fd(self._tells.fileno())
        for number in (*_SIGNALS, signal.SIGCHLD):
            signal.signal(number, _note)
        self._wakes.register(self._told, selectors.EVENT_READ)
        while self._stopping is None or any(child.pid for child in self._children):
            self._start_due()
            for key, _ in self._wakes.select(self._patience_s()):
                if key.fileobj is not self._told:
                    self._listen(key.data)
            self._heed_signals()
            self._reap()
            if time.monotonic() > self._overdue_at:
                self._kill()
                return Ending(FORCED, "backbone: the stop took too long. What was not acknowledged will be sent again.\n")
        return self._ending

    def _start_due(self) -> None:
        for child in self._children:
            if self._stopping is None and not child.pid and child.due_at <= time.monotonic():
                self._start(child)

    def _start(self, child: _Child) -> None:
        channel = Channel.open()
        child.shown, child.last = None, None
        child.heard.clear()
        pid = os.fork()
        if not pid:
            self._become(child.seat, channel)
        channel.child.close()
        child.pid, child.end = pid, channel.supervisor
        self._wakes.register(channel.supervisor, selectors.EVENT_READ, child)

    def _become(self, seat: Seat, channel: Channel) -> None:
        """In the child: let go of all that is the supervisor's, work, and end."""
        signal.set_wakeup_fd(-1)
        for number in (*_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        self._wakes.close()
        for end in (self._told, self._tells, channel.supervisor, *(one.end for one in self._children)):
            if end is not None:
                end.close()
        word = self._work(seat, channel.child)
        say(channel.child, word)
        logging.shutdown()
        os._exit(word.status)

    def _patience_s(self) -> float | None:
        """Until the next thing that comes by itself."""
        due = [child.due_at for child in self._children if not child.pid] if self._stopping is None else []
        next_at = min([*due, self._overdue_at])
        return None if next_at == float("inf") else max(0.0, next_at - time.monotonic())

    def _listen(self, child: _Child) -> None:
        if child.end is None:
            return
        said, going_on = words(child.end, child.heard)
        for word in said:
            if word.shown is None:
                child.last = word
            else:
                child.shown, child.ready_at, child.unready = word.shown, time.monotonic(), 0
        if not going_on:
            self._wakes.unregister(child.end)
            child.end.close()
            child.end = None
        if not self._announced and all(one.shown is not None for one in self._children):
            self._announced = True
            self._announce([shown for one in self._children for shown in one.shown or ()])

    def _heed_signals(self) -> None:
        with suppress(BlockingIOError):
            for number in {each for each in self._told.recv(4096) if each in _SIGNALS}:  # once, if it came twice
                if self._stopping:
                    self._kill()
                    self._ending = Ending(128 + number)
                else:
                    self._ending = Ending(stopped_by=None if self._announced else number)
                    self._stop(number)

    def _stop(self, why: int) -> None:
        if self._stopping is None:
            self._overdue_at = time.monotonic() + self._within_s
            for door in self._doors:
                door.close()
            for child in self._children:
                if child.end is not None:
                    with suppress(OSError):
                        child.end.sendall(STOP)
        self._stopping = why

    def _kill(self) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                for child in self._children:
                    if child.pid == found[0]:
                        self._ended(child, os.waitstatus_to_exitcode(found[1]))

    def _ended(self, child: _Child, status: int) -> None:
        self._listen(child)
        pid, child.pid = child.pid, 0
        if self._stopping is not None:
            if status == FORCED and not self._ending.status:
                self._ending = Ending(FORCED)
        elif not self._announced:
            self._give_up(child, status, None)
        else:
            self._start_again(child, pid, status)

    def _start_again(self, child: _Child, pid: int, status: int) -> None:
        steady = child.shown is not None and time.monotonic() - child.ready_at > STEADY_S
        child.deaths = 1 if steady else child.deaths + 1
        child.unready += child.shown is None
        if child.unready >= len(PAUSES_S):
            self._give_up(child, status, ProcessKeepsDyingError(where=child.seat.name))
            return
        pause_s = PAUSES_S[min(child.deaths, len(PAUSES_S)) - 1]
        child.due_at = time.monotonic() + pause_s
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        said = child.last.says.strip() if child.last else ""
        message = "process %s (%d) ended with %s and is started again in %.1f s. %s"
        LOGGER.error(message, child.seat.name, pid, how, pause_s, said)

    def _give_up(self, child: _Child, status: int, error: BackboneError | None) -> None:
        if child.last is None and error is None:
            error = ProcessLostError(where=child.seat.name)
        self._ending = Ending(max(status, 0), child.last.says if child.last else "", error)
        self._stop(0)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of this server's own for as long as it runs, where its processes find each other."""
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="backbone-", dir=usual if len(usual) <= _PLACE_MOST else _SHORT) as private:
        yield Path(private)


def _note(*_signal: object) -> None:
    """Signals come in through the wakeup descriptor; this only keeps them from their default."""
