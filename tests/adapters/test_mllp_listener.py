"""The MLLP door: what is answered, when, and what is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest

from adapters.sources.mllp import MllpListener
from adapters.sources.mllp_connection import MllpLimits
from adapters.sources.mllp_senders import MllpSource, Senders
from schemas.arrival import quarantine, receipt
from schemas.arrival.quarantine import KeptPart
from schemas.arrival.receipt import Receipt
from schemas.errors import SettingsError
from schemas.event import decode
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, NewRecord, Position
from tests.memory_log import MemoryLog
from tests.mllp_door import (
    NORTHFIELD,
    SOUTHMERE,
    WITHIN_S,
    Client,
    Door,
    admission,
    answered,
    connected,
    framed,
    listening,
    without_identifier,
)
from tests.patience import pass_time, until

QUICK = MllpLimits(first_byte=timedelta(seconds=0.2), next_byte=timedelta(seconds=0.2))


class GatedLog(MemoryLog):
    """Lets an append through only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = 0
        self.under_way = 0
        self.most_under_way = 0

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        self.asked += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
            return await super().append(records)
        finally:
            self.under_way -= 1

    async def until_asked(self, times: int = 1) -> None:
        await until(lambda: self.asked >= times)


def in_memory(door: Door) -> MemoryLog:
    assert isinstance(door.log, MemoryLog)
    return door.log


def events_of(door: Door) -> list[str]:
    return [decode(record.value).id for record in in_memory(door).all(EVENTS)]


def receipts_of(door: Door) -> list[Receipt]:
    return [receipt.decode(record.value) for record in in_memory(door).all(RECEIPTS)]


def kept_by(door: Door) -> list[KeptPart]:
    records = [quarantine.decode(record.value) for record in in_memory(door).all(QUARANTINE)]
    return [record for record in records if isinstance(record, KeptPart)]


@pytest.mark.asyncio
async def test_a_message_is_answered_aa_under_its_own_control_id() -> None:
    async with listening() as door, connected(door) as client:
        ack = await client.ask(admission("M1"))
        assert answered(ack) == ("AA", "M1")
        assert len(events_of(door)) == 1
        [made] = receipts_of(door)
        assert (made.source, made.door, made.accepted) == (NORTHFIELD.id, "mllp", 1)


@pytest.mark.asyncio
async def test_nothing_is_answered_before_it_is_durable() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as client:
        client.writer.write(framed(admission("M1")))
        await log.until_asked()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.05)
        log.gate.set()
        assert answered(await client.ack()) == ("AA", "M1")


@pytest.mark.parametrize(
    ("message", "code", "source"),
    [
        (without_identifier("M1"), "AE", NORTHFIELD.id),
        (admission("M1", trigger="Z99"), "AR", NORTHFIELD.id),
        (admission("M1", facility="RX9"), "AR", "unknown-mllp"),
        (admission("M1", facility="RX2"), "AR", "unknown-mllp"),
    ],
    ids=["no identifier", "unknown trigger", "unknown sender", "no certificate where one is wanted"],
)
@pytest.mark.asyncio
async def test_what_can_never_succeed_is_kept_and_answered_so_that_it_is_not_sent_for_ever(
    message: bytes, code: str, source: str
) -> None:
    async with listening() as door, connected(door) as client:
        assert answered(await client.ask(message)) == (code, "M1")
        [kept] = kept_by(door)
        assert (kept.content, kept.source, kept.media_type) == (message, source, "application/hl7-v2")
        assert events_of(door) == []
        assert answered(await client.ask(admission("M2"))) == ("AA", "M2")


@pytest.mark.parametrize("rubbish", [b"", b"\x00\xff" * 50, b"GET / HTTP/1.1", b"PID|1||NF1", b"MSH", b"FHS|^~\\&|PAS|RX1\r"])
@pytest.mark.asyncio
async def test_a_frame_that_holds_no_message_is_kept_and_refused(rubbish: bytes) -> None:
    async with listening() as door, connected(door) as client:
        assert answered(await client.ask(rubbish))[0] == "AE"
        assert [kept.content for kept in kept_by(door)] == [rubbish]


@pytest.mark.asyncio
async def test_no_answer_and_no_log_line_holds_what_a_field_held(caplog: pytest.LogCaptureFixture) -> None:
    message = admission("M1", facility="RX9", family="Canaryname")
    async with listening() as door, connected(door) as client:
        with caplog.at_level(logging.DEBUG):
            ack = await client.ask(message)
            ack += await client.ask(without_identifier("M2").replace(b"Whitmore", b"Canaryname"))
        assert b"Canaryname" not in ack
        assert b"9990000018" not in ack
    assert "Canaryname" not in caplog.text
    assert "9990000018" not in caplog.text


