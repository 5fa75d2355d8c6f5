"""Group commit: many callers on many event loops share one transaction, and so one fsync.

A thread writes everything that was submitted while it wrote the last group as the next group: the busier the log, the larger
the groups. No caller waits for a group to fill.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from adapters.eventlog.embedded.append import FileAppender, LogEntry
from adapters.eventlog.embedded.callers import Desk, Job, Outcome
from adapters.eventlog.embedded.driver import Files, check_place, explain, files_of, full, open_to_append, removed
from adapters.eventlog.embedded.lock import FileLock
from schemas.errors import BackboneError, LogUnavailable, SettingsError
from schemas.log import Position

GROUP_BYTES = 8 * 1024 * 1024
"""A group of this size takes no further calls: a larger one would hardly save fsyncs, and memory must stay bounded."""
CHECKPOINT_BYTES = 8 * 1024 * 1024
"""Bytes appended between two checkpoints, so that checkpoints are rare enough to cost little, and short (some 30 ms)."""
ROOM_BYTES = 2 * (GROUP_BYTES + CHECKPOINT_BYTES)
"""With less free space, the next group may not fit: the write-ahead file may hold it besides everything since the last
checkpoint, and a checkpoint writes all of that a second time, into the database file."""
FAILED_FOR_S = 60.0
"""How long a failed append counts as the state of the log, unless one succeeds: nothing else shows a quota or a failing disk.
Without a limit, a process that is sent nothing because it reports trouble would never find out that the log works again."""
HOLD_SECONDS = 0.02
"""How long the append lock is kept while more jobs wait; then other processes get their turn."""

_LOGGER = logging.getLogger(__name__)


class GroupWriter:
    """Writes submitted entries, in the order of the calls, in a thread of its own."""

    def __init__(self, path: Path, partitions: int, patience: float, committed: Callable[[], None]) -> None:
        """``committed`` is called in that thread after each group. Raises `SettingsError`, `LogUnavailable`."""
        check_place(path)
        self._path, self._partitions, self._patience, self._committed = path, partitions, patience, committed
        self._lock = FileLock(path.with_name(path.name + "-append.lock"))
        self._connection: sqlite3.Connection | None = None
        self._appender: FileAppender | None = None
        self._files: Files | None = None
        """The files that this connection writes."""
        self._failed: tuple[BackboneError, float] | None = None
        """The error of the last group, and when; ``None`` if it was written."""
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        """``None`` marks its end."""
        self._ended = False
        self._desks: dict[asyncio.AbstractEventLoop, Desk] = {}
        self._closed = False
        self._submitting = threading.Lock()
        """Guards ``_desks`` and ``_closed``, so that nothing is submitted after the end. The writing thread never takes it."""
        self._since_checkpoint = 0
        self._open_first()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        """A daemon thread, so that a hanging disk cannot keep the process from ending."""
        self._thread.start()

    def submit(self, entries: Sequence[LogEntry]) -> asyncio.Future[Sequence[Position]]:
        """Append ``entries`` with the next group. Call it on the event loop that awaits the result. Raises `LogUnavailable`."""
        with self._submitting:
            if self._closed:
                raise LogUnavailable("the log is closed")
            desk = self._desk(asyncio.get_running_loop())
            job = Job(entries, desk, self._patience)
            desk.add(job)
            self._waiting.put(job)
        return job.future

    def _desk(self, loop: asyncio.AbstractEventLoop) -> Desk:
        desk = self._desks.get(loop)
        if desk is None:
            self._desks = {known: desk for known, desk in self._desks.items() if not known.is_closed()}
            desk = self._desks[loop] = Desk(loop)
        return desk

    def trouble(self) -> LogUnavailable | None:
        """Why the next group may not be acknowledged: as far as the file system shows, or as the last group failed."""
        held = self._files
        try:
            moved = files_of(self._path) != held if held is not None else not self._path.exists()
            free = shutil.disk_usage(self._path.parent).free
        except OSError as error:
            return LogUnavailable(f"the log's folder cannot be read ({error.strerror})", where=str(self._path.parent))
        if moved:
            return removed(self._path)
        return full(self._path, free, ROOM_BYTES) if free < ROOM_BYTES else self._failed_lately()

    def _failed_lately(self) -> LogUnavailable | None:
        failed = self._failed
        if failed is None or time.monotonic() - failed[1] > FAILED_FOR_S:
            return None
        return LogUnavailable(failed[0].message, cure=failed[0].cure, where=failed[0].where)

    def finish(self) -> None:
        """Accept nothing more; what was submitted is still written. Further calls do nothing."""
        with self._submitting:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)

    def join(self) -> bool:
        """Wait until everything is written, at most as long as a caller waits. Returns whether it is."""
        self._thread.join(self._patience)
        return not self._thread.is_alive()

    def _open_first(self) -> None:
        try:
            self._take_lock()
            self._open(make=True)
            self._lock.release()
        except BackboneError:
            self._lock.close()
            raise

    def _run(self) -> None:
        while not self._ended:
            if group := self._next_group(wait=True):
                self._write_all(group)
        self._drop()
        self._lock.close()

    def _next_group(self, *, wait: bool) -> list[Job]:
        """The jobs that were submitted, oldest first; empty if there are none, or nothing more will come."""
        group: list[Job] = []
        size = 0
        while size < GROUP_BYTES and not self._ended:
            try:
                job = self._waiting.get(block=wait and not group)
            except Empty:
                break
            if job is None:
                self._ended = True
            else:
                group.append(job)
                size += job.size
        return group

    def _write_all(self, group: list[Job]) -> None:
        """Write ``group``, and what is submitted meanwhile, while holding the append lock once; then let other processes in."""
        until = time.monotonic() + HOLD_SECONDS
        try:
            self._take_lock()
        except BackboneError as error:
            self._refuse(group, error)
            return
        while group:
            if live := [job for job in group if not job.future.done()]:  # those who gave up will send again
                self._write(live)
            group = self._next_group(wait=False) if time.monotonic() < until else []
        if self._appender and self._since_checkpoint >= CHECKPOINT_BYTES:
            self._checkpoint(self._appender)
        self._lock.release()

    def _write(self, jobs: list[Job]) -> None:
        """One group, one transaction: each caller gets its positions, or all get the error."""
        outcomes: list[tuple[Job, Outcome]] = []
        try:
            appender = self._appender or self._open(make=False)
            positions = appender.append([entry for job in jobs for entry in job.entries], time.time_ns() // 1000)
            found = files_of(self._path)
            self._files = self._files or found
        except Exception as error:  # nothing above in this thread: every caller must learn of any error
            self._drop()
            self._refuse(jobs, error)
            return
        if found is None or found != self._files:  # no drop: once they are back, this connection is still right
            _tell([(job, removed(self._path)) for job in jobs])
            return
        self._failed = None
        start = 0
        for job in jobs:
            until = start + len(job.entries)
            outcomes.append((job, positions[start:until]))
            start = until
            self._since_checkpoint += job.size
        _tell(outcomes)
        self._committed()

    def _refuse(self, jobs: list[Job], error: Exception) -> None:
        self._failed = self._fault(error), time.monotonic()
        _tell([(job, self._fault(error)) for job in jobs])

    def _open(self, *, make: bool) -> FileAppender:
        """Open a new connection, and return its appender."""
        self._connection = open_to_append(self._path, self._partitions, self._patience / 2, make=make)
        self._appender = FileAppender(self._connection, self._partitions)
        self._files = files_of(self._path)
        return self._appender

    def _drop(self) -> None:
        """Close a connection after an error: a new one reads the file afresh, as any other process does."""
        connection, self._connection, self._appender, self._files = self._connection, None, None, None
        if connection is not None:
            connection.close()

    def _take_lock(self) -> None:
        try:
            held = self._lock.acquire(self._patience / 2)
        except OSError as error:
            message = f"the log's folder cannot be written ({error.strerror})"
            cure = "Let the user that runs the backbone write it, and make room on its disk."
            raise SettingsError(message, cure=cure, where=str(self._path.parent)) from error
        if not held:
            cure = "Find the process that holds the lock file beside the log; it may be stopped."
            raise LogUnavailable("another process has locked the log", cure=cure, where=str(self._lock.path))

    def _checkpoint(self, appender: FileAppender) -> None:
        """Run a checkpoint. A failure loses nothing: acknowledged entries are in the write-ahead file, and it is tried again
        soon.
        """
        self._since_checkpoint = 0
        try:
            appender.checkpoint()
        except sqlite3.Error as error:
            _LOGGER.warning("the log's write-ahead file keeps growing: %s", explain(error, self._path))
            self._drop()

    def _fault(self, error: Exception) -> BackboneError:
        """The error a caller gets for ``error``: a new one for each, because each caller adds its own traceback."""
        if isinstance(error, sqlite3.Error):
            fault = explain(error, self._path)
        elif isinstance(error, BackboneError):
            fault = LogUnavailable(error.message, cure=error.cure, where=error.where)
        else:
            fault = LogUnavailable(f"the log's writer failed: {type(error).__name__}", where=str(self._path))
        fault.__cause__ = error
        return fault


def _tell(outcomes: Sequence[tuple[Job, Outcome]]) -> None:
    """Settle the jobs of one group, each on its own event loop."""
    desks: dict[Desk, list[tuple[Job, Outcome]]] = defaultdict(list)
    for outcome in outcomes:
        desks[outcome[0].desk].append(outcome)
    for desk, mine in desks.items():
        desk.tell(mine)
