"""The floor of the production shape: the same bytes through a bare socket, aiokafka and psycopg, in as many processes.

No parsing, translating, validating, no framework. Run as ``python -m tests.bench.kafka_floor server PORT BOOTSTRAP TOPIC`` and
``… projection BOOTSTRAP TOPIC STORE``.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
from typing import Any, cast

import psycopg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.bench.messages import person

_ACK = b"\x0bMSH|^~\\&|ROUTE|ROUTE|PAS|RX1|20260301||ACK^A01^ACK|1|P|2.4\rMSA|AA|1\r\x1c\r"
_BATCH = 1000
PARTITIONS = 24
CREATE = (
    "CREATE TABLE IF NOT EXISTS entry (id TEXT PRIMARY KEY, person TEXT, at BIGINT, body BYTEA)",
    "CREATE INDEX IF NOT EXISTS entry_of_person ON entry (person, at)",
    "CREATE TABLE IF NOT EXISTS position (projection TEXT, partition INTEGER PRIMARY KEY, next BIGINT)",
)
_WRITE = "INSERT INTO entry VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_MOVE = "INSERT INTO position VALUES ('timeline', %s, %s) ON CONFLICT (partition) DO UPDATE SET next = excluded.next"


class _Server(asyncio.Protocol):
    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer, self._topic, self._partial = producer, topic, b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        frame = self._partial + data
        if not frame.endswith(b"\x1c\r"):
            self._partial = frame
            return
        self._partial = b""
        task = asyncio.create_task(self._take(frame[1:-2]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, message: bytes) -> None:
        await self._producer.send_and_wait(self._topic, message, key=person(message))
        self._transport.write(_ACK)


async def serve(port: int, bootstrap: str, topic: str) -> None:
    """Take frames on ``port``, append them, answer."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=256 * 1024)
    await producer.start()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: _Server(producer, topic), "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    await stop.wait()
    server.close()
    await producer.stop()


async def project(bootstrap: str, topic: str, store: str, until: int = 0) -> None:
    """Read what was appended and upsert it, a thousand at a time; end after ``until`` records, if that is said."""
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
    )
    await consumer.start()
    consumer.assign(places)
    connection = await psycopg.AsyncConnection.connect(store)
    await connection.execute("SET synchronous_commit = off")  # as the backbone's own connections do
    for statement in CREATE:
        await connection.execute(statement)
    await connection.commit()
    print("ready", flush=True)
    loop, stop, done = asyncio.get_running_loop(), asyncio.Event(), 0
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set() and not (until and done >= until):
        batches = await consumer.getmany(timeout_ms=500, max_records=_BATCH)
        records = [one for batch in batches.values() for one in batch]
        if records:
            await _write(connection, records)
            done += len(records)
    await consumer.stop()
    await connection.close()


async def _write(connection: psycopg.AsyncConnection[Any], records: list[Any]) -> None:
    rows = [(hashlib.sha1(one.value).hexdigest(), one.key.decode(), one.offset, one.value) for one in records]
    ends = {one.partition: one.offset + 1 for one in records}
    async with connection.cursor() as cursor:
        await cursor.executemany(_WRITE, rows)
        await cursor.executemany(_MOVE, list(ends.items()))
    await connection.commit()


if __name__ == "__main__":
    if sys.argv[1] == "server":
        uvloop.run(serve(int(sys.argv[2]), *sys.argv[3:5]))
    else:
        uvloop.run(project(*sys.argv[2:5], until=int(sys.argv[5]) if len(sys.argv) > 5 else 0))