@pytest.mark.asyncio
async def test_the_same_message_again_has_the_same_answer_and_is_appended_once() -> None:
    async with listening() as door:
        async with connected(door) as client:
            first = await client.ask(admission("M1"))
        async with connected(door) as client:
            assert await client.ask(admission("M1")) == first
        assert len(events_of(door)) == 1
        assert door.counts["repeated"] == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (admission("M1", trigger="Z99"), b"ERR|MSH^1^9^201&Unsupported event code&HL70357"),
        (admission("M1").replace(b"ADT^A01", b"ORU^R01"), b"ERR|MSH^1^9^200&Unsupported message type&HL70357"),
        (without_identifier("M1"), b"ERR|PID^1^3^101&Required field missing&HL70357"),
        (without_identifier("M1").replace(b"|2.4|", b"|2.5|"), b"ERR||PID^1^3|101^Required field missing^HL70357|E||||"),
    ],
)
@pytest.mark.asyncio
async def test_a_refused_message_is_told_in_which_field(message: bytes, says: bytes) -> None:
    async with listening() as door, connected(door) as client:
        (error,) = [segment for segment in (await client.ask(message)).split(b"\r") if segment.startswith(b"ERR")]
        assert error.startswith(says)
        assert b"It is kept in quarantine: mend the mapping or" not in error, "the reason has its own cure"


@pytest.mark.asyncio
async def test_a_refused_message_again_has_the_same_answer_and_is_kept_once() -> None:
    async with listening() as door, connected(door) as client:
        assert await client.ask(without_identifier("M1")) == await client.ask(without_identifier("M1"))
        assert len(kept_by(door)) == 1


@pytest.mark.asyncio
async def test_another_body_under_a_used_control_id_is_another_event_and_flagged() -> None:
    async with listening() as door, connected(door) as client:
        await client.ask(admission("M1"))
        assert answered(await client.ask(admission("M1", family="Ashdown"))) == ("AA", "M1")
        assert len(events_of(door)) == 2
        assert sorted(made.flags for made in receipts_of(door)) == [[], ["control-id-reused"]]


@pytest.mark.asyncio
async def test_with_the_log_down_nothing_is_answered_and_the_connection_closed_and_the_next_try_is_taken() -> None:
    async with listening() as door:
        in_memory(door).room = 0
        async with connected(door) as client:
            client.writer.write(framed(admission("M1")))
            assert await client.rest() == b""
        assert door.counts["log-unavailable"] >= 1
        in_memory(door).room = float("inf")
        async with connected(door) as client:
            assert answered(await client.ask(admission("M1"))) == ("AA", "M1")
        assert len(events_of(door)) == 1


@pytest.mark.asyncio
async def test_several_messages_in_one_segment_are_answered_one_by_one_in_order() -> None:
    log = GatedLog()
    log.gate.set()
    async with listening(log) as door, connected(door) as client:
        client.writer.write(b"".join(framed(admission(f"M{n}")) for n in range(300)))
        assert [answered(await client.ack())[1] for _ in range(300)] == [f"M{n}" for n in range(300)]
        assert len(events_of(door)) == 300
    assert log.most_under_way == 1


@pytest.mark.asyncio
async def test_connections_do_not_wait_for_each_other() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as one, connected(door) as other:
        one.writer.write(framed(admission("M1")))
        other.writer.write(framed(admission("M2")))
        await log.until_asked(2)
        assert log.most_under_way == 2
        log.gate.set()
        assert answered(await one.ack()) == ("AA", "M1")
        assert answered(await other.ack()) == ("AA", "M2")


@pytest.mark.asyncio
async def test_two_connections_with_the_same_message_at_once_make_one_event() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as one, connected(door) as other:
        for client in (one, other):
            client.writer.write(framed(admission("M1")))
        await log.until_asked()
        log.gate.set()
        assert await one.ack() == await other.ack()
        assert len(events_of(door)) == 1


@pytest.mark.parametrize("family", ["Zażółć", "李", "x" * 300_000], ids=["Polish", "Chinese", "300 KB"])
@pytest.mark.asyncio
async def test_names_in_any_script_and_long_messages_get_through_whole(family: str) -> None:
    async with listening() as door, connected(door) as client:
        assert answered(await client.ask(admission("M1", family=family)))[1] == "M1"
        assert receipts_of(door)[0].size_bytes == len(admission("M1", family=family))


