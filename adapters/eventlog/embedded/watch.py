"""Notices what other processes append: one thread of a log checks for all its followers.

A check is ``PRAGMA data_version``: one read of the memory that SQLite's processes share (the ``-shm`` file), none of the disk.
Reading that file without SQLite would hardly be cheaper and would do harm: closing any descriptor of it releases SQLite's own
locks on it (fcntl(2)).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from adapters.eventlog.embedded.reader import EmbeddedReader
from schemas.errors import LogUnavailable

_ACTIVE_PAUSE_SECONDS = 0.005
"""Pause between checks while there were appends lately: the longest that another process's append goes unnoticed."""
_IDLE_PAUSE_SECONDS = 0.05
"""Pause between checks once nothing was appended for `_ACTIVE_SECONDS`."""
_ACTIVE_SECONDS = 1.0


class Watch:
    """Calls ``news`` in its thread whenever anybody has appended, and when the log cannot be read."""

    def __init__(self, open_reader: Callable[[], EmbeddedReader], news: Callable[[], None]) -> None:
        self._open_reader, self._news = open_reader, news
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Further calls do nothing."""
        with self._starting:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and close the file."""
        with self._starting:
            self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                reader = self._open_reader()
                try:
                    self._look(reader)
                finally:
                    reader.close()
            except LogUnavailable:  # the followers meet the same error, and raise it to those who poll
                self._news()
                self._stopped.wait(_IDLE_PAUSE_SECONDS)

    def _look(self, reader: EmbeddedReader) -> None:
        seen = -1
        active_until = 0.0
        while not self._stopped.wait(_ACTIVE_PAUSE_SECONDS if time.monotonic() < active_until else _IDLE_PAUSE_SECONDS):
            version = reader.version()
            if version != seen:
                seen, active_until = version, time.monotonic() + _ACTIVE_SECONDS
                self._news()
