"""The doors besides HTTP: the MLLP listener and the drop folders."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from adapters.sources.folder import DropFolder
from adapters.sources.mllp import MllpListener
from gateway.serving.part import Shown
from gateway.settings.values import Address
from schemas.source import Source


class MllpPart:
    """Listens for HL7 v2 messages."""

    name = "mllp"

    def __init__(self, listener: MllpListener) -> None:
        self._listener = listener

    async def start(self) -> list[Shown]:
        await self._listener.start()
        return [Shown(self.name, str(Address(*self._listener.address)))]

    async def run(self) -> None:
        await self._listener.ended()

    async def stop(self, within: timedelta) -> None:
        await self._listener.stop(within)


class Watched(NamedTuple):
    """One source's drop folder."""

    source: Source
    path: Path
    folder: DropFolder

    @property
    def about(self) -> tuple[Source, Path]:
        """Identifies the folder and how it is watched: two that are equal in this are the same."""
        return self.source, self.path


class _Watching(NamedTuple):
    """A folder that is looked into."""

    watched: Watched
    stop: asyncio.Event
    task: asyncio.Task[None]


class FoldersPart:
    """Looks into the drop folders."""

    name = "folder"

    def __init__(self, watched: Iterable[Watched]) -> None:
        self._watching: dict[str, _Watching] = {}
        self._stopping = False
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self.watch(watched)

    def watch(self, watched: Iterable[Watched]) -> None:
        """Watch these from now on, and no others; a folder that is the same as before goes on being watched."""
        self._wanted = {one.source.id: one for one in watched}
        self._woken.set()

    async def start(self) -> list[Shown]:
        for one in self._wanted.values():
            _make(one.path)
        return [Shown(self.name, f"{one.path} ({one.source.id})") for one in self._wanted.values()]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while not self._stopping:
                    await self._end(each for each in self._watching.values() if not self._is_wanted(each))
                    for one in self._wanted.values():
                        self._begin(one, group)
                    await self._woken.wait()
                    self._woken.clear()
                await self._end(self._watching.values())
        finally:
            self._ended.set()

    async def stop(self, within: timedelta) -> None:
        self._stopping = True
        self._woken.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), within.total_seconds())

    def _is_wanted(self, each: _Watching) -> bool:
        wanted = self._wanted.get(each.watched.source.id)
        return wanted is not None and wanted.about == each.watched.about

    def _begin(self, one: Watched, group: asyncio.TaskGroup) -> None:
        if one.source.id not in self._watching:
            _make(one.path)
            stop = asyncio.Event()
            self._watching[one.source.id] = _Watching(one, stop, group.create_task(one.folder.run(stop)))

    async def _end(self, watching: Iterable[_Watching]) -> None:
        """Stop watching these. Files in progress are finished, or left where they are."""
        ending = list(watching)
        for each in ending:
            each.stop.set()
        await asyncio.gather(*(each.task for each in ending))
        for each in ending:
            del self._watching[each.watched.source.id]


def _make(folder: Path) -> None:
    """Make the folder if possible. If not, the drop folder itself reports why it cannot be read, and when it can be again."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
