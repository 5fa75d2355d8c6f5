"""What `adapters.intake.receive` promises its doors."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import msgspec
import pytest

from adapters.intake.arrivals import Arrivals
from adapters.intake.receive import Delivery, Intake, KeptItem
from adapters.observe import UnobservedIntake
from adapters.registry import Registry
from adapters.translator import Arrival, Item
from schemas.arrival import quarantine, receipt
from schemas.arrival.quarantine import CHUNK_BYTES, KeptPart, Tried
from schemas.arrival.receipt import LISTED, Receipt
from schemas.errors import LogUnavailable, TooLarge, UnknownSender
from schemas.event import decode
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, RECORD_BYTES, NewRecord, Position
from schemas.pseudonyms import Pseudonyms
from schemas.source import NumbersAre, Sector, Source
from tests.line_translator import SECRET, LineTranslator
from tests.memory_log import MemoryLog
from tests.patience import PATIENCE_S

NORTHFIELD = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
RIVERSIDE = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)
NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)

both_kinds_of_log = pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Counts(UnobservedIntake):
    """An observer that adds up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self.counts.update({f"{source}/{door}/accepted": accepted, f"{source}/{door}/rejected": rejected})

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        self.counts[f"{source}/{door}/repeated"] += 1

    def appended(self, records: int, seconds: float) -> None:
        self.counts["records"] += records

    def faulted(self, door: str, code: str) -> None:
        self.counts[f"{door}/{code}"] += 1

    def connected(self, door: str, connections: int) -> None:
        self.counts[f"{door}/connections"] = connections


def an_intake(log: MemoryLog, translator: LineTranslator | None = None, observer: Counts | None = None) -> Intake:
    read_by = translator or LineTranslator()
    return Intake(log, Registry({NORTHFIELD.id: read_by, RIVERSIDE.id: read_by}), Pseudonyms(SECRET), Clock(), observer)


def a_delivery(content: bytes, source: Source = NORTHFIELD, **more: str) -> Delivery:
    return Delivery(source, "http", io.BytesIO(content), media_type="", **more)


def receipts_of(log: MemoryLog) -> list[Receipt]:
    return [receipt.decode(record.value) for record in log.all(RECEIPTS)]


def kept_by(log: MemoryLog) -> list[KeptPart]:
    records = [quarantine.decode(record.value) for record in log.all(QUARANTINE)]
    return [record for record in records if isinstance(record, KeptPart)]


def tries_of(log: MemoryLog) -> list[Tried]:
    records = [quarantine.decode(record.value) for record in log.all(QUARANTINE)]
    return [record for record in records if isinstance(record, Tried)]


def whole(parts: list[KeptPart]) -> bytes:
    return b"".join(part.content for part in sorted(parts, key=lambda part: part.part))


def to_redrive(kept: KeptPart, content: bytes) -> KeptItem:
    return KeptItem(kept.id, kept.door, kept.media_type, kept.name, io.BytesIO(content))


@both_kinds_of_log
@pytest.mark.asyncio
async def test_each_item_is_accepted_or_rejected_and_the_receipt_accounts_for_all(atomic: bool) -> None:
    log = MemoryLog(atomic)
    made = await an_intake(log).receive(a_delivery(b"good 1\nbad 2\nblank\nflagged 4\n", name="contacts.csv"))

    assert (made.received, made.accepted, made.rejected) == (4, 3, 1)
    assert sorted(made.events) == sorted(decode(record.value).id for record in log.all(EVENTS))
    assert made.flags == ["odd at line 4"]
    assert [(refusal.position, refusal.code) for refusal in made.refusals] == [("line 2", "missing-identifier")]
    [kept] = kept_by(log)
    assert (kept.content, kept.position, kept.receipt, kept.name) == (b"bad 2\n", "line 2", made.id, "contacts.csv")
    assert kept.id == made.refusals[0].quarantine
    assert receipts_of(log) == [made]


@pytest.mark.asyncio
async def test_the_events_carry_the_time_and_the_trace_of_their_arrival() -> None:
    log = MemoryLog()
    made = await an_intake(log).receive(a_delivery(b"good 1\n", traceparent="00-aa-bb-01"))
    [event] = [decode(record.value) for record in log.all(EVENTS)]
    assert (event.recordedtime, event.traceparent) == (made.received_at, "00-aa-bb-01")


