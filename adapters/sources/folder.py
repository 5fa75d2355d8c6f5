"""The drop folder: files put into it are taken in and moved to ``done/`` or ``failed/`` with a receipt beside them.

A file is moved only after what became of it is durable (promise P1). A crash at any point neither loses nor doubles: the file
is where it was, is read again, and has the same receipt and the same events.

A file that cannot be read, moved or taken in holds up no other; it stays where it is and is tried again. Files are named in the
log by size and time, because people write names of persons into the names of files (promise P12).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from adapters.intake import Delivery, Intake
from adapters.observe import Observer, Unobserved, described
from adapters.sources.folder_shelf import put_away
from adapters.sources.folder_watch import Mark, Seen, Settling, look, mark_of
from schemas.errors import EngineUnavailable
from schemas.receipt import Receipt
from schemas.source import Source

LOGGER = logging.getLogger(__name__)

DOOR = "folder"
SETTLE = timedelta(seconds=2)
"""How long a file must be unchanged: longer than a writer that is busy pauses."""
INTERVAL = timedelta(seconds=1)
"""Between two looks into the folder."""
TRY_AGAIN = timedelta(seconds=60)
"""Until a file that made trouble is tried again, unless it changes before."""
_RIGHTS = "Let the user that runs the backbone read it and write to its folder and to done/; it is tried every minute."
_REACH = "Is its share mounted, and may the user that runs the backbone read it? It is looked for all the time."
REST_MOST = timedelta(seconds=60)
"""Longest pause while the log is down; it begins at the interval and doubles."""
STOP_GRACE = timedelta(seconds=5)
"""For the file under way when a stop is asked for; one that takes longer is left for the next start."""

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
"""By suffix, in lower case; a file of any other is whatever its source reads."""
ANY_TYPE = "application/octet-stream"


class _Trouble(NamedTuple):
    """Why a file is where it is."""

    mark: Mark
    code: str
    until: datetime
    receipt: Receipt | None = None
    """It was taken in, and is only to be put away."""


class DropFolder:
    """One source's folder."""

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
        observer: Observer | None = None,
    ) -> None:
        self._intake = intake
        self._source = source
        self._folder = folder
        self._clock = clock
        self._interval = interval
        self._media_types = media_types
        self._observer = observer or Unobserved()
        self._settling = Settling(settle)
        self._troubles: dict[str, _Trouble] = {}
        """By name of the file."""
        self._missing = ""
        """Why the folder cannot be read."""
        self._rest = interval

    async def run(self, stop: asyncio.Event) -> None:
        """Look into the folder until ``stop``. What is under way is then finished, or left for the next start."""
        while not stop.is_set():
            await self.look(stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._rest.total_seconds())

    async def look(self, stop: asyncio.Event | None = None) -> None:
        """Look into the folder once and take in what has come to rest."""
        try:
            found = await asyncio.to_thread(look, self._folder)
        except OSError as error:
            self._cannot_look(error)
            return
        self._missing = ""
        resting = self._settling.at_rest(found, self._clock())
        names = {seen.path.name for seen in found}
        self._troubles = {name: trouble for name, trouble in self._troubles.items() if name in names}
        try:
            for seen in resting:
                if not self._is_put_off(seen):
                    await _unless_stopped(self._take(seen), stop)
                if stop is not None and stop.is_set():
                    return
        except EngineUnavailable as error:
            self._rest = min(self._rest * 2, REST_MOST)
            LOGGER.warning("the folder of %s waits for %.0f s: %s", self._source.id, self._rest.total_seconds(), error)
            return
        self._rest = self._interval

    async def _take(self, seen: Seen) -> None:
        """Take one file in and put it away."""
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
            self._trouble(seen, "door-failed", f"was not taken in: {described(error)}")
            return
        if receipt is not None:
            await self._put_away(seen, receipt)

    async def _receive(self, seen: Seen) -> Receipt | None:
        """The file's receipt; ``None`` when the file is not the one that had come to rest."""
        with await asyncio.to_thread(seen.path.open, "rb") as content:
            if mark_of(os.fstat(content.fileno())) != seen.mark:
                return None
            kind = self._media_types.get(seen.path.suffix.lower(), ANY_TYPE)
            receipt = await self._intake.receive(Delivery(self._source, DOOR, content, kind, seen.path.name))
            if mark_of(os.fstat(content.fileno())) == seen.mark:
                return receipt
        # What was read of it is in the log, and it will be read again, whole: rows that were whole have the same events.
        self._trouble(seen, "file-changed", "changed while it was read; it is read again when it has come to rest")
        return None

    async def _put_away(self, seen: Seen, receipt: Receipt) -> None:
        try:
            await asyncio.to_thread(put_away, seen.path, receipt)
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
        return timedelta() < trouble.until - self._clock() <= TRY_AGAIN  # more is left only when the clock was set back

    def _trouble(self, seen: Seen, code: str, what: str, receipt: Receipt | None = None) -> None:
        """Note why the file stays; said once for each state of the file."""
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
    """Do ``work``; when a stop is asked for in the middle, give it `STOP_GRACE` and then break it off."""
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
