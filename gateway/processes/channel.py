"""What a child process and its supervisor tell each other: over a pair of sockets, a line of JSON each.

A child says once that it is ready and what it opened, or why it ends. The supervisor says `STOP`; and when it is gone itself,
however that came, the child finds the channel closed and ends at once: nobody would start it again, and it holds locks and
ports that the next server needs. What was acknowledged is on disk all the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.serving.part import Shown

STOP = b"stop\n"
ORPHANED = 71
"""Exit status of a child whose supervisor is gone: EX_OSERR of sysexits.h."""
_MOST_BYTES = 1 << 16


class Word(msgspec.Struct):
    """What a child says."""

    shown: list[Shown] | None = None
    """What it opened: it is ready."""
    status: int = 0
    """With which exit status it ends."""
    says: str = ""
    """What it would have printed on standard error."""


class Channel(NamedTuple):
    """Both ends; each side closes the other's."""

    supervisor: socket.socket
    child: socket.socket

    @classmethod
    def open(cls) -> Channel:
        return cls(*socket.socketpair())


def say(end: socket.socket, word: Word) -> None:
    """Tell the supervisor. One that is gone is not told: `heed` ends this process."""
    try:
        end.sendall(msgspec.json.encode(word) + b"\n")
    except OSError:
        os._exit(ORPHANED)


def heed(end: socket.socket, private: Path) -> None:
    """From now on stop when the supervisor says so, as by SIGTERM, and end when it is gone, together with its folder."""
    threading.Thread(target=_heed, args=(end, private), name="supervisor", daemon=True).start()


def _heed(end: socket.socket, private: Path) -> None:
    while end.recv(len(STOP)):
        os.kill(os.getpid(), signal.SIGTERM)
    shutil.rmtree(private, ignore_errors=True)
    os._exit(ORPHANED)


def words(end: socket.socket, heard: bytearray) -> tuple[list[Word], bool]:
    """What the child has said by now, and whether it may say more; half a line waits in ``heard``."""
    going_on = True
    try:
        while piece := end.recv(_MOST_BYTES, socket.MSG_DONTWAIT):
            heard += piece
        going_on = False
    except BlockingIOError:
        pass
    except OSError:
        going_on = False
    *lines, rest = bytes(heard).split(b"\n")
    heard[:] = rest
    return [msgspec.json.decode(line, type=Word) for line in lines], going_on