@pytest.mark.asyncio
async def test_a_message_over_the_limit_is_refused_accounted_for_and_not_kept() -> None:
    async with listening(limits=MllpLimits(message_bytes=100_000)) as door, connected(door) as client:
        message = admission("M1", family="x" * 150_000)
        client.writer.write(framed(message))
        assert answered(await client.ack()) == ("AR", "M1")
        assert await client.rest() == b""
        [made] = receipts_of(door)
        assert (made.size_bytes, made.rejected, made.refusals[0].code) == (len(message), 1, "too-large")
        assert kept_by(door) == []
        assert door.counts["too-large"] == 1


@pytest.mark.asyncio
async def test_half_a_message_is_dropped_and_counted_because_its_sender_still_has_it() -> None:
    async with listening() as door:
        async with connected(door) as client:
            client.writer.write(b"\x0b" + admission("M1")[:100])
        await door.until("half-frame")
        assert receipts_of(door) == []


@pytest.mark.asyncio
async def test_bytes_between_messages_are_skipped_and_counted() -> None:
    async with listening() as door, connected(door) as client:
        client.writer.write(b"\r\n\r\n" + framed(admission("M1")) + b"\n")
        assert answered(await client.ack()) == ("AA", "M1")
        assert door.counts["stray-bytes"] >= 1


@pytest.mark.asyncio
async def test_who_does_not_speak_mllp_is_disconnected() -> None:
    async with listening() as door, connected(door) as client:
        client.writer.write(b"GET / HTTP/1.1\r\n" * 10_000)
        assert await client.rest() == b""
        await door.until("not-mllp")


@pytest.mark.asyncio
async def test_who_sends_no_more_is_still_answered() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as client:
        client.writer.write(framed(admission("M1")) + framed(admission("M2")))
        client.writer.write_eof()
        await log.until_asked()
        log.gate.set()
        assert [answered(await client.ack())[1] for _ in range(2)] == ["M1", "M2"]
        assert await client.rest() == b""


@pytest.mark.asyncio
async def test_who_connects_and_says_nothing_is_disconnected() -> None:
    async with listening(limits=QUICK) as door, connected(door) as client:
        assert await client.rest() == b""
        assert door.counts["too-slow"] == 1


@pytest.mark.asyncio
async def test_who_stops_in_the_middle_of_a_message_is_disconnected() -> None:
    async with listening(limits=QUICK) as door, connected(door) as client:
        client.writer.write(b"\x0bMSH|")
        assert await client.rest() == b""
        assert receipts_of(door) == []


@pytest.mark.asyncio
async def test_who_sends_a_trickle_is_disconnected_however_short_the_pauses() -> None:
    async def trickle(client: Client) -> None:
        client.writer.write(b"\x0bMSH|")
        while not client.writer.is_closing():
            client.writer.write(b"x")
            await pass_time(0.02)

    async with listening(limits=QUICK) as door, connected(door) as client:
        trickling = asyncio.create_task(trickle(client))
        assert await client.rest() == b""
        await door.until("too-slow")
        trickling.cancel()


@pytest.mark.asyncio
async def test_who_has_sent_a_message_may_be_silent_and_send_another_later() -> None:
    async with listening(limits=QUICK) as door, connected(door) as client:
        await client.ask(admission("M1"))
        async with connected(door) as other:  # it is swept away while the first one is silent
            assert await other.rest() == b""
        assert answered(await client.ask(admission("M2"))) == ("AA", "M2")


@pytest.mark.parametrize("limits", [MllpLimits(connections=2), MllpLimits(connections_per_peer=2)], ids=["in all", "per peer"])
@pytest.mark.asyncio
async def test_one_connection_too_many_is_closed_and_there_is_room_when_another_leaves(limits: MllpLimits) -> None:
    async with listening(limits=limits) as door, connected(door) as first:
        async with connected(door) as second:
            assert answered(await first.ask(admission("M1"))) == ("AA", "M1")
            assert answered(await second.ask(admission("M2"))) == ("AA", "M2")
            async with connected(door) as third:
                assert await third.rest() == b""
            assert door.counts["too-many-connections"] == 1
        await until(lambda: door.counts["connections"] == 1)
        async with connected(door) as fourth:
            assert answered(await fourth.ask(admission("M4"))) == ("AA", "M4")


@pytest.mark.asyncio
async def test_who_would_take_more_memory_than_there_is_is_disconnected_and_the_others_go_on() -> None:
    async with listening(limits=MllpLimits(held_bytes=300_000)) as door, connected(door) as greedy, connected(door) as modest:
        greedy.writer.write(b"\x0bMSH|" + b"x" * 400_000)
        assert await greedy.rest() == b""
        assert door.counts["too-much-held"] == 1
        assert answered(await modest.ask(admission("M1"))) == ("AA", "M1")
        for n in range(20):
            assert answered(await modest.ask(admission(f"L{n}", family="x" * 50_000)))[1] == f"L{n}"


