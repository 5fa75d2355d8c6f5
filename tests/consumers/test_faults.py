"""What is done about an error while records are applied."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DataError, IntegrityError

from consumers.following.faults import Remedy, decide
from schemas.errors import LogUnavailable, PositionLost, StoreUnavailable

AGAIN, GIVE_UP, SPLIT, PARK = Remedy.AGAIN, Remedy.GIVE_UP, Remedy.SPLIT, Remedy.PARK

TABLE = [
    (PositionLost(), 1, 1000, GIVE_UP),
    (StoreUnavailable(), 1, 1000, AGAIN),
    (StoreUnavailable(), 4, 1, AGAIN),
    (StoreUnavailable(), 5, 1, GIVE_UP),
    (LogUnavailable(), 5, 1000, GIVE_UP),
    (IntegrityError("", {}, Exception()), 1, 1, AGAIN),
    (IntegrityError("", {}, Exception()), 3, 1000, SPLIT),
    (IntegrityError("", {}, Exception()), 3, 1, PARK),
    (DataError("", {}, Exception()), 1, 1000, SPLIT),
    (DataError("", {}, Exception()), 1, 1, PARK),
    (KeyError("type"), 1, 2, SPLIT),
    (KeyError("type"), 1, 1, PARK),
    (MemoryError(), 1, 1, GIVE_UP),
]


@pytest.mark.parametrize(("error", "attempt", "records", "remedy"), TABLE)
def test_an_engine_s_trouble_is_waited_for_and_a_record_s_is_set_aside(
    error: Exception, attempt: int, records: int, remedy: Remedy
) -> None:
    assert decide(error, attempt, records).remedy is remedy


def test_each_try_waits_longer_than_the_one_before() -> None:
    waits = [decide(StoreUnavailable(), attempt, 1).wait for attempt in range(1, 5)]
    assert waits == sorted(set(waits))
