"""Picks up changes to settings and mappings while the server runs, as far as they concern sources.

Files are looked at every second and read once they have come to rest. Faults are reported in the log and in a metric, and what
was in force stays in force: a source whose mapping has an error goes on with its previous mapping. While anything is wrong
everything is read again at every look, because the cure may be a file nobody knew of before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from gateway.serving.part import Shown
from gateway.settings.shapes import Settings
from schemas.errors import BackboneError

LOGGER = logging.getLogger("backbone.gateway")

EVERY = timedelta(seconds=1)
"""Time between two looks at the files. A changed file is read by the first look that finds it unchanged since the one before.
"""

Read = Callable[[], Settings]
"""Reads the settings as they now are. Raises an ``ExceptionGroup`` of `BackboneError`."""


class Renewed(NamedTuple):
    """The outcome of reading the settings again."""

    sources: Collection[str]
    """Ids of the sources that are new, gone or changed."""
    wrong: Sequence[BackboneError]
    """What is wrong with mappings."""


Renew = Callable[[Settings], Awaitable[Renewed]]
"""Puts the sources in the settings into force."""
Marks = dict[Path, tuple[int, int, int] | None]
"""What shows that a file has changed: inode, size and time of change; ``None`` when it does not exist."""


class SettingsObserver(Protocol):
    """Told of each reading."""

    def refused(self, faults: int) -> None:
        """The settings and mappings, as they now are, have this many faults."""
        ...


class SettingsPart:
    """Follows the files that ``in_force`` came from. ``file`` is the settings file, which need not exist."""

    name = "settings"

    def __init__(self, in_force: Settings, file: Path, read: Read, renew: Renew, observer: SettingsObserver) -> None:
        self._in_force = in_force
        self._file = file
        self._read = read
        self._renew = renew
        self._observer = observer
        self._stop = asyncio.Event()
        self._seen: Marks = {}
        self._taken: Marks = {}
        """Empty at first, so that anything changed while the server started is picked up by the first look."""
        self._said: list[str] = []
        """What was wrong at the last reading."""

    async def start(self) -> list[Shown]:
        return []

    async def run(self) -> None:
        while not self._stop.is_set():
            await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), EVERY.total_seconds())

    async def stop(self, within: timedelta) -> None:
        self._stop.set()

    async def _look(self) -> None:
        found = await asyncio.to_thread(_marks, self._files())
        at_rest, self._seen = found == self._seen, found
        if at_rest and (found != self._taken or self._said):
            self._taken = found
            settings = await self._settings()
            if settings is not None:
                await self._take(settings)

    def _files(self) -> Iterable[Path]:
        """The settings file, each mapping in force, and for each the file beside the settings that would take its place."""
        mapped = [source for source in self._in_force.sources.values() if source.mapping is not None]
        return {
            self._file,
            *(source.mapping or self._file for source in mapped),
            *(self._file.parent / s.reads for s in mapped),
        }

    async def _settings(self) -> Settings | None:
        """The settings as they now are; ``None`` when they have faults."""
        settings: Settings | None = None
        try:
            settings = await asyncio.to_thread(self._read)
        except* (BackboneError, OSError) as faults:
            self._tell(faults.exceptions)
        return settings

    async def _take(self, settings: Settings) -> None:
        """Put ``settings`` into force, except for what has to wait for the next start."""
        renewed = await self._renew(settings)
        if renewed.sources:
            LOGGER.info("the changed settings are in force: %s", ", ".join(renewed.sources))
        waiting = [name for name in _OTHERS if getattr(settings, name) != getattr(self._in_force, name)]
        if waiting:
            LOGGER.warning("what the settings say of %s waits for the next start", ", ".join(waiting))
        self._in_force = settings
        self._tell(renewed.wrong)

    def _tell(self, faults: Iterable[BaseException]) -> None:
        """Report the faults, once for as long as they stay the same, and count them."""
        said = [str(fault) for fault in faults]
        for fault in said if said != self._said else ():
            LOGGER.error("the change was refused, and the previous settings stay in force: %s", fault)
        if self._said and not said:
            LOGGER.info("the settings and mappings have no faults any more")
        self._said = said
        self._observer.refused(len(said))


_OTHERS = [name for name in Settings.__struct_fields__ if name not in ("sources", "file", "secret_files")]
"""The settings that a running server does not pick up."""


def _marks(files: Iterable[Path]) -> Marks:
    return {file: _mark(file) for file in files}


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
