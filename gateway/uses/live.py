"""A person's timeline as it grows: resumable server-sent events, which end when the server stops.

Each event's id is a cursor of the store, so a client that comes back with its last one misses nothing, whichever process
answers and whatever has happened in between. Some entries may be repeated, or reported as gone though the client never had
them: those of a record of which something has been judged again meanwhile. Neither harms a client that keeps entries by id.

One reader (`News`) asks for all streams of the process whose timelines may have changed, and a stream asks the
store only then. A stream whose client reads slowly is only marked: it asks again once the client has read what it was sent.

Source: HTML Living Standard §9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import NamedTuple

import msgspec

from consumers.timeline.query import CHANGES_MOST, Changes, TimelineQuery
from schemas.errors import EngineUnavailable
from schemas.identifiers import PersonId
from schemas.timeline import Question

RETRY_MS = 1000
"""How long a client waits before it connects again after the server's stop."""


class Pace(NamedTuple):
    """How often things happen on a stream."""

    again_after: timedelta = timedelta(milliseconds=250)
    """When a stream asks again that the store did not answer."""
    heartbeat: timedelta = timedelta(seconds=15)
    """Silence after which a comment is sent: proxies close connections that are idle for a minute, and it shows that a client
    has left."""


PACE = Pace()
LOOK_EVERY = timedelta(milliseconds=100)
"""How often the store is asked for news, and so the most by which a stream follows the projections."""

Changed = Callable[[], Awaitable[Collection[PersonId] | None]]
"""Whose timelines may have changed since the last call; ``None``: anybody's. Raises `schemas.errors.EngineUnavailable`, and
then whatever was missed is covered by the next answer."""


class News:
    """The reader of ``changed`` and those who listen to it. It and its listeners end when ``stopping`` is set."""

    def __init__(self, changed: Changed, stopping: asyncio.Event, look_every: timedelta = LOOK_EVERY) -> None:
        self.stopping = stopping
        self._changed, self._look_every = changed, look_every
        self._listeners: defaultdict[PersonId, set[Listener]] = defaultdict(set)
        self._reading: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, person: PersonId) -> Iterator[Listener]:
        """A listener to what may change on the timeline of ``person``, to whom everything from before is news."""
        listener = Listener(self)
        listener.follow(person)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="news")
            self._reading.add_done_callback(lambda _: self._tell(None))
        try:
            yield listener
        finally:
            listener.leave()
            if not self._listeners and self._reading is not None:
                self._reading.cancel()
                self._reading = None

    def join(self, person: PersonId, listener: Listener) -> None:
        """Have ``listener`` hear of ``person``."""
        self._listeners[person].add(listener)

    def leave(self, person: PersonId, listener: Listener) -> None:
        """Have ``listener`` hear no more of ``person``."""
        self._listeners[person].discard(listener)
        if not self._listeners[person]:
            del self._listeners[person]

    def require_reader(self) -> None:
        """Raises what ended the reader, unless it was the server's stop: a stream must not wait for nobody."""
        if self._reading is not None and self._reading.done() and not self.stopping.is_set():
            self._reading.result()

    async def _read(self) -> None:
        while not self.stopping.is_set():
            with suppress(EngineUnavailable):  # all hear of it once the store answers again
                self._tell(await self._changed())
            await _pause(self.stopping, self._look_every)

    def _tell(self, persons: Collection[PersonId] | None) -> None:
        for person in list(self._listeners) if persons is None else self._listeners.keys() & persons:
            for listener in self._listeners[person]:
                listener.ask_again()


class Listener:
    """One stream's ear. At first there is news."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._persons: set[PersonId] = set()
        self._heard = asyncio.Event()

    def follow(self, person: PersonId) -> None:
        """Hear of ``person`` as well; what may have changed until now is news."""
        if person not in self._persons:
            self._persons.add(person)
            self._news.join(person, self)
            self._heard.set()

    def ask_again(self, after: timedelta = timedelta(0)) -> None:
        """Take it that there is news, at once or after a time."""
        if after:
            asyncio.get_running_loop().call_later(after.total_seconds(), self._heard.set)
        else:
            self._heard.set()

    async def heard(self, until: float) -> bool:
        """Wait for news, until the loop's time is ``until`` or the server stops; whether there is any.

        Raises what ended the reader.
        """
        try:
            async with asyncio.timeout_at(until):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        self._news.require_reader()
        return not self._news.stopping.is_set()

    def leave(self) -> None:
        """Hear of nobody any more."""
        for person in self._persons:
            self._news.leave(person, self)


async def _pause(stopping: asyncio.Event, time: timedelta) -> None:
    """Until the next look, or the stop."""
    try:
        async with asyncio.timeout(time.total_seconds()):
            await stopping.wait()
    except TimeoutError:
        return


async def events(query: TimelineQuery, asked: Question, first: Changes, news: News, pace: Pace = PACE) -> AsyncIterator[bytes]:
    """Server-sent events for ``first`` (what ``asked`` found) and for everything learned after it, until the server stops.

    The first event has an id but no data, so that a client which has not seen any entry can resume from there. While the store
    does not answer, the stream stays open and silent.
    """
    clock = asyncio.get_running_loop().time
    yield b"retry: %d\nid: %b\n\n" % (RETRY_MS, (asked.after or first.after).encode())
    changes, silent_until = first, clock() + pace.heartbeat.total_seconds()
    with news.listening(asked.person) as listener:
        while not news.stopping.is_set():
            for told in _told(changes):
                yield told
                silent_until = clock() + pace.heartbeat.total_seconds()
            if clock() > silent_until:
                yield b": still here\n\n"
                silent_until = clock() + pace.heartbeat.total_seconds()
            if await listener.heard(silent_until):
                changes = await _next(query, asked, changes, listener, pace)
            else:
                changes = changes._replace(entries=(), gone=())


def _told(changes: Changes) -> Iterator[bytes]:
    for cursor, entry_id in changes.gone:
        yield b"event: gone\nid: %b\ndata: %b\n\n" % (cursor.encode(), msgspec.json.encode({"id": entry_id}))
    for cursor, entry in changes.entries:
        yield b"event: entry\nid: %b\ndata: %b\n\n" % (cursor.encode(), entry)


async def _next(query: TimelineQuery, asked: Question, before: Changes, listener: Listener, pace: Pace) -> Changes:
    try:
        changes = await query.changes(msgspec.structs.replace(asked, after=before.after), before.known)
    except EngineUnavailable:
        listener.ask_again(pace.again_after)
        return before._replace(entries=(), gone=())  # the client's own connection is well: it waits with us
    listener.follow(changes.person)
    if len(changes.entries) == CHANGES_MOST:
        listener.ask_again()
    return changes
