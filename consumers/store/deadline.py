"""An end to every wait for PostgreSQL within a transaction, also where nobody will ever answer.

The server gives up on a statement by itself, and the system on a connection whose other end acknowledges nothing. Neither
helps where a firewall, a pooler or a relay in between goes on acknowledging and forwards nothing: either driver would wait for
ever. So each statement and the commit have a time of ours, within the event loop. What is computed between two statements
has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@asynccontextmanager
async def transaction(engine: AsyncEngine, patience_s: float, connecting_s: float) -> AsyncIterator[AsyncConnection]:
    """As ``engine.begin()``; raises ``TimeoutError`` when a wait takes longer than it may.

    Each statement and the commit may take ``patience_s``, and that a connection is there ``connecting_s``.
    """
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(connecting_s) as limit:

        def begins(*_: Any) -> None:
            if not limit.expired():
                limit.reschedule(clock() + patience_s)

        def ends(*_: Any) -> None:
            limit.reschedule(None)

        async with engine.begin() as connection:
            await connection.run_sync(_listen, begins, ends)
            ends()
            try:
                yield connection
            finally:
                begins()  # the end of the transaction, whichever it is


def _listen(connection: Connection, begins: Callable[..., None], ends: Callable[..., None]) -> None:
    event.listen(connection, "before_cursor_execute", begins)
    event.listen(connection, "after_cursor_execute", ends)
