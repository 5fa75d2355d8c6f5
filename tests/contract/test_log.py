"""What every event log promises (`schemas.log`) of appending and reading, held against every implementation."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence

import pytest

from schemas.errors import LogUnavailable, TooLarge
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, RECORD_BYTES, TOPICS, EventLog, NewRecord
from tests.contract.logs import Logs
from tests.contract.records import (
    Claims,
    by_key,
    content,
    poll_until,
    read_all,
    read_partition,
    records,
)

pytestmark = pytest.mark.asyncio

# --- append and read ---------------------------------------------------------------------------------------------------------


async def test_positions_are_where_the_records_stand_in_the_order_given(log: EventLog) -> None:
    given = records(f"key-{number % 7}" for number in range(40))
    positions = await log.append(given)
    assert len(positions) == len(given)
    for record, position in zip(given, positions, strict=True):
        (found,) = await log.read(position.topic, position.partition, position.offset, 1)
        assert content([found]) == content([record])
        assert (found.topic, found.partition, found.offset) == position


async def test_appending_nothing_gives_nothing(log: EventLog) -> None:
    assert list(await log.append([])) == []


async def test_the_first_record_of_a_partition_has_offset_0(log: EventLog) -> None:
    assert [position.offset for position in await log.append(records(["only"]))] == [0]


async def test_one_key_is_always_in_one_partition(log: EventLog, logs: Logs) -> None:
    first = await log.append(records(["a", "b", "c"] * 3))
    again = await (await logs.open()).append(records(["a", "b", "c"]))
    assert [position.partition for position in again] * 3 == [position.partition for position in first]


async def test_keys_spread_over_the_partitions(log: EventLog, logs: Logs) -> None:
    positions = await log.append(records(f"key {number}" for number in range(200)))
    assert {position.partition for position in positions} == set(range(logs.partitions))


@pytest.mark.parametrize("callers", [1, 8, 64])
async def test_records_of_one_key_keep_the_order_of_the_calls_among_concurrent_callers(log: EventLog, callers: int) -> None:
    given: dict[str, list[bytes]] = defaultdict(list)

    async def append_in_turn(caller: int) -> None:
        for number in range(20):
            call = [NewRecord(EVENTS, f"key-{caller}", f"{number}.{part}".encode()) for part in range(1 + number % 3)]
            await log.append(call)
            given[f"key-{caller}"] += [record.value for record in call]

    await asyncio.gather(*(append_in_turn(caller) for caller in range(callers)))
    assert by_key(await read_all(log)) == given


@pytest.mark.three_brokers
async def test_two_callers_of_one_key_keep_each_its_own_order(log: EventLog) -> None:
    async def append_in_turn(caller: str) -> None:
        for number in range(30):
            await log.append([NewRecord(EVENTS, "shared", f"{caller} {number:02}".encode())])

    await asyncio.gather(append_in_turn("a"), append_in_turn("b"))
    values = by_key(await read_all(log))["shared"]
    assert [value for value in values if value.startswith(b"a")] == [b"a %02d" % number for number in range(30)]
    assert [value for value in values if value.startswith(b"b")] == [b"b %02d" % number for number in range(30)]


@pytest.mark.three_brokers
async def test_an_append_that_returned_is_there_for_another_connection(log: EventLog, logs: Logs) -> None:
    positions = await log.append(records(["a", "b"]))
    other = await logs.open()
    for record, position in zip(records(["a", "b"]), positions, strict=True):
        assert content(await other.read(position.topic, position.partition, position.offset, 1)) == content([record])


async def test_an_append_that_returned_is_there_after_the_log_was_closed_and_opened_again(log: EventLog, logs: Logs) -> None:
    given = records(f"key-{number}" for number in range(30))
    await log.append(given)
    await log.close()
    assert by_key(await read_all(await logs.open())) == by_key(given)


async def test_a_resend_is_harmless_not_invisible(log: EventLog) -> None:
    given = records(["a", "b", "a"])
    await log.append(given)
    await log.append(given)
    assert by_key(await read_all(log)) == {key: values * 2 for key, values in by_key(given).items()}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0",
        b"\0\0text\0",
        bytes(range(256)) * 4,
        "héllo – ✓".encode(),
        "héllo".encode("utf-16"),
        b"\xff\xfe\xc0\x80\xed\xa0\x80",
        b"1,2;3\n\r\n",
        b"\0" * 70_000,
        bytes(range(256)) * 4096,
    ],
    ids=["empty", "NUL", "NULs inside", "every byte", "UTF-8", "UTF-16", "not UTF-8", "separators", "70 KB of NUL", "1 MiB"],
)
async def test_a_value_is_read_and_followed_byte_for_byte(log: EventLog, value: bytes) -> None:
    values = [b"before", value, b"behind"]
    (position, *_) = await log.append([NewRecord(EVENTS, "k", each) for each in values])
    assert [record.value for record in await read_partition(log, EVENTS, position.partition)] == values
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        assert [record.value for record in await poll_until(follower, 3)] == values


@pytest.mark.parametrize("key", ["k", "0" * 32, "ключ", "a b/c:d,e\n", "\0", "🗝" * 50], ids=ascii)
async def test_a_key_is_read_and_followed_as_it_was_given(log: EventLog, key: str) -> None:
    await log.append([NewRecord(EVENTS, key, b"value")])
    assert [record.key for record in await read_all(log)] == [key]
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        assert [record.key for record in await poll_until(follower, 1)] == [key]


async def test_a_record_says_when_the_log_took_it(log: EventLog) -> None:
    before = time.time()
    await log.append(records(["a"]))
    (record,) = await read_all(log)
    assert before - 60 <= record.appended_at <= time.time() + 60  # another machine's clock may differ


async def test_a_partition_is_read_from_any_position(log: EventLog) -> None:
    (place, *_) = await log.append([NewRecord(EVENTS, "k", str(number).encode()) for number in range(50)])
    for start in (0, 1, 17, 49):
        found = await read_partition(log, EVENTS, place.partition, start)
        assert [(record.offset, record.value) for record in found] == [(n, str(n).encode()) for n in range(start, 50)]


@pytest.mark.parametrize(("start", "limit", "most"), [(0, 1, 1), (0, 7, 7), (45, 7, 5), (50, 7, 0), (0, 1000, 50)])
async def test_a_read_gives_at_most_its_limit_and_nothing_only_at_the_end(
    log: EventLog, start: int, limit: int, most: int
) -> None:
    (place, *_) = await log.append([NewRecord(EVENTS, "k", str(number).encode()) for number in range(50)])
    found = await log.read(EVENTS, place.partition, start, limit)
    assert len(found) <= most
    assert bool(found) == bool(most)
    assert [record.offset for record in found] == list(range(start, start + len(found)))


async def test_topics_are_apart(log: EventLog) -> None:
    given = [NewRecord(topic, "k", topic.encode()) for topic in (EVENTS, RECEIPTS, QUARANTINE)]
    await log.append(given)
    for record in given:
        assert content(await read_all(log, record.topic)) == content([record])


async def test_an_empty_log_ends_and_starts_at_0_in_every_partition(log: EventLog, logs: Logs) -> None:
    everywhere_0 = dict.fromkeys(range(logs.partitions), 0)
    assert dict(await log.ends(EVENTS)) == everywhere_0
    assert dict(await log.starts(EVENTS)) == everywhere_0
    assert list(await log.read(EVENTS, 0, 0, 10)) == []


async def test_the_end_is_the_offset_after_the_last_record(log: EventLog) -> None:
    positions = await log.append(records(f"key-{number}" for number in range(40)))
    ends = await log.ends(EVENTS)
    for partition, end in ends.items():
        assert end == max([position.offset + 1 for position in positions if position.partition == partition], default=0)
    assert set((await log.ends(RECEIPTS)).values()) == {0}
    assert set((await log.starts(EVENTS)).values()) == {0}


# --- refusals ----------------------------------------------------------------------------------------------------------------


@pytest.mark.three_brokers
async def test_a_record_over_the_limit_is_refused_with_all_of_its_call(log: EventLog) -> None:
    call = [
        NewRecord(EVENTS, "small", b"1"),
        NewRecord(EVENTS, "large", bytes(RECORD_BYTES + 1)),
        NewRecord(RECEIPTS, "r", b"2"),
    ]
    with pytest.raises(TooLarge) as refused:
        await log.append(call)
    assert "large" not in str(refused.value).split()  # a key is in no message
    assert await read_all(log) == []
    assert await read_all(log, RECEIPTS) == []
    await log.append(records(["next"]))  # the log works on
    assert len(await read_all(log)) == 1


@pytest.mark.three_brokers
async def test_a_record_as_large_as_the_limit_is_taken_whole(log: EventLog) -> None:
    value = bytes(range(256)) * (RECORD_BYTES // 256)
    (position,) = await log.append([NewRecord(QUARANTINE, "k", value)])
    (record,) = await log.read(*position, 1)
    assert record.value == value


async def test_a_closed_log_refuses_everything(log: EventLog) -> None:
    await log.close()
    for use in (log.append(records(["a"])), log.read(EVENTS, 0, 0, 1), log.ends(EVENTS), log.starts(EVENTS)):
        with pytest.raises(LogUnavailable):
            await use


async def test_closing_twice_is_as_closing_once(log: EventLog) -> None:
    await log.append(records(["a"]))
    await log.close()
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.append(records(["b"]))


async def test_appends_under_way_when_the_log_closes_are_finished_or_refused(log: EventLog, logs: Logs) -> None:
    calls = [asyncio.create_task(log.append(records([f"key-{number}"]))) for number in range(50)]
    await asyncio.sleep(0)
    await log.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, LogUnavailable | Sequence) for outcome in outcomes)
    done = {f"key-{number}" for number, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)}
    assert done <= set(by_key(await read_all(await logs.open())))


async def test_a_cancelled_append_harms_nobody_else(log: EventLog) -> None:
    cancelled = asyncio.create_task(log.append(records(["given-up"])))
    others = [asyncio.create_task(log.append(records([f"key-{number}"]))) for number in range(10)]
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(*others)
    assert {f"key-{number}" for number in range(10)} <= set(by_key(await read_all(log)))


# --- marks -------------------------------------------------------------------------------------------------------------------


async def test_a_mark_is_for_ever_what_was_given_first(log: EventLog, logs: Logs) -> None:
    assert await log.mark("name") is None
    assert await log.mark("name", "0012") == "0012"
    again = await logs.open()
    assert await again.mark("name", "another") == "0012"
    assert await again.mark("name") == "0012"
    assert await again.mark("other", "another") == "another"


async def test_of_many_marks_given_at_once_one_is_first_for_all(logs: Logs) -> None:
    opened = [await logs.open() for _ in range(6)]
    told = await asyncio.gather(*(one.mark("name", str(number)) for number, one in enumerate(opened)))
    assert len(set(told)) == 1
    assert told[0] in map(str, range(6))


async def test_a_mark_is_among_no_topics_records(log: EventLog) -> None:
    await log.mark("name", "value")
    assert [await log.ends(topic) for topic in TOPICS] == [dict.fromkeys(await log.ends(EVENTS), 0)] * len(TOPICS)
