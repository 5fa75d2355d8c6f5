"""The doors besides HTTP: the MLLP listener and the drop folders."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from adapters.sources.folder import DropFolder
from adapters.sources.mllp import MllpListener
from gateway.parts.part import Shown
from gateway.settings.shapes import Address


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

    source: str
    path: Path
    folder: DropFolder


class FoldersPart:
    """Looks into the drop folders."""

    name = "folder"

    def __init__(self, watched: Sequence[Watched]) -> None:
        self._watched = watched
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()

    async def start(self) -> list[Shown]:
        for one in self._watched:
            with contextlib.suppress(OSError):  # the folder itself says why it cannot be read, and again when it can
                one.path.mkdir(parents=True, exist_ok=True)
        return [Shown(self.name, f"{one.path} ({one.source})") for one in self._watched]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for one in self._watched:
                    group.create_task(one.folder.run(self._stop))
        finally:
            self._ended.set()

    async def stop(self, within: timedelta) -> None:
        self._stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), within.total_seconds())
