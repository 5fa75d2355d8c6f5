"""`kill -9` of a process that takes messages in over MLLP, under load: what was acknowledged is in the log, once (P1)."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.sources.mllp_send import MllpSender
from adapters.translator import Arrival
from schemas.arrival.receipt import decode as decode_receipt
from schemas.event import decode
from schemas.log import EVENTS, RECEIPTS
from schemas.pseudonyms import Pseudonyms
from tests.line_translator import SECRET
from tests.mllp_door import NORTHFIELD, admission, answered

ROOT = Path(__file__).parents[2]
SENDERS = 16
ACKNOWLEDGED_BETWEEN_KILLS = 150
DEADLINE_SECONDS = 60

DOOR = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.intake.receive import Intake
from adapters.registry import Registry
from adapters.sources.mllp import MllpListener
from adapters.sources.mllp_senders import Senders
from schemas.pseudonyms import Pseudonyms
from tests.line_translator import SECRET
from tests.mllp_door import NORTHFIELD, SENDERS

async def main(path, port):
    translator = Hl7v2Translator()
    registry = Registry({NORTHFIELD.id: translator}, {"hl7v2": translator})
    intake = Intake(EmbeddedLog(Path(path)), registry, Pseudonyms(SECRET), lambda: datetime.now(UTC))
    await intake.open()
    await MllpListener(intake, Senders(SENDERS), ("127.0.0.1", int(port))).start()
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def opened(path: Path, port: int) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOOR, str(path), str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await child.stdout.readline() == b"open\n"
    return child


class Sending:
    """Senders that go on until they are told to stop, each finishing the message it is at."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._going = True
        self.acknowledged: list[bytes] = []
        self._grown = asyncio.Event()

    async def run(self, name: int) -> None:
        number = 0
        async with MllpSender("127.0.0.1", self._port) as sender:
            while self._going:
                number += 1
                message = admission(f"S{name}-{number}", record=f"NF{name}-{number}")
                assert answered(await sender.send(message)) == ("AA", f"S{name}-{number}")
                self.acknowledged.append(message)
                self._grown.set()

    def stop(self) -> None:
        self._going = False

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.acknowledged) < count:
                self._grown.clear()
                await self._grown.wait()


def events_made_of(messages: list[bytes]) -> set[str]:
    translator, arrival = Hl7v2Translator(), Arrival(NORTHFIELD, datetime.now(UTC), Pseudonyms(SECRET))
    items = [item for message in messages for item in translator.translate(BytesIO(message), arrival)]
    return {event.id for item in items for event in item.events}


async def all_of(log: EmbeddedLog, topic: str) -> list[bytes]:
    ends = await log.ends(topic)
    return [record.value for partition, end in ends.items() for record in await log.read(topic, partition, 0, end + 1)]


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.asyncio
async def test_no_acknowledged_message_is_lost_and_none_is_doubled(kills: int, tmp_path: Path) -> None:
    chance = random.Random(kills)
    path, port = tmp_path / "log.db", free_port()
    child = await opened(path, port)
    sending = Sending(port)
    running = [asyncio.create_task(sending.run(name)) for name in range(SENDERS)]
    for _ in range(kills):
        await sending.until(len(sending.acknowledged) + chance.randint(1, ACKNOWLEDGED_BETWEEN_KILLS))
        child.kill()
        assert await child.wait() == -9
        child = await opened(path, port)
    sending.stop()
    await asyncio.gather(*running)
    child.kill()
    await child.wait()

    log = EmbeddedLog(path)
    events = Counter(decode(value).id for value in await all_of(log, EVENTS))
    receipts = Counter(decode_receipt(value).id for value in await all_of(log, RECEIPTS))
    await log.close()
    assert set(events) == events_made_of(sending.acknowledged)
    assert set(events.values()) == {1}
    assert set(receipts.values()) == {1}
    assert len(receipts) == len(sending.acknowledged)
