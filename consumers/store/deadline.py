"""An end to every wait for PostgreSQL within a transaction, also where nobody will ever answer.

The server gives up on a statement by itself, and the system on a connection whose other end acknowledges nothing. Neither
helps where a firewall, a pooler or a relay in between goes on acknowledging and forwards nothing: either driver would wait for
ever. So each statement and the commit have a time of ours, within the event loop. What is computed between two statements has
none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Deadline:
    """The time that one transaction's next answer may take. Whoever runs a statement past SQLAlchemy says so here."""

    def __init__(self, limit: asyncio.Timeout, patience_s: float) -> None:
        self._limit, self._patience_s = limit, patience_s
        self._clock = asyncio.get_running_loop().time

    def begins(self, *_: Any) -> None:
        """Something was asked."""
        if not self._limit.expired():
            self._limit.reschedule(self._clock() + self._patience_s)

    def ends(self, *_: Any) -> None:
        """It was answered."""
        if not self._limit.expired():
            self._limit.reschedule(None)


@asynccontextmanager
async def transaction(engine: AsyncEngine, patience_s: float, connecting_s: float) -> AsyncIterator[AsyncConnection]:
    """As ``engine.begin()``; raises ``TimeoutError`` when a wait takes longer than it may.

    Each statement and the commit may take ``patience_s``, and that a connection is there ``connecting_s``.
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
                deadline.begins()  # the end of the transaction, whichever it is


def _heeds(connection: Connection, deadline: Deadline) -> dict[Any, Any]:
    """Have ``deadline`` told of each statement; where those who go past SQLAlchemy find it."""
    event.listen(connection, "before_cursor_execute", deadline.begins)
    event.listen(connection, "after_cursor_execute", deadline.ends)
    info: dict[Any, Any] = connection.info
    info[Deadline] = deadline
    return info