@both_kinds_of_log
@pytest.mark.asyncio
async def test_the_same_content_again_has_the_same_receipt_and_appends_nothing(atomic: bool) -> None:
    log, counts = MemoryLog(atomic), Counts()
    intake = an_intake(log, observer=counts)
    first = await intake.receive(a_delivery(b"good 1\nbad 2\n"))
    before = log.appends
    again = await intake.receive(a_delivery(b"good 1\nbad 2\n"))
    assert again == first
    assert log.appends == before
    assert counts.counts["northfield-pas/http/repeated"] == 1


@both_kinds_of_log
@pytest.mark.asyncio
async def test_a_repetition_is_known_after_a_restart(atomic: bool) -> None:
    log = MemoryLog(atomic)
    first = await an_intake(log).receive(a_delivery(b"good 1\n"))
    restarted = an_intake(log)
    await restarted.open()
    before = log.appends
    assert await restarted.receive(a_delivery(b"good 1\n")) == first
    assert log.appends == before


@pytest.mark.asyncio
async def test_the_same_content_of_another_source_or_another_translation_is_another_arrival() -> None:
    log = MemoryLog()
    first = await an_intake(log).receive(a_delivery(b"good 1\n"))
    other_source = await an_intake(log).receive(a_delivery(b"good 1\n", RIVERSIDE))
    other_version = await an_intake(log, LineTranslator("lines-2")).receive(a_delivery(b"good 1\n"))
    assert len({first.id, other_source.id, other_version.id}) == 3
    assert len({first.events[0], other_source.events[0], other_version.events[0]}) == 3


@both_kinds_of_log
@pytest.mark.asyncio
async def test_two_identical_deliveries_at_once_make_one_append(atomic: bool) -> None:
    log = MemoryLog(atomic)
    intake = an_intake(log)
    made = await asyncio.gather(*[intake.receive(a_delivery(b"good 1\n")) for _ in range(5)])
    assert all(one == made[0] for one in made)
    assert (len(log.all(EVENTS)), len(log.all(RECEIPTS))) == (1, 1)


@pytest.mark.asyncio
async def test_of_two_identical_deliveries_at_once_the_second_goes_on_when_the_first_is_broken_off() -> None:
    log = MemoryLog()
    intake = an_intake(log)
    first = asyncio.create_task(intake.receive(a_delivery(b"good 1\n")))
    second = asyncio.create_task(intake.receive(a_delivery(b"good 1\n")))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).accepted == 1
    assert len({decode(record.value).id for record in log.all(EVENTS)}) == 1


@pytest.mark.asyncio
async def test_a_control_id_used_for_another_body_makes_a_new_event_and_a_flag() -> None:
    log = MemoryLog()
    intake = an_intake(log)
    first = await intake.receive(a_delivery(b"good 1\n", control="PAS|RX1|77"))
    second = await intake.receive(a_delivery(b"good 2\n", control="PAS|RX1|77"))
    assert first.flags == []
    assert second.flags == ["control-id-reused"]
    assert first.events != second.events

    restarted = an_intake(log)
    await restarted.open()
    third = await restarted.receive(a_delivery(b"good 3\n", control="PAS|RX1|77"))
    assert third.flags == ["control-id-reused"]
    elsewhere = await restarted.receive(a_delivery(b"good 3\n", RIVERSIDE, control="PAS|RX1|77"))
    assert elsewhere.flags == []


class NamedLines(LineTranslator):
    """Its lines have ids of their sender's own: what stands before the colon."""

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        for item, line in zip(super().translate(content, arrival), content.getvalue().splitlines(), strict=True):  # type: ignore[attr-defined]
            name = line.split(b":")[0].decode()
            yield item._replace(control=arrival.pseudonyms.control(arrival.source.id, name))


@pytest.mark.asyncio
async def test_an_event_id_used_for_another_event_is_flagged_by_its_position_also_after_a_restart() -> None:
    log = MemoryLog()
    first = await an_intake(log, NamedLines()).receive(a_delivery(b"good 1:a\ngood 2:a\n"))
    assert first.flags == []
    restarted = an_intake(log, NamedLines())
    await restarted.open()
    again = await restarted.receive(a_delivery(b"good 2:a\ngood 1:b\n"))
    assert again.flags == ["event-id-reused at line 2, id"]
    assert again.events[0] == first.events[1], "the same event again is the same, and no reason to look"


