"""Looks for what a projection may not have applied yet: who was just told an id finds what it stands for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.watching.freshness import Freshness

CATCH_UP_S = 2.0
"""Longest wait for what may be on its way; a projection is behind by less than 0.1 s when all is well."""
_LOOK_EVERY_S = 0.02

Found = TypeVar("Found")


async def recent(freshness: Freshness, projection: str, look: Callable[[], Awaitable[Found | None]]) -> Found | None:
    """What ``look`` finds, waiting for ``projection`` while it is behind. Raises `schemas.errors.EngineUnavailable`."""
    deadline = time.monotonic() + CATCH_UP_S
    while (found := await look()) is None:
        measured = await freshness.measure()
        if not measured.behind[projection].events or time.monotonic() > deadline:
            return await look()
        await asyncio.sleep(_LOOK_EVERY_S)
    return found