@pytest.mark.asyncio
async def test_a_stop_finishes_the_message_under_way_and_leaves_the_rest_to_their_sender() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as client:
        client.writer.write(framed(admission("M1")) + framed(admission("M2")) + b"\x0bMSH|half")
        await log.until_asked()
        stopping = asyncio.create_task(door.listener.stop(timedelta(seconds=WITHIN_S)))
        await asyncio.sleep(0)
        log.gate.set()
        await stopping
        assert answered(await client.ack()) == ("AA", "M1")
        assert await client.rest() == b""
        assert len(receipts_of(door)) == 1
        with pytest.raises(OSError):
            await asyncio.open_connection(*door.listener.address)


@pytest.mark.asyncio
async def test_a_stop_does_not_wait_for_ever_for_the_log() -> None:
    log = GatedLog()
    async with listening(log) as door, connected(door) as client:
        client.writer.write(framed(admission("M1")))
        await log.until_asked()
        async with asyncio.timeout(WITHIN_S):
            await door.listener.stop(timedelta(seconds=0.05))
        assert await client.rest() == b""


@pytest.mark.asyncio
async def test_a_sender_that_leaves_before_its_answer_finds_its_message_taken() -> None:
    log = GatedLog()
    async with listening(log) as door:
        async with connected(door) as client:
            client.writer.write(framed(admission("M1")))
            await log.until_asked()
        log.gate.set()
        await door.until("arrived")
        async with connected(door) as client:
            assert answered(await client.ask(admission("M1"))) == ("AA", "M1")
        assert len(events_of(door)) == 1


@pytest.mark.asyncio
async def test_who_sends_many_without_reading_the_answers_is_not_read_on_for_ever_and_loses_none() -> None:
    async with listening() as door, connected(door) as client:
        sending = asyncio.create_task(_pour(client, 3000))
        answers = [answered(await client.ack()) for _ in range(3000)]
        await sending
        assert answers == [("AA", f"M{n}") for n in range(3000)]
        assert len(set(events_of(door))) == 3000


async def _pour(client: Client, count: int) -> None:
    for n in range(count):
        client.writer.write(framed(admission(f"M{n}", record=f"NF{n}")))
        await client.writer.drain()


@pytest.mark.asyncio
async def test_an_address_that_is_taken_is_said() -> None:
    async with listening() as door:
        another = MllpListener(door.intake, Senders([]), door.listener.address)
        with pytest.raises(SettingsError, match="cannot listen for MLLP") as caught:
            await another.start()
        assert caught.value.where == "{}:{}".format(*door.listener.address)


SENDERS = Senders(
    [
        MllpSource(NORTHFIELD, "PAS", "RX1"),
        MllpSource(SOUTHMERE, "PAS"),
        MllpSource(SOUTHMERE, "", "RX5"),
    ]
)


@pytest.mark.parametrize(
    ("application", "facility", "expected"),
    [
        ("PAS", "RX1", NORTHFIELD),
        ("PAS", "RX7", SOUTHMERE),
        ("LAB", "RX5", SOUTHMERE),
        ("PAS", "RX5", SOUTHMERE),
        ("LAB", "RX1", None),
        ("pas", "RX1", None),
        ("", "", None),
    ],
)
def test_the_closest_match_says_whose_message_it_is(application: str, facility: str, expected: object) -> None:
    found = SENDERS.find(application, facility)
    assert (found and found.source) == expected


def test_two_sources_may_not_match_the_same_messages() -> None:
    with pytest.raises(SettingsError, match="southmere-pas and northfield-pas match the same"):
        Senders([MllpSource(NORTHFIELD, "PAS", "RX1"), MllpSource(SOUTHMERE, "PAS", "RX1")])


@pytest.mark.asyncio
async def test_a_message_in_utf_16_is_told_so_and_kept() -> None:
    async with listening() as door, connected(door) as client:
        ack = await client.ask(admission("M1").decode().encode("utf-16"))
        assert b"the message is in UTF-16 at MSH-18" in ack
        records = [quarantine.decode(record.value) for record in in_memory(door).all(QUARANTINE)]
        assert [record.code for record in records if isinstance(record, KeptPart)] == ["unreadable"]


@pytest.mark.asyncio
async def test_what_the_door_says_of_a_trouble_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(limits=QUICK) as door, connected(door) as client:
        client.writer.write(b"\x0bMSH|^~")
        await door.until("too-slow")
    told = [record.getMessage() for record in caplog.records if "too-slow" in record.getMessage()]
    assert [line.split(". ")[0] for line in told] == ["MLLP: too-slow from 127.0.0.1"]
    assert "limits.next_byte" in told[0]
