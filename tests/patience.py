"""Waiting for what must come: asked for again and again, and given up only after far longer than it takes.

A busy machine fails no test. Nothing waits for a while and hopes; where a test is about time itself, `pass_time` says so.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 120.0
"""A hundred times what anything here takes on a quiet machine."""
_PAUSE_S = 0.01
"""Between two looks."""


def eventually(look: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What ``look`` finds, asked until it finds something."""
    end = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(_PAUSE_S)
    return found


async def until(look: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """`eventually` beside what else the loop does; ``look`` may be a coroutine function."""
    end = time.monotonic() + within_s
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(_PAUSE_S)


async def pass_time(seconds: float) -> None:
    """Let time pass: for what is about time itself, as a trickle of bytes or the moment a fault strikes."""
    await asyncio.sleep(seconds)
