"""`kill -9` of processes that append to one embedded log: what they had been told is there is there, once (promise P1)."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.eventlog.verify import verify

pytestmark = pytest.mark.asyncio

ROOT = Path(__file__).parents[2]
TOPICS = ("events", "receipts")
PROCESSES = 2
DEADLINE_SECONDS = 60

APPENDER = """
import asyncio, os, sys
from pathlib import Path
from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.log import NewRecord

async def main(path, name):
    log = EmbeddedLog(Path(path))
    async def append_for_ever(caller):
        number = 0
        while True:
            number += 1
            id = f"{name}-{caller}-{number}"
            content = id.encode().ljust(100 + number % 3000, b".")
            await log.append([NewRecord("events", id, content), NewRecord("receipts", id, id.encode())])
            os.write(1, id.encode() + b"\\n")
    await asyncio.gather(*(append_for_ever(caller) for caller in range(8)))

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_appender(path: Path, name: str, acknowledged: int) -> list[bytes]:
    """Let a process append until it has reported ``acknowledged`` appends, kill it, and give all that it reported."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APPENDER, str(path), name, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    reported: list[bytes] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(reported) < acknowledged:
            line = await child.stdout.readline()
            assert line, "the appender ended by itself"
            reported.append(line)
    child.kill()
    reported += (await child.stdout.read()).splitlines(keepends=True)
    assert await child.wait() == -9
    return [line.strip() for line in reported if line.endswith(b"\n")]


async def new_ids(log: EmbeddedLog, topic: str, seen: dict[tuple[str, int], int]) -> list[bytes]:
    """The ids in ``topic`` behind what was seen, each partition's offsets without a gap."""
    ids: list[bytes] = []
    for partition in await log.ends(topic):
        while records := await log.read(topic, partition, seen.get((topic, partition), 0), 1000):
            start = seen.get((topic, partition), 0)
            assert [record.offset for record in records] == list(range(start, start + len(records)))
            seen[topic, partition] = start + len(records)
            ids += [record.value.rstrip(b".") for record in records]
    return ids


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.soak)])
async def test_no_acknowledged_append_is_lost_or_doubled_by_kill_9(kills: int, tmp_path: Path) -> None:
    chance = random.Random(9)
    path = tmp_path / "log.db"
    acknowledged: set[bytes] = set()
    found: dict[str, Counter[bytes]] = {topic: Counter() for topic in TOPICS}
    seen: dict[tuple[str, int], int] = {}
    for number in range(kills // PROCESSES):
        children = [killed_appender(path, f"{number}-{child}", chance.randint(1, 400)) for child in range(PROCESSES)]
        acknowledged.update(*await asyncio.gather(*children))
        log = EmbeddedLog(path)
        for topic in TOPICS:
            found[topic].update(await new_ids(log, topic, seen))
        await log.close()
        lost = acknowledged - found["events"].keys()
        assert not lost, f"{len(lost)} acknowledged appends lost by kill {number}"
    assert set(found["events"].values()) == {1}, "an append was doubled"
    assert found["events"] == found["receipts"], "an append is there in part"
    log = EmbeddedLog(path)
    assert all([(await verify(log, topic)).sound for topic in TOPICS])
    await log.close()
    print(f"{kills} kills, {len(acknowledged)} acknowledged appends, {len(found['events'])} in the log")
