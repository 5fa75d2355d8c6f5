"""Takes up settings and mappings that were changed while the server runs: what they say of sources, and nothing else.

A file is looked at each second and read when it has come to rest. What is wrong with it is said, in the log and in a metric,
and what was in force stays so: a source whose mapping has an error goes on with the mapping before. As long as something is
wrong it is read again at every look, because the cure may be a file that nobody could know of before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from gateway.parts.part import Shown
from gateway.settings.shapes import Settings
from schemas.errors import BackboneError

LOGGER = logging.getLogger("backbone.gateway")

EVERY = timedelta(seconds=1)
"""Between two looks at the files. One that changed is read at the look that finds it as the look before did."""

Read = Callable[[], Settings]
"""Reads the settings as they stand. Raises an ``ExceptionGroup`` of `BackboneError`."""


class Renewed(NamedTuple):
    """What became of settings that were read anew."""

    sources: Collection[str]
    """Ids of those that are new, gone, or otherwise than before."""
    wrong: Sequence[BackboneError]
    """What is wrong with mappings."""


Renew = Callable[[Settings], Awaitable[Renewed]]
"""Puts what settings say of sources into force."""
Marks = dict[Path, tuple[int, int, int] | None]
"""What tells that a file is another than before: inode, size and time of change; ``None``: it is not there."""


class Observer(Protocol):
    """Told of each reading."""

    def refused(self, faults: int) -> None:
        """So many things are wrong with the settings and mappings as they stand."""
        ...


class SettingsPart:
    """Follows the files that ``in_force`` came from. ``file`` is the settings file, there or not."""

    name = "settings"

    def __init__(self, in_force: Settings, file: Path, read: Read, renew: Renew, observer: Observer) -> None:
        self._in_force = in_force
        self._file = file
        self._read = read
        self._renew = renew
        self._observer = observer
        self._stop = asyncio.Event()
        self._seen: Marks = {}
        self._taken: Marks = {}
        """None yet: what was changed while the server started is taken up at the first look."""
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
        """The settings, each mapping in force, and the file beside the settings that would take its place."""
        mapped = [source for source in self._in_force.sources.values() if source.mapping is not None]
        return {
            self._file,
            *(source.mapping or self._file for source in mapped),
            *(self._file.parent / s.reads for s in mapped),
        }

    async def _settings(self) -> Settings | None:
        """The settings as they stand; ``None`` when they cannot be."""
        settings: Settings | None = None
        try:
            settings = await asyncio.to_thread(self._read)
        except* (BackboneError, OSError) as faults:
            self._tell(faults.exceptions)
        return settings

    async def _take(self, settings: Settings) -> None:
        """Put ``settings`` into force, but for what waits for the next start."""
        renewed = await self._renew(settings)
        if renewed.sources:
            LOGGER.info("the settings are in force as they stand now: %s", ", ".join(renewed.sources))
        waiting = [name for name in _OTHERS if getattr(settings, name) != getattr(self._in_force, name)]
        if waiting:
            LOGGER.warning("what the settings say of %s waits for the next start", ", ".join(waiting))
        self._in_force = settings
        self._tell(renewed.wrong)

    def _tell(self, faults: Iterable[BaseException]) -> None:
        """Say each fault, once as long as they stay the same, and count them."""
        said = [str(fault) for fault in faults]
        for fault in said if said != self._said else ():
            LOGGER.error("not taken up, what was in force before stays so: %s", fault)
        if self._said and not said:
            LOGGER.info("nothing is wrong with the settings and mappings any more")
        self._said = said
        self._observer.refused(len(said))


_OTHERS = [name for name in Settings.__struct_fields__ if name not in ("sources", "file", "secret_files")]
"""What a running server does not take up."""


def _marks(files: Iterable[Path]) -> Marks:
    return {file: _mark(file) for file in files}


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
