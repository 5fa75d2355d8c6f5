"""What every event log promises (`schemas.log`) of following, held against every implementation."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from schemas.errors import LogUnavailable
from schemas.log import EVENTS, QUARANTINE, RECEIPTS, EventLog, Follower, NewRecord, Position, Record
from tests.contract.logs import Logs
from tests.contract.records import (
    DEADLINE_SECONDS,
    Claims,
    by_key,
    content,
    poll_until,
    poll_until_held,
    read_all,
    records,
)

pytestmark = pytest.mark.asyncio

# --- follow ------------------------------------------------------------------------------------------------------------------


async def test_a_follower_is_given_everything_in_the_order_of_each_partition(log: EventLog) -> None:
    given = records(f"key-{number % 9}" for number in range(200)) + records(["a", "b"] * 20, RECEIPTS)
    await log.append(given)
    async with log.follow([EVENTS, RECEIPTS], "reader", Claims()) as follower:
        found = await poll_until(follower, len(given), limit=17)
    assert sorted(content(found)) == sorted(content(given))
    assert by_key(found) == by_key(given)
    offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record in found:
        offsets[record.topic, record.partition].append(record.offset)
    assert all(places == sorted(set(places)) for places in offsets.values())


async def test_a_poll_gives_at_most_its_limit(log: EventLog) -> None:
    await log.append(records(["k"] * 50))
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        await poll_until_held(follower)
        while batch := await follower.poll(7, 0.2):
            assert len(batch) <= 7


async def test_a_follower_sees_only_its_topics(log: EventLog) -> None:
    await log.append(records(["a"], RECEIPTS) + records(["a"]) + records(["a"], QUARANTINE))
    async with log.follow([QUARANTINE], "reader", Claims()) as follower:
        assert {record.topic for record in await poll_until(follower, 1)} == {QUARANTINE}
        assert list(await follower.poll(10, 0.2)) == []
        assert {topic for topic, _ in follower.held()} == {QUARANTINE}


@pytest.mark.three_brokers
async def test_each_topic_is_claimed_before_any_of_its_records_is_given(log: EventLog, logs: Logs) -> None:
    await log.append(records(["a", "b", "c"]) + records(["a"], RECEIPTS))
    claims = Claims()
    async with log.follow([EVENTS, RECEIPTS], "reader", claims) as follower:
        claimed: set[tuple[str, int]] = set()
        given = 0
        async with asyncio.timeout(DEADLINE_SECONDS):
            while given < 4:
                batch = await follower.poll(1, 0.2)
                claimed = {(topic, partition) for topic, partitions in claims.made for partition in partitions}
                assert {(record.topic, record.partition) for record in batch} <= claimed
                given += len(batch)
        assert set(follower.held()) == claimed == {(topic, n) for topic in (EVENTS, RECEIPTS) for n in range(logs.partitions)}


async def test_a_follower_begins_where_the_claim_says(log: EventLog) -> None:
    given = records(f"key-{number % 9}" for number in range(90))
    places = await log.append(given)
    wanted = {(place.topic, place.partition): 4 + place.partition for place in places}
    expected = {place for place in places if place.offset >= wanted[place.topic, place.partition]}
    async with log.follow([EVENTS], "reader", Claims(wanted)) as follower:
        found = await poll_until(follower, len(expected), limit=10)
        assert {Position(record.topic, record.partition, record.offset) for record in found} == expected
        assert list(await follower.poll(10, 0.2)) == []


async def test_a_follower_whose_positions_are_the_ends_is_given_only_what_comes(log: EventLog) -> None:
    await log.append(records(f"key-{number}" for number in range(30)))
    ends = {(EVENTS, partition): end for partition, end in (await log.ends(EVENTS)).items()}
    async with log.follow([EVENTS], "reader", Claims(ends)) as follower:
        await poll_until_held(follower)
        await log.append([NewRecord(EVENTS, "new", b"new")])
        assert [record.value for record in await poll_until(follower, 1)] == [b"new"]


async def test_a_position_behind_the_end_of_the_log_is_an_error_and_never_skips(log: EventLog) -> None:
    """The log was lost or replaced by an older copy: what is appended until it is as long again would be left out."""
    await log.append(records(["a"]))
    async with log.follow([EVENTS], "reader", Claims({(EVENTS, partition): 7 for partition in range(6)})) as follower:
        with pytest.raises(LogUnavailable):
            await poll_until(follower, 1)


async def test_what_was_given_is_not_given_again(log: EventLog) -> None:
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        for number in range(5):
            await log.append([NewRecord(EVENTS, f"key-{number}", str(number).encode())])
            assert [record.value for record in await poll_until(follower, 1)] == [str(number).encode()]


async def test_the_next_member_goes_on_where_the_claim_says(log: EventLog) -> None:
    await log.append(records(f"key-{number}" for number in range(30)))
    claims = Claims()
    async with log.follow([EVENTS], "reader", claims) as follower:
        first = (await poll_until(follower, 5, limit=5))[:5]
        claims.store(first)
    async with log.follow([EVENTS], "reader", claims) as follower:
        rest = await poll_until(follower, 25)
    assert len(content(rest)) == 25
    assert sorted(content(first + rest)) == sorted(content(records(f"key-{number}" for number in range(30))))


async def test_no_two_members_of_a_group_hold_one_partition(log: EventLog, logs: Logs) -> None:
    other = await logs.open()
    everything = {(EVENTS, partition) for partition in range(logs.partitions)}
    async with log.follow([EVENTS], "reader", Claims()) as one, other.follow([EVENTS], "reader", Claims()) as two:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while set(one.held()) | set(two.held()) != everything:
                await asyncio.gather(one.poll(10, 0.1), two.poll(10, 0.1))
        assert not set(one.held()) & set(two.held())


@pytest.mark.three_brokers
async def test_a_waiting_member_takes_over_when_the_other_leaves(log: EventLog, logs: Logs) -> None:
    other = await logs.open()
    everything = {(EVENTS, partition) for partition in range(logs.partitions)}
    async with other.follow([EVENTS], "reader", Claims()) as second:
        async with log.follow([EVENTS], "reader", Claims()) as first:
            await poll_until_held(first)
            await second.poll(10, 0.1)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while set(second.held()) != everything:
                await second.poll(10, 0.1)
        await log.append(records(["a"]))
        assert content(await poll_until(second, 1)) == content(records(["a"]))


async def test_each_group_is_given_everything(log: EventLog) -> None:
    await log.append(records(["a", "b", "c"]))
    async with log.follow([EVENTS], "one", Claims()) as one, log.follow([EVENTS], "two", Claims()) as two:
        assert sorted(content(await poll_until(one, 3))) == sorted(content(await poll_until(two, 3)))


@pytest.mark.parametrize("by", ["the same connection", "another connection"])
async def test_a_waiting_poll_is_woken_by_an_append(log: EventLog, logs: Logs, by: str) -> None:
    appender = log if by == "the same connection" else await logs.open()
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        await poll_until_held(follower)
        async with asyncio.timeout(DEADLINE_SECONDS):
            waiting = asyncio.create_task(follower.poll(10, DEADLINE_SECONDS * 2))  # ends in time only if it is woken
            await asyncio.sleep(0)
            await appender.append([NewRecord(EVENTS, "k", b"news")])
            assert [record.value for record in await waiting] == [b"news"]


async def test_a_poll_with_nothing_to_give_ends(log: EventLog) -> None:
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        assert list(await follower.poll(10, 0)) == []
        assert list(await follower.poll(10, 0.05)) == []


async def test_a_cancelled_poll_loses_nothing(log: EventLog) -> None:
    await log.append(records(["k"] * 300))
    found: list[Record] = []
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        await poll_until_held_without_taking(follower, found)
        async with asyncio.timeout(DEADLINE_SECONDS):
            for turns in range(200):
                poll = asyncio.create_task(follower.poll(10, 0.2))
                for _ in range(turns % 7):
                    await asyncio.sleep(0)
                poll.cancel()
                try:
                    found += await poll
                except asyncio.CancelledError:
                    continue
            while len(found) < 300:
                found += await follower.poll(100, 0.2)
    assert [record.offset for record in found] == list(range(300))


async def poll_until_held_without_taking(follower: Follower, found: list[Record]) -> None:
    """Joins the group; what it is given on the way is in ``found``."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not list(follower.held()):
            found += await follower.poll(1, 0.1)