@pytest.mark.asyncio
async def test_the_ids_of_one_long_arrival_are_all_known_after_a_restart() -> None:
    log = MemoryLog()
    lines = [b"good %d:a\n" % number for number in range(LISTED + 500)]
    await an_intake(log, NamedLines()).receive(a_delivery(b"".join(lines)))
    restarted = an_intake(log, NamedLines())
    await restarted.open()
    again = await restarted.receive(a_delivery(b"".join(lines).replace(b":a", b":b")))
    assert len([flag for part in receipts_of(log) if part.id == again.id for flag in part.flags]) == len(lines)


def test_the_memory_of_ids_is_bounded_however_many_one_arrival_brings() -> None:
    arrivals = Arrivals(MemoryLog(), most=10)
    ids = [f"00000000-0000-5000-8000-{n:012}" for n in range(35)]
    controls = [f"{n:032x}" for n in range(35)]
    assert not any(arrivals.names_another(control, one) for control, one in zip(controls, ids, strict=True))
    assert not any(arrivals.names_another(control, ids[0]) for control in controls[:10]), "forgotten"


@pytest.mark.asyncio
async def test_the_senders_control_id_does_not_stand_in_the_log() -> None:
    log = MemoryLog()
    await an_intake(log).receive(a_delivery(b"good 1\nbad 2\n", control="canary-9990000018"))
    for topic in (EVENTS, RECEIPTS, QUARANTINE):
        assert all(b"9990000018" not in record.value and "9990000018" not in record.key for record in log.all(topic))


@both_kinds_of_log
@pytest.mark.parametrize("room", range(4))
@pytest.mark.asyncio
async def test_when_the_log_goes_down_nothing_is_acknowledged_and_the_next_try_loses_and_doubles_nothing(
    atomic: bool, room: int
) -> None:
    log, counts = MemoryLog(atomic), Counts()
    log.room = room
    content = b"good 1\nbad 2\ngood 3\n"
    with pytest.raises(LogUnavailable):
        await an_intake(log, observer=counts).receive(a_delivery(content))
    assert counts.counts["http/log-unavailable"] == 1
    assert receipts_of(log) == []

    log.room = float("inf")
    restarted = an_intake(log)
    await restarted.open()
    made = await restarted.receive(a_delivery(content))
    assert made.accepted == 2
    assert {decode(record.value).id for record in log.all(EVENTS)} == set(made.events)
    assert {kept.id for kept in kept_by(log)} == {made.refusals[0].quarantine}


@pytest.mark.asyncio
async def test_a_small_arrival_is_one_append_where_that_is_atomic_and_the_receipt_comes_alone_and_last_where_it_is_not() -> (
    None
):
    for atomic, appends in ((True, 1), (False, 2)):
        log = MemoryLog(atomic)
        await an_intake(log).receive(a_delivery(b"good 1\nbad 2\n"))
        assert log.appends == appends


@both_kinds_of_log
@pytest.mark.asyncio
async def test_a_long_arrival_is_taken_in_by_batches_and_its_receipt_is_in_parts(atomic: bool) -> None:
    log, told = MemoryLog(atomic), list[int]()
    content = b"".join(b"bad %d\n" % n if n % 10 == 0 else b"good %d\n" % n for n in range(3500))
    made = await an_intake(log).receive(a_delivery(content), told.append)

    assert (made.received, made.accepted, made.rejected) == (3500, 3150, 350)
    assert told[-1] == 3500
    assert sorted(told) == told
    assert len(told) >= 7
    parts = sorted(receipts_of(log), key=lambda part: part.part)
    assert parts[0] == made
    assert [part.part for part in parts] == [0, 1, 2, 3]
    assert {part.id for part in parts} == {made.id}
    assert all(len(part.events) + len(part.refusals) <= LISTED for part in parts)
    assert {event for part in parts for event in part.events} == {decode(record.value).id for record in log.all(EVENTS)}
    positions = [int(refusal.position.split()[1]) for part in parts for refusal in part.refusals]
    assert positions == sorted(positions)
    assert len(positions) == 350
    in_log_order = [part.part for part in receipts_of(log)]
    assert in_log_order[-1] == 0


