"""The drop folder: files put into it are taken in and moved to ``done/`` or ``failed/``, with a receipt beside them.

A file is moved only after its receipt is durable (promise P1). A crash at any point neither loses nor duplicates anything: the
file is still in the folder, is read again, and gives the same receipt and the same events.

A file that cannot be read, moved or taken in does not delay the others; it stays where it is and is tried again. Log messages
identify files by size and time, because people put names of persons into file names (promise P12).

Only its writer knows when a file is complete: the safe way is to write it under another name and to rename it. For a file that
is written in place it is guessed: it must be unchanged for a while, and no program may have it open, as far as that can be
seen. If the guess was wrong, because the file was written to while it was read or later, the whole file is read again; rows
that were complete before give the same events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from adapters.intake.receive import Delivery, Intake
from adapters.observe import IntakeObserver, UnobservedIntake
from adapters.sources.folder_shelf import PutAway, all_written_on, put_away, put_back
from adapters.sources.folder_watch import FileMark, Seen, Settling, look, mark_of
from adapters.sources.folder_writers import open_for_writing
from schemas.arrival.receipt import Receipt
from schemas.errors import EngineUnavailable, kind_and_place
from schemas.source import Source

LOGGER = logging.getLogger(__name__)

DOOR = "folder"
SETTLE = timedelta(seconds=2)
"""How long a file must be unchanged before it is read: longer than a program pauses while writing it."""
INTERVAL = timedelta(seconds=1)
"""Pause between two looks into the folder."""
TRY_AGAIN = timedelta(seconds=60)
"""Pause before a file that could not be taken in is tried again, unless it changes before."""
_RIGHTS = "Let the user that runs the backbone read it and write to its folder and to done/; it is tried every minute."
_RENAME = "Have its writer write it under another name, such as one ending in .part, and rename it when it is complete."
_REACH = "Is its share mounted, and may the user that runs the backbone read it? It is looked for all the time."
REST_MOST = timedelta(seconds=60)
"""Longest pause between looks while the log is unavailable; it starts at the interval and doubles."""
STOP_GRACE = timedelta(seconds=5)
"""Time for the file in progress when a stop is requested; one that takes longer is left for the next start."""

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".csv": "text/csv",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".xls": "application/vnd.ms-excel",
        ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".json": "application/json",
        ".ndjson": "application/x-ndjson",
        ".jsonl": "application/x-ndjson",
        ".hl7": "application/hl7-v2",
    }
)
"""Suffix, in lower case, to media type. A file with any other suffix is read in the format that its source is configured
for."""
ANY_TYPE = "application/octet-stream"


class _Trouble(NamedTuple):
    """Why a file is still in the folder."""

    mark: FileMark
    code: str
    until: datetime
    receipt: Receipt | None = None
    """Set if the file was taken in and only has to be moved."""


class DropFolder:
    """The drop folder of one source."""

    def __init__(
        self,
        intake: Intake,
        source: Source,
        folder: Path,
        clock: Callable[[], datetime],
        *,
        settle: timedelta = SETTLE,
        interval: timedelta = INTERVAL,
        media_types: Mapping[str, str] = MEDIA_TYPES,
        observer: IntakeObserver | None = None,
    ) -> None:
        self._intake = intake
        self._source = source
        self._folder = folder
        self._clock = clock
        self._interval = interval
        self._media_types = media_types
        self._observer = observer or UnobservedIntake()
        self._settling = Settling(settle)
        self._troubles: dict[str, _Trouble] = {}
        """By file name."""
        self._open: set[Path] = set()
        """Files at rest that a program has open for writing. Each is logged once."""
        self._latest = PutAway()
        self._begun = False
        self._missing = ""
        """Why the folder cannot be read; ``""`` if it can."""
        self._rest = interval

    async def run(self, stop: asyncio.Event) -> None:
        """Look into the folder until ``stop``. The file in progress is then finished, or left for the next start."""
        while not stop.is_set():
            await self.look(stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._rest.total_seconds())

    async def look(self, stop: asyncio.Event | None = None) -> None:
        """Look into the folder once, and take in the files that no longer change."""
        await self._put_back()
        try:
            found = await asyncio.to_thread(look, self._folder)
        except OSError as error:
            self._cannot_look(error)
            return
        self._missing = ""
        resting = await self._closed(self._settling.at_rest(found, self._clock()))
        names = {seen.path.name for seen in found}
        self._troubles = {name: trouble for name, trouble in self._troubles.items() if name in names}
        try:
            for seen in resting:
                await _unless_stopped(self._take(seen), stop)
                if stop is not None and stop.is_set():
                    return
        except EngineUnavailable as error:
            self._rest = min(self._rest * 2, REST_MOST)
            LOGGER.warning("the folder of %s waits for %.0f s: %s", self._source.id, self._rest.total_seconds(), error)
            return
        self._rest = self._interval

    async def _put_back(self) -> None:
        """Put files back that were written to since they were moved away, so that what was added is not lost."""
        now, latest, folder = self._clock(), self._latest, self._folder
        written_on = partial(latest.written_on, now) if self._begun else partial(all_written_on, folder)
        changed = await asyncio.to_thread(written_on)
        self._begun = True
        for path in changed:
            self._observer.faulted(DOOR, "file-written-on")
            try:
                await asyncio.to_thread(put_back, path)
            except OSError as error:
                what = "a file of %s was written on after it was taken: move it back from its shelf, as here it cannot be: %s"
                LOGGER.error(what, self._source.id, error.strerror)
            else:
                LOGGER.warning("a file of %s was written on after it was taken: it is read again. %s", self._source.id, _RENAME)

    async def _closed(self, resting: Sequence[Seen]) -> list[Seen]:
        """The files that no program is known to have open for writing."""
        due = [seen for seen in resting if not self._is_put_off(seen)]
        still_open = await asyncio.to_thread(open_for_writing, [seen.path for seen in due]) if due else set()
        for seen in due:
            if seen.path in still_open - self._open:
                LOGGER.warning("%s is still open for writing: it is taken once it is closed. %s", self._shown(seen), _RENAME)
        self._open = still_open
        return [seen for seen in due if seen.path not in still_open]

    async def _take(self, seen: Seen) -> None:
        """Take one file in and move it away."""
        before = self._troubles.get(seen.path.name)
        receipt = before.receipt if before is not None and before.mark == seen.mark else None
        try:
            receipt = receipt or await self._receive(seen)
        except EngineUnavailable:
            raise
        except OSError as error:
            self._trouble(seen, "file-unreadable", f"cannot be read: {error.strerror}. {_RIGHTS}")
            return
        except Exception as error:
            self._trouble(seen, "door-failed", f"was not taken in: {kind_and_place(error)}")
            return
        if receipt is not None:
            await self._put_away(seen, receipt)

    async def _receive(self, seen: Seen) -> Receipt | None:
        """The file's receipt; ``None`` if the file has changed since it was seen at rest."""
        with await asyncio.to_thread(seen.path.open, "rb") as content:
            if mark_of(os.fstat(content.fileno())) != seen.mark:
                return None
            kind = self._media_types.get(seen.path.suffix.lower(), ANY_TYPE)
            receipt = await self._intake.receive(Delivery(self._source, DOOR, content, kind, seen.path.name))
            if mark_of(os.fstat(content.fileno())) == seen.mark:
                return receipt
        # What was read is in the log. The whole file will be read again, and rows that were complete give the same events.
        self._trouble(seen, "file-changed", "changed while it was read; it is read again once it no longer changes")
        return None

    async def _put_away(self, seen: Seen, receipt: Receipt) -> None:
        try:
            self._latest.note(await asyncio.to_thread(put_away, seen.path, receipt), self._clock())
        except FileNotFoundError:
            LOGGER.warning("%s was removed while it was taken in; receipt %s", self._shown(seen), receipt.id)
        except OSError as error:
            self._trouble(seen, "not-moved", f"was taken in but cannot be moved: {error.strerror}. {_RIGHTS}", receipt)
        else:
            self._troubles.pop(seen.path.name, None)
            LOGGER.info("%s was taken in: %d accepted, %d rejected", self._shown(seen), receipt.accepted, receipt.rejected)

    def _is_put_off(self, seen: Seen) -> bool:
        trouble = self._troubles.get(seen.path.name)
        if trouble is None or trouble.mark != seen.mark:
            return False
        return timedelta() < trouble.until - self._clock() <= TRY_AGAIN  # more is left only if the clock was set back

    def _trouble(self, seen: Seen, code: str, what: str, receipt: Receipt | None = None) -> None:
        """Note why the file stays in the folder. Logged once for each state of the file."""
        before = self._troubles.get(seen.path.name)
        self._observer.faulted(DOOR, code)
        if before is None or (before.mark, before.code) != (seen.mark, code):
            LOGGER.error("%s %s", self._shown(seen), what)
        self._troubles[seen.path.name] = _Trouble(seen.mark, code, self._clock() + TRY_AGAIN, receipt)

    def _cannot_look(self, error: OSError) -> None:
        self._observer.faulted(DOOR, "folder-unreadable")
        why = error.strerror or type(error).__name__
        if why != self._missing:
            LOGGER.error("the folder of %s, %s, cannot be read: %s. %s", self._source.id, self._folder, why, _REACH)
        self._missing = why

    def _shown(self, seen: Seen) -> str:
        changed = datetime.fromtimestamp(seen.mark.changed_ns / 1e9, UTC)
        return f"the file of {self._source.id} of {seen.mark.size_bytes} bytes, changed at {changed:%Y-%m-%dT%H:%M:%SZ},"


async def _unless_stopped(work: Coroutine[None, None, None], stop: asyncio.Event | None) -> None:
    """Do ``work``. If a stop is requested meanwhile, cancel it after `STOP_GRACE`."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait() if stop is not None else asyncio.Future())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((task,), timeout=STOP_GRACE.total_seconds())
    finally:
        stopping.cancel()
        if not task.done():
            LOGGER.info("a file is left for the next start")
            task.cancel()
            await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
