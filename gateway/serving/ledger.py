"""Opens the ledger beside everything else. While it is away, it is tried again: nothing that is taken in waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from gateway.serving.part import Shown
from gateway.serving.projections import FIRST_WAIT_S, LONGEST_WAIT_S, pause
from schemas.errors import EngineUnavailable

LOGGER = logging.getLogger("backbone.gateway")


class LedgerPart:
    """Sees that the ledger is there and its tables are of this version, by ``open_ledger``."""

    name = "ledger"

    def __init__(self, open_ledger: Callable[[], Awaitable[None]]) -> None:
        self._open = open_ledger
        self._stop = asyncio.Event()

    async def start(self) -> list[Shown]:
        return []

    async def run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                await self._open()
                break
            except EngineUnavailable as error:
                LOGGER.error("the ledger is not written for %.1f s: %s", wait_s, error)
                await pause(self._stop, wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        await self._stop.wait()

    async def stop(self, within: timedelta) -> None:
        self._stop.set()
