"""A person's timeline as it grows: resumable server-sent events, which end when the server stops.

Each event's id is a cursor of the store, so a client that comes back with its last one misses nothing, whichever process
answers and whatever has happened in between. Some entries may be repeated, or reported as gone though the client never had
them: those of a record of which something has been judged again meanwhile. Neither harms a client that keeps entries by id.

Source: HTML Living Standard §9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

import msgspec

from consumers.timeline.query import Changes, TimelineQuery
from schemas.errors import EngineUnavailable
from schemas.timeline import Question

RETRY_MS = 1000
"""How long a client waits before it connects again after the server's stop."""


class Pace(NamedTuple):
    """How often things happen on a stream."""

    look_every: timedelta = timedelta(milliseconds=250)
    """How often the store is asked for news, and so the most by which an event follows its projection."""
    heartbeat: timedelta = timedelta(seconds=15)
    """Silence after which a comment is sent: proxies close connections that are idle for a minute, and it shows that a client
    has left."""


PACE = Pace()


async def events(
    query: TimelineQuery, asked: Question, first: Changes, stopping: asyncio.Event, pace: Pace = PACE
) -> AsyncIterator[bytes]:
    """Server-sent events for ``first`` (what ``asked`` found) and for everything learned after it, until ``stopping``.

    The first event has an id but no data, so that a client which has not seen any entry can resume from there. While the store
    does not answer, the stream stays open and silent.
    """
    clock = asyncio.get_running_loop().time
    yield b"retry: %d\nid: %b\n\n" % (RETRY_MS, (asked.after or first.after).encode())
    changes, spoken_at = first, clock()
    while not stopping.is_set():
        for cursor, entry_id in changes.gone:
            yield b"event: gone\nid: %b\ndata: %b\n\n" % (cursor.encode(), msgspec.json.encode({"id": entry_id}))
            spoken_at = clock()
        for cursor, entry in changes.entries:
            yield b"event: entry\nid: %b\ndata: %b\n\n" % (cursor.encode(), entry)
            spoken_at = clock()
        if clock() - spoken_at > pace.heartbeat.total_seconds():
            yield b": still here\n\n"
            spoken_at = clock()
        if not changes.entries and not changes.gone:
            await _pause(stopping, pace.look_every)
        changes = await _next(query, asked, changes)


async def _next(query: TimelineQuery, asked: Question, before: Changes) -> Changes:
    try:
        return await query.changes(msgspec.structs.replace(asked, after=before.after), before.known)
    except EngineUnavailable:
        return before._replace(entries=(), gone=())  # the client's own connection is well: it waits with us


async def _pause(stopping: asyncio.Event, time: timedelta) -> None:
    """Until the next look, or the stop."""
    try:
        async with asyncio.timeout(time.total_seconds()):
            await stopping.wait()
    except TimeoutError:
        return
