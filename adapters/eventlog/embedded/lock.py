"""A lock between processes (and between the threads of one), which the kernel releases when its holder dies.

Source: flock(2). Not fcntl(2): closing *any* descriptor of a file releases all of a process's fcntl locks on it, SQLite's own
included; a flock belongs to one open file only.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_AGAIN_SECONDS = 0.0005
"""Pause between attempts: shorter than an append, so that a waiting process gets its turn between two of a busy one."""


class FileLock:
    """An exclusive lock on a file of its own, which is created if it is missing and never removed.

    Every method except `close` raises ``OSError`` when the file cannot be created or locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = False
        self._descriptor = -1

    def try_acquire(self) -> bool:
        """Take the lock if nobody else has it. Returns whether this object holds it now."""
        if self.held:
            return True
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.held = True
        return True

    def acquire(self, within: float) -> bool:
        """Take the lock, waiting up to ``within`` seconds for it. Returns whether it is held."""
        deadline = time.monotonic() + within
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_AGAIN_SECONDS)
        return True

    def release(self) -> None:
        """Release the lock; the file stays open for the next time."""
        if self.held:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.held = False

    def close(self) -> None:
        """Release the lock and close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self.held = -1, False