@pytest.mark.asyncio
async def test_other_deliveries_get_through_while_a_long_one_is_taken_in() -> None:
    log = MemoryLog()
    intake = an_intake(log)
    long = asyncio.create_task(intake.receive(a_delivery(b"".join(b"good %d\n" % n for n in range(20_000)))))
    await intake.receive(a_delivery(b"good but short\n"))
    assert not long.done()
    assert (await long).accepted == 20_000


@pytest.mark.asyncio
async def test_what_is_broken_off_halfway_can_be_closed_at_once() -> None:
    log, content = MemoryLog(), io.BytesIO(b"".join(b"good %d\n" % n for n in range(50_000)))
    begun = asyncio.Event()
    running = asyncio.create_task(an_intake(log).receive(Delivery(NORTHFIELD, "http", content, ""), lambda _: begun.set()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    content.close()
    assert receipts_of(log) == []


class HeldUp(io.BytesIO):
    """Content whose reading, in whatever thread, lasts until it is let go."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reading, self.let_go = threading.Event(), threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.reading.set()
        assert self.let_go.wait(PATIENCE_S)
        return super().read(size)


@pytest.mark.asyncio
async def test_who_is_broken_off_waits_for_the_thread_that_still_reads() -> None:
    content = HeldUp(b"good\n" * 20_000)
    running = asyncio.create_task(an_intake(MemoryLog()).receive(Delivery(NORTHFIELD, "http", content, "")))
    await asyncio.to_thread(content.reading.wait, PATIENCE_S)
    running.cancel()
    for _ in range(100):
        await asyncio.sleep(0)
    still_waits = not running.done()
    content.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert still_waits, "else the caller closes what the thread reads"


@pytest.mark.parametrize("media_type", ["image/png", "text/csv; charset=utf-8", "application/fhir+json"])
@pytest.mark.asyncio
async def test_a_media_type_nobody_reads_is_kept_whole(media_type: str) -> None:
    log = MemoryLog()
    shared = LineTranslator()
    intake = Intake(log, Registry({NORTHFIELD.id: shared}, {"hl7v2": shared}), Pseudonyms(SECRET), Clock())
    made = await intake.receive(Delivery(NORTHFIELD, "http", io.BytesIO(b"anything"), media_type))
    assert (made.received, made.rejected, made.refusals[0].code) == (1, 1, "unsupported")
    assert [kept.content for kept in kept_by(log)] == [b"anything"]


@both_kinds_of_log
@pytest.mark.asyncio
async def test_a_whole_that_is_refused_is_kept_in_parts_of_four_mebibytes_with_part_0_last(atomic: bool) -> None:
    log = MemoryLog(atomic)
    content = b"refuse\n" + bytes(range(256)) * (2 * CHUNK_BYTES // 256)
    made = await an_intake(log).receive(a_delivery(content))
    assert (made.received, made.accepted, made.rejected, made.events) == (1, 0, 1, [])
    parts = kept_by(log)
    assert [(part.part, part.parts) for part in parts] == [(2, 3), (1, 3), (0, 3)]
    assert whole(parts) == content
    assert {part.id for part in parts} == {made.refusals[0].quarantine}


@pytest.mark.asyncio
async def test_an_empty_arrival_that_is_refused_is_kept_too() -> None:
    log = MemoryLog()
    await an_intake(log).refuse(a_delivery(b""), UnknownSender())
    assert [(kept.part, kept.parts, kept.content) for kept in kept_by(log)] == [(0, 1, b"")]


@both_kinds_of_log
@pytest.mark.asyncio
async def test_a_translator_that_fails_loses_nothing_and_says_where_but_not_what(
    atomic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log, counts = MemoryLog(atomic), Counts()
    content = b"good 1\nboom 2\ngood 3\n"
    with caplog.at_level(logging.ERROR):
        made = await an_intake(log, observer=counts).receive(a_delivery(content))
    assert (made.accepted, made.rejected) == (1, 1)
    assert [(refusal.code, refusal.position) for refusal in made.refusals] == [("translator-failed", "after line 1")]
    assert whole(kept_by(log)) == content
    assert counts.counts["http/translator-failed"] == 1
    assert "ZeroDivisionError at tests.line_translator:" in caplog.text
    assert "Canary" not in caplog.text
    assert all(b"Canary" not in record.value for record in [*log.all(RECEIPTS), *log.all(QUARANTINE)])


@pytest.mark.asyncio
async def test_an_event_too_large_for_the_log_leaves_its_content_in_quarantine() -> None:
    log = MemoryLog()
    made = await an_intake(log, LineTranslator(data=b'"' + b"x" * RECORD_BYTES + b'"')).receive(a_delivery(b"good 1\n"))
    assert [(refusal.code, refusal.position) for refusal in made.refusals] == [("too-large", "line 1")]
    assert log.all(EVENTS) == []
    assert whole(kept_by(log)) == b"good 1\n"


@pytest.mark.asyncio
async def test_what_cannot_be_kept_is_accounted_for() -> None:
    log = MemoryLog()
    made = await an_intake(log).decline(a_delivery(b"the head of it"), TooLarge(), 20_000_000, b"\x01" * 32)
    assert (made.size_bytes, made.sha256, made.received, made.rejected) == (20_000_000, "01" * 32, 1, 1)
    assert made.refusals[0].quarantine == ""
    assert kept_by(log) == []
    assert receipts_of(log) == [made]


@both_kinds_of_log
@pytest.mark.asyncio
async def test_a_kept_row_is_redriven_once_the_mapping_is_mended_and_twice_makes_nothing_twice(atomic: bool) -> None:
    log = MemoryLog(atomic)
    await an_intake(log).receive(a_delivery(b"good 1\nmended 2\n"))
    [kept] = kept_by(log)
    mended = an_intake(log, LineTranslator("lines-2"))

    first = await mended.redrive(to_redrive(kept, kept.content), NORTHFIELD)
    assert (first.accepted, first.rejected, first.flags) == (1, 0, ["redriven"])
    events = len(log.all(EVENTS))
    second = await mended.redrive(to_redrive(kept, kept.content), NORTHFIELD)
    assert second == first
    assert len(log.all(EVENTS)) == events
    assert [(one.id, one.accepted, one.receipt) for one in tries_of(log)] == [(kept.id, True, first.id)] * 2


class Repairable(LineTranslator):
    """Raises until it is repaired, and is of the same version then: what was amiss was around it."""

    repaired = False

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        return super().translate(io.BytesIO(content.read().replace(b"boom", b"good" if self.repaired else b"boom")), arrival)


@both_kinds_of_log
@pytest.mark.asyncio
async def test_what_failed_by_a_fault_of_ours_is_redriven_although_the_version_is_the_same(atomic: bool) -> None:
    log = MemoryLog(atomic)
    translator = Repairable()
    intake = an_intake(log, translator)
    refused = await intake.receive(a_delivery(b"boom 1\n"))
    [kept] = kept_by(log)
    translator.repaired = True
    made = await intake.redrive(to_redrive(kept, kept.content), NORTHFIELD)
    assert (refused.accepted, made.accepted, made.rejected) == (0, 1, 0)
    assert len(log.all(EVENTS)) == 1
    assert [one.accepted for one in tries_of(log)] == [True]


@both_kinds_of_log
@pytest.mark.asyncio
async def test_what_is_refused_again_stays_the_same_item_with_one_try_more(atomic: bool) -> None:
    log = MemoryLog(atomic)
    intake = an_intake(log)
    await intake.receive(a_delivery(b"good 1\nbad 2\n"))
    [kept] = kept_by(log)
    for _ in range(2):
        made = await intake.redrive(to_redrive(kept, kept.content), NORTHFIELD)
        assert [refusal.quarantine for refusal in made.refusals] == [kept.id]
    assert kept_by(log) == [kept]
    assert [(one.id, one.accepted, one.code) for one in tries_of(log)] == [(kept.id, False, "missing-identifier")] * 2


@pytest.mark.asyncio
async def test_a_whole_redriven_in_part_leaves_the_rest_as_items_of_their_own() -> None:
    log = MemoryLog()
    shared = LineTranslator()
    first = Intake(log, Registry({NORTHFIELD.id: shared}, {"hl7v2": shared}), Pseudonyms(SECRET), Clock())
    await first.receive(Delivery(NORTHFIELD, "http", io.BytesIO(b"good 1\nbad 2\n"), "text/csv"))
    [kept] = kept_by(log)
    made = await an_intake(log).redrive(to_redrive(kept, kept.content), NORTHFIELD)
    assert (made.accepted, made.rejected) == (1, 1)
    assert [one.accepted for one in tries_of(log)] == [True]
    assert sorted(part.content for part in kept_by(log)) == [b"bad 2\n", b"good 1\nbad 2\n"]


@pytest.mark.asyncio
async def test_what_was_kept_for_an_unknown_sender_is_redriven_as_the_source_it_turned_out_to_be() -> None:
    log = MemoryLog()
    unknown = Source(id="unknown-mllp", name="Unknown", sector=Sector.NHS)
    intake = an_intake(log)
    refused = await intake.refuse(a_delivery(b"good 1\n", unknown), UnknownSender())
    assert refused.refusals[0].code == "unknown-sender"
    [kept] = kept_by(log)
    made = await intake.redrive(to_redrive(kept, kept.content), NORTHFIELD)
    assert (made.source, made.accepted) == (NORTHFIELD.id, 1)
    assert [(one.id, one.accepted) for one in tries_of(log)] == [(kept.id, True)]


@pytest.mark.asyncio
async def test_the_memory_of_arrivals_is_bounded_and_what_it_forgot_makes_the_same_ids() -> None:
    log = MemoryLog()
    intake, arrivals = an_intake(log), Arrivals(log, most=10)
    for n in range(35):
        await intake.receive(a_delivery(b"good %d\n" % n))
    came = [(receipt.decode(record.value).id, record) for record in log.all(RECEIPTS)]
    for one, record in came:
        arrivals.remember(one, Position(RECEIPTS, record.partition, record.offset))
    known = [await arrivals.receipt(one) is not None for one, _ in came]
    assert known[-10:] == [True] * 10
    assert sum(known) <= 20

    log = MemoryLog()
    first, forgetful = an_intake(log), an_intake(log)
    assert (await first.receive(a_delivery(b"good 1\n"))).events == (await forgetful.receive(a_delivery(b"good 1\n"))).events


@pytest.mark.asyncio
@pytest.mark.parametrize("sources", [1, 2, 7])
async def test_the_latest_arrivals_are_known_after_a_restart_whichever_sources_they_came_from(sources: int) -> None:
    log = MemoryLog()
    intake = an_intake(log)
    senders = [msgspec.structs.replace(NORTHFIELD, id=f"source-{number}") for number in range(sources)]
    made = [await intake.receive(a_delivery(b"good %d\n" % n, senders[n % sources])) for n in range(30)]
    again = Arrivals(log, most=20)
    await again.open()
    known = [await again.receipt(one.id) is not None for one in made]
    assert sum(known) == 20
    assert sources > 1 or known == [False] * 10 + [True] * 20


@pytest.mark.asyncio
async def test_all_receipts_of_a_source_stand_in_one_partition() -> None:
    log = MemoryLog()
    intake = an_intake(log)
    for n in range(10):
        await intake.receive(a_delivery(b"good %d\n" % n))
    assert {record.key for record in log.all(RECEIPTS)} == {NORTHFIELD.id}


@pytest.mark.asyncio
async def test_a_foreign_record_among_the_receipts_does_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog(partitions=1)
    await log.append([NewRecord(RECEIPTS, "x", b"not json"), NewRecord(RECEIPTS, "x", b"{}")])
    first = await an_intake(log).receive(a_delivery(b"good 1\n"))
    restarted = an_intake(log)
    await restarted.open()
    assert await restarted.receive(a_delivery(b"good 1\n")) == first
    assert "backbone.receipts/0/0 is not a receipt" in caplog.text


@pytest.mark.asyncio
async def test_what_is_sent_again_after_the_worth_of_its_numbers_was_declared_is_read_anew() -> None:
    log = MemoryLog()
    intake = an_intake(log)
    typed = msgspec.structs.replace(RIVERSIDE, nhs_numbers=NumbersAre.STATED)
    before = await intake.receive(a_delivery(b"good 1\n", typed))
    after = await intake.receive(a_delivery(b"good 1\n", RIVERSIDE))
    assert before.id != after.id
    assert len(log.all(EVENTS)) == 2
