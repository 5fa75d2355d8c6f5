"""A consumer that is stuck is told from one that is slow, waiting, or at the end."""

from __future__ import annotations

import pytest

from adapters.eventlog.kafka.watchdog import Watchdog
from schemas.errors import ConsumerStuck

SOUND = {
    "at the end": [(5, 5)] * 9,
    "slow": [(number, 100) for number in range(9)],
    "catching up in jumps": [(1, 9), (1, 9), (4, 9), (4, 9), (4, 9), (9, 9)],
    "new records for one that waited long": [(5, 5)] * 8 + [(5, 6)],
}


@pytest.mark.parametrize("course", SOUND.values(), ids=SOUND)
def test_a_consumer_that_moves_or_has_nothing_before_it_is_left_alone(course: list[tuple[int, int]]) -> None:
    watchdog = Watchdog(patience=40)
    for turn, (position, end) in enumerate(course):
        watchdog.look({"p": position}, {"p": end}, turn * watchdog.every)


def test_one_that_stands_still_with_records_before_it_is_stuck() -> None:
    watchdog = Watchdog(patience=40)
    for at in (0.0, 10.0, 20.0, 30.0, 40.0):
        watchdog.look({"p": 5, "q": int(at)}, {"p": 6, "q": 100}, at)
    with pytest.raises(ConsumerStuck, match="1 partition"):
        watchdog.look({"p": 5, "q": 50}, {"p": 6, "q": 100}, 50.0)


def test_a_partition_that_went_elsewhere_and_came_back_begins_anew() -> None:
    watchdog = Watchdog(patience=40)
    watchdog.look({"p": 5}, {"p": 6}, 0.0)
    watchdog.look({}, {}, 30.0)
    watchdog.look({"p": 5}, {"p": 6}, 60.0)
