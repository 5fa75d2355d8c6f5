"""The floor: the least that could be done with the same bytes on the same engines, in as many processes.

A bare asyncio socket, a group commit with ``synchronous=FULL``, and in a second process ``executemany`` upserts: no parsing,
translating, validating, no framework. Run as ``python -m tests.bench.floor server PORT FOLDER`` and ``… projection FOLDER``.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import cast

from tests.bench.messages import person

_ACK = b"\x0bMSH|^~\\&|ROUTE|ROUTE|PAS|RX1|20260301||ACK^A01^ACK|1|P|2.4\rMSA|AA|1\r\x1c\r"
_BATCH = 1000
_READ = "SELECT offset, value FROM entry WHERE offset > ? ORDER BY offset LIMIT ?"
_WRITE = "INSERT INTO entry VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"


Work = queue.SimpleQueue[tuple[bytes, asyncio.Transport] | None]


def _writer(folder: Path, work: Work, loop: asyncio.AbstractEventLoop) -> None:
    log = sqlite3.connect(folder / "log.db", isolation_level=None)
    log.execute("PRAGMA journal_mode=WAL")
    log.execute("PRAGMA synchronous=FULL")
    log.execute("CREATE TABLE IF NOT EXISTS entry (offset INTEGER PRIMARY KEY, value BLOB)")
    while (first := work.get()) is not None:
        group = [first]
        while not work.empty() and len(group) < _BATCH:
            item = work.get()
            if item is None:
                return
            group.append(item)
        log.execute("BEGIN IMMEDIATE")
        log.executemany("INSERT INTO entry (value) VALUES (?)", [(value,) for value, _ in group])
        log.execute("COMMIT")
        loop.call_soon_threadsafe(_answer, [transport for _, transport in group])


def _answer(transports: list[asyncio.Transport]) -> None:
    for transport in transports:
        transport.write(_ACK)


class _Server(asyncio.Protocol):
    def __init__(self, work: Work) -> None:
        self._work, self._partial = work, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        frame = self._partial + data
        if not frame.endswith(b"\x1c\r"):
            self._partial = frame
            return
        self._partial = b""
        self._work.put((frame[1:-2], self._transport))


async def serve(port: int, folder: Path) -> None:
    """Take frames on ``port``, commit them in groups, answer."""
    loop = asyncio.get_running_loop()
    work: Work = queue.SimpleQueue()
    thread = threading.Thread(target=_writer, args=(folder, work, loop))
    thread.start()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: _Server(work), "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await stop.wait()
    server.close()
    work.put(None)
    thread.join()


def project(folder: Path) -> None:
    """Read what was committed and upsert it, a thousand at a time."""
    log = sqlite3.connect(folder / "log.db", isolation_level=None, timeout=10)
    store = sqlite3.connect(folder / "store.db", isolation_level=None)
    store.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE IF NOT EXISTS entry (id TEXT PRIMARY KEY, person TEXT, at INTEGER, body BLOB);"
        "CREATE INDEX IF NOT EXISTS entry_of_person ON entry (person, at);"
        "CREATE TABLE IF NOT EXISTS position (next INTEGER)"
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print("ready", flush=True)
    position = 0
    while not stopped.is_set():
        rows = log.execute(_READ, (position, _BATCH)).fetchall()
        if not rows:
            time.sleep(0.005)
            continue
        position = rows[-1][0]
        entries = [(hashlib.sha1(value).hexdigest(), person(value), offset, value) for offset, value in rows]
        store.execute("BEGIN IMMEDIATE")
        store.executemany(_WRITE, entries)
        store.execute("DELETE FROM position")
        store.execute("INSERT INTO position VALUES (?)", (position,))
        store.execute("COMMIT")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        import uvloop

        uvloop.run(serve(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        project(Path(sys.argv[2]))
