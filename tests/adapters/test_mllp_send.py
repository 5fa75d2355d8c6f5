"""The MLLP sender: each message until it is answered, whatever the receiver does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from adapters.sources.mllp_send import MllpSender, Patience, send
from schemas.errors import ReceiverUnavailable
from schemas.event import decode
from schemas.log import EVENTS
from tests.memory_log import MemoryLog
from tests.mllp_door import admission, answered, framed, listening

SHORT = Patience(answer=timedelta(seconds=0.2), total=timedelta(seconds=0.4))

Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""What a receiver does with its n-th connection."""


@asynccontextmanager
async def receiving(session: Session) -> AsyncIterator[int]:
    """A receiver that behaves as told; its port."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await session(reader, writer, connections)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def ack(control: str) -> bytes:
    return framed(f"MSH|^~\\&|||||20260203||ACK|1|P|2.4\rMSA|AA|{control}\r".encode())


async def a_message(reader: asyncio.StreamReader) -> str:
    """The control id of the next message."""
    return (await reader.readuntil(b"\x1c\r")).split(b"|")[9].decode()


@pytest.mark.asyncio
async def test_messages_are_answered_one_by_one_in_order() -> None:
    async with listening() as door:
        messages = [admission(f"M{n}", record=f"NF{n}") for n in range(50)]
        answers = [answered(one) async for one in send(*door.listener.address, messages)]
        assert answers == [("AA", f"M{n}") for n in range(50)]


@pytest.mark.asyncio
async def test_a_refusal_is_an_answer_and_is_not_sent_again() -> None:
    async with listening() as door, MllpSender(*door.listener.address) as sender:
        assert answered(await sender.send(admission("M1", facility="RX9"))) == ("AR", "M1")
        assert door.counts["arrived"] == 1


@pytest.mark.asyncio
async def test_a_connection_closed_without_an_answer_means_that_it_is_sent_again() -> None:
    seen: list[str] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        control = await a_message(reader)
        seen.append(control)
        if number > 2:
            writer.write(ack(control))
            await reader.read()

    async with receiving(session) as port, MllpSender("127.0.0.1", port) as sender:
        assert answered(await sender.send(admission("M1"))) == ("AA", "M1")
    assert seen == ["M1", "M1", "M1"]


@pytest.mark.asyncio
async def test_a_log_that_is_down_for_a_moment_loses_and_doubles_nothing() -> None:
    log = MemoryLog()
    async with listening(log) as door, MllpSender(*door.listener.address) as sender:
        await sender.send(admission("M1"))
        log.room = 0
        sending = asyncio.create_task(sender.send(admission("M2")))
        await door.until("log-unavailable")
        log.room = float("inf")
        assert answered(await sending) == ("AA", "M2")
    assert len({decode(record.value).id for record in log.all(EVENTS)}) == len(log.all(EVENTS)) == 2


@pytest.mark.asyncio
async def test_the_answer_to_another_message_is_none() -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        control = await a_message(reader)
        writer.write(ack("M0" if number == 1 else control))
        await reader.read()

    async with receiving(session) as port, MllpSender("127.0.0.1", port) as sender:
        assert answered(await sender.send(admission("M1"))) == ("AA", "M1")


@pytest.mark.asyncio
async def test_an_answer_in_pieces_after_blanks_is_read() -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        for byte in b"\r\n" + ack(await a_message(reader)):
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.read()

    async with receiving(session) as port, MllpSender("127.0.0.1", port) as sender:
        assert answered(await sender.send(admission("M1"))) == ("AA", "M1")


@pytest.mark.asyncio
async def test_a_receiver_that_never_answers_is_given_up_in_time() -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.read()

    async with receiving(session) as port, MllpSender("127.0.0.1", port, patience=SHORT) as sender:
        with pytest.raises(ReceiverUnavailable, match="no answer in time") as caught:
            await sender.send(admission("M1"))
    assert "Whitmore" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_receiver_that_is_not_there_is_said() -> None:
    async with receiving(lambda *_: asyncio.sleep(0)) as port:
        pass
    async with MllpSender("127.0.0.1", port, patience=SHORT) as sender:
        with pytest.raises(ReceiverUnavailable) as caught:
            await sender.send(admission("M1"))
    assert caught.value.where == f"127.0.0.1:{port}"
