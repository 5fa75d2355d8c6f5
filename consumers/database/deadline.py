"""Limits every wait for PostgreSQL within a transaction, even when no answer ever comes.

The server ends a slow statement by itself (``statement_timeout``), and the system a connection whose other end acknowledges
nothing (TCP keepalive). Neither helps when a firewall, a pooler or a relay in between goes on acknowledging but forwards
nothing: either driver would wait for ever. So each statement and the commit also have a time limit in the event loop. The
time that is computed between two statements is not limited.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Deadline:
    """How long the next answer to one transaction may take. Code that bypasses SQLAlchemy calls `begins` and `ends` itself."""

    def __init__(self, limit: asyncio.Timeout, patience_s: float) -> None:
        self._limit, self._patience_s = limit, patience_s
        self._clock = asyncio.get_running_loop().time

    def begins(self, *_: Any) -> None:
        """A statement was sent: start the clock."""
        if not self._limit.expired():
            self._limit.reschedule(self._clock() + self._patience_s)

    def ends(self, *_: Any) -> None:
        """The answer has come: stop the clock."""
        if not self._limit.expired():
            self._limit.reschedule(None)


@asynccontextmanager
async def transaction(engine: AsyncEngine, patience_s: float, connecting_s: float) -> AsyncIterator[AsyncConnection]:
    """Like ``engine.begin()``, but raises ``TimeoutError`` when a wait takes too long.

    Each statement and the commit may take ``patience_s``; getting a connection may take ``connecting_s``.
    """
    async with asyncio.timeout(connecting_s) as limit:
        deadline = Deadline(limit, patience_s)
        async with engine.begin() as connection:
            info = await connection.run_sync(_heeds, deadline)
            deadline.ends()
            try:
                yield connection
            finally:
                info.pop(Deadline, None)
                deadline.begins()  # for the commit or the rollback


def _heeds(connection: Connection, deadline: Deadline) -> dict[Any, Any]:
    """Have SQLAlchemy tell ``deadline`` of each statement; returns the dictionary in which other code finds ``deadline``."""
    event.listen(connection, "before_cursor_execute", deadline.begins)
    event.listen(connection, "after_cursor_execute", deadline.ends)
    info: dict[Any, Any] = connection.info
    info[Deadline] = deadline
    return info