async def test_a_claim_that_fails_is_told_and_made_again(log: EventLog) -> None:
    await log.append(records(["a"]))
    failures = [LogUnavailable("the store is away")]

    async def claim(topic: str, partitions: frozenset[int]) -> Mapping[int, int]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(partitions, 0)

    async with log.follow([EVENTS], "reader", claim) as follower:
        with pytest.raises(LogUnavailable):
            await poll_until(follower, 1)
    async with log.follow([EVENTS], "reader", claim) as follower:
        assert content(await poll_until(follower, 1)) == content(records(["a"]))


# --- several processes -------------------------------------------------------------------------------------------------------

APPENDER = """
import asyncio, sys
from adapters.eventlog.connect import connect
from schemas.log import EVENTS, NewRecord

async def main(url, partitions, name):
    log = await connect(url, partitions=int(partitions))
    async def append_in_turn(caller):
        for number in range(50):
            await log.append([NewRecord(EVENTS, f"{name}-{caller}", b"%d" % number), NewRecord(EVENTS, "shared", b"x")])
    await asyncio.gather(*(append_in_turn(caller) for caller in range(4)))
    await log.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_append_at_once_while_a_third_follows(log: EventLog, logs: Logs) -> None:
    root = str(Path(__file__).parents[2])
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", APPENDER, logs.url, str(logs.partitions), name, cwd=root)
        for name in ("one", "two")
    ]
    async with log.follow([EVENTS], "reader", Claims()) as follower:
        followed = await poll_until(follower, 2 * 4 * 50 * 2)
    assert [await child.wait() for child in children] == [0, 0]
    expected = {f"{name}-{caller}": [b"%d" % n for n in range(50)] for name in ("one", "two") for caller in range(4)}
    expected["shared"] = [b"x"] * 400
    assert by_key(await read_all(log)) == expected
    assert by_key(followed) == expected
