"""An MLLP listener with everything behind it in memory, and a plain client, for tests of the door."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ssl import SSLContext

from adapters.hl7v2.translate import Hl7v2Translator
from adapters.intake.receive import Intake
from adapters.observe import UnobservedIntake
from adapters.registry import Registry
from adapters.sources.mllp import MllpListener
from adapters.sources.mllp_connection import MllpLimits
from adapters.sources.mllp_senders import MllpSource, Senders
from schemas.log import EventLog
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.line_translator import SECRET
from tests.memory_log import MemoryLog
from tests.patience import PATIENCE_S, until

NORTHFIELD = Source(id="northfield-pas", name="Northfield Hospital", organisation="RX1", sector=Sector.NHS)
SOUTHMERE = Source(id="southmere-pas", name="Southmere Hospital", organisation="RX2", sector=Sector.NHS)
SENDERS = (MllpSource(NORTHFIELD, "PAS", "RX1"), MllpSource(SOUTHMERE, "PAS", "RX2", certificate="pas.southmere.test"))
WITHIN_S = 10
"""A test that waits longer has failed."""


def admission(
    control: str, *, trigger: str = "A01", facility: str = "RX1", family: str = "Whitmore", record: str = "NF1"
) -> bytes:
    """An admission as a hospital system writes it. All invented."""
    stay = {1: "1", 2: "I", 3: "AMU^Bay 2^Bed 5^RX1", 4: "21", 14: "19", 16: "N", 19: "V1", 44: "20260202214000"}
    segments = (
        f"MSH|^~\\&|PAS|{facility}|ROUTE|ROUTE|20260202214512||ADT^{trigger}^ADT_A01|{control}|P|2.4|||||GBR|UNICODE UTF-8",
        "EVN||20260202214500||||20260202214000",
        f"PID|1||{record}^^^RX1^MR~9990000018^^^NHS^NH||{family}^Margaret^^^Mrs^^L||19410309|2" + "|" * 24 + "NSTS01",
        "|".join(["PV1", *(stay.get(place, "") for place in range(1, 45))]),
    )
    return "".join(segment + "\r" for segment in segments).encode()


def without_identifier(control: str) -> bytes:
    """An admission of nobody."""
    return admission(control).replace(b"NF1^^^RX1^MR~9990000018^^^NHS^NH", b"")


def framed(message: bytes) -> bytes:
    return b"\x0b" + message + b"\x1c\r"


class Counts(UnobservedIntake):
    """An observer that adds up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self.counts.update(arrived=1, accepted=accepted, rejected=rejected)

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self.counts["repeated"] += 1

    def appended(self, records: int, seconds: float) -> None:
        self.counts["appends"] += 1

    def faulted(self, door: str, code: str) -> None:
        self.counts[code] += 1

    def connected(self, door: str, connections: int) -> None:
        self.counts["connections"] = connections


class Door:
    """A listener and what is behind it."""

    def __init__(self, listener: MllpListener, intake: Intake, log: EventLog, counts: Counts) -> None:
        self.listener = listener
        self.intake = intake
        self.log = log
        self.counts = counts.counts

    async def until(self, code: str, times: int = 1) -> None:
        """Wait until it was counted so often."""
        await until(lambda: self.counts[code] >= times)


class Client:
    """A plain sender: bytes out, ACKs in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, message: bytes) -> bytes:
        """The ACK of one message."""
        self.writer.write(framed(message))
        return await self.ack()

    async def ack(self) -> bytes:
        """The next ACK, without its frame."""
        async with asyncio.timeout(PATIENCE_S):
            answer = await self.reader.readuntil(b"\x1c\r")
        assert answer.startswith(b"\x0bMSH")
        return answer[1:-2]

    async def rest(self) -> bytes:
        """What still comes until the other side closes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return  # the other side was first


@asynccontextmanager
async def listening(
    log: EventLog | None = None,
    limits: MllpLimits | None = None,
    tls: SSLContext | None = None,
    senders: Sequence[MllpSource] = SENDERS,
) -> AsyncIterator[Door]:
    """A listener on a free port."""
    used, counts, translator = log or MemoryLog(), Counts(), Hl7v2Translator()
    own = {entry.source.id: translator for entry in senders}
    registry = Registry(own, {"hl7v2": translator})
    intake = Intake(used, registry, Pseudonyms(SECRET), lambda: datetime.now(UTC), counts)
    await intake.open()
    listener = MllpListener(intake, Senders(senders), ("127.0.0.1", 0), limits, tls, counts)
    await listener.start()
    try:
        yield Door(listener, intake, used, counts)
    finally:
        await listener.stop(timedelta(seconds=WITHIN_S))


@asynccontextmanager
async def connected(door: Door) -> AsyncIterator[Client]:
    """A connection to it."""
    client = Client(*await asyncio.open_connection(*door.listener.address))
    try:
        yield client
    finally:
        await client.close()


def answered(ack: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2."""
    [msa] = [segment for segment in ack.split(b"\r") if segment.startswith(b"MSA|")]
    fields = msa.decode().split("|")
    return fields[1], fields[2]
