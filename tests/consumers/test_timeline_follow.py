"""What a reader has seen, and what is new to them, whatever became of it while they were away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.timeline.cursor import read_changes, write_changes
from consumers.timeline.follow import FollowedVersion, Seen, TimelineState, all_seen, gone, settled, still_true, tell, unseen
from schemas.errors import InvalidRequest

Row = tuple[str, int, str | None]

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.sampled_from([None, None, "", "fact"])),
    max_size=30,
    unique_by=lambda row: row[1],
)


def new(seen: Seen, rows: Sequence[Row]) -> set[int]:
    """What a reader who comes back is told."""
    standing = TimelineState(rows)
    return set(unseen(still_true(seen, standing), standing))


def test_what_came_after_all_that_was_seen_of_its_record_is_new() -> None:
    seen = all_seen(TimelineState([("a", 1, None), ("a", 5, None), ("b", 9, None)]))
    assert new(seen, [("a", 1, None), ("a", 5, None), ("a", 7, None), ("b", 9, None)]) == {7}


def test_every_entry_of_a_record_that_was_not_seen_is_new() -> None:
    seen = all_seen(TimelineState([("a", 5, None)]))
    assert new(seen, [("a", 5, None), ("b", 1, None), ("b", 2, None)]) == {1, 2}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([("a", 3, "")], [("a", 3, None)]),
        ([("a", 3, "fact of 4")], [("a", 3, "fact of 5"), ("a", 4, None)]),
    ],
    ids=["what said nothing says something", "a withdrawal withdraws something else"],
)
def test_a_record_of_which_something_was_judged_anew_is_told_again(before: list[Row], now: list[Row]) -> None:
    seen = all_seen(TimelineState([*before, ("a", 9, None)]))
    assert 9 in new(seen, [*now, ("a", 9, None)])
    assert {place for _, place, fact in now if fact is None} <= new(seen, [*now, ("a", 9, None)])


def test_a_correction_tells_nothing_again() -> None:
    seen = all_seen(TimelineState([("a", 1, None), ("a", 2, None)]))
    assert new(seen, [("a", 2, None), ("a", 3, None)]) == {3}


def test_what_says_nothing_and_came_later_tells_nothing_again() -> None:
    seen = all_seen(TimelineState([("a", 1, None)]))
    assert new(seen, [("a", 1, None), ("a", 2, "")]) == set()


STATES = st.sampled_from([None, None, "", "fact", "another"])
HISTORY = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), STATES, st.one_of(STATES, st.just("replaced"))),
    max_size=30,
    unique_by=lambda row: row[1],
)
"""Record, place, how it stood when the reader looked, and how it stands now."""


@given(history=HISTORY, came_by=st.integers(0, 40), left_after=st.integers(0, 40))
def test_who_leaves_anywhere_and_comes_back_misses_nothing(
    history: list[tuple[str, int, str | None, str | None]], came_by: int, left_after: int
) -> None:
    before = TimelineState((record, place, then) for record, place, then, _ in history if place <= came_by)
    rows = [(record, place, now) for record, place, _, now in history if now != "replaced"]
    standing = TimelineState(rows)
    told = list(tell(all_seen(before), standing, standing.places - before.places))[:left_after]
    seen = told[-1][1] if told else all_seen(before)
    had = before.places | {place for place, _ in told}
    assert standing.places - had <= new(seen, rows)


# --- what is gone ------------------------------------------------------------------------------------------------------------


def version(place: int, fact: str, number: int | None, *, record: str = "a", asked: bool = True) -> FollowedVersion:
    return FollowedVersion(record, place, f"entry {place}", fact, number, asked)


def lost(before: Sequence[Row], now: Sequence[Row], stated: Sequence[FollowedVersion]) -> list[str]:
    """What a reader who saw all of ``before`` is told to be gone."""
    return gone(all_seen(TimelineState(before)), TimelineState(now), stated)


BEFORE: list[Row] = [("a", 1, None), ("a", 2, None)]
TWO = [version(1, "f", 1), version(2, "g", 1)]


def test_nothing_is_gone_while_nothing_happened() -> None:
    assert lost(BEFORE, BEFORE, TWO) == []


@pytest.mark.parametrize("now", [[("a", 2, None), ("a", 3, None)], [("a", 2, None), ("a", 3, "f")]], ids=["new", "withdrawn"])
def test_what_was_replaced_or_withdrawn_is_gone_and_nothing_else(now: list[Row]) -> None:
    assert lost(BEFORE, now, [*TWO, version(3, "f", 2)]) == ["entry 1"]


def test_what_was_replaced_before_is_not_gone_again() -> None:
    before: list[Row] = [("a", 2, None), ("a", 3, None)]
    stated = [version(1, "f", 1), version(3, "f", 2), version(2, "g", 1), version(4, "g", 2)]
    assert lost(before, [("a", 3, None), ("a", 4, None)], stated) == ["entry 2"]


def test_a_late_version_that_replaces_nothing_makes_nothing_go() -> None:
    assert lost(BEFORE, BEFORE, [version(1, "f", 2), version(2, "g", 1), version(3, "f", 1)]) == []


def test_all_of_a_record_that_is_another_persons_is_gone() -> None:
    assert lost([*BEFORE, ("b", 9, None)], [("b", 9, None)], [*TWO, version(9, "h", 1, record="b")]) == ["entry 1", "entry 2"]


def test_what_was_not_asked_for_is_not_told_to_be_gone() -> None:
    assert lost(BEFORE, [("a", 2, None)], [version(1, "f", 1, asked=False), TWO[1], version(3, "f", 2)]) == []


def test_where_something_was_judged_anew_all_that_does_not_stand_is_gone() -> None:
    assert lost(BEFORE, [("a", 1, ""), ("a", 2, None)], [version(1, "f", None), TWO[1]]) == ["entry 1"]


def test_who_was_told_what_is_gone_is_not_told_again() -> None:
    now = TimelineState([("a", 2, None), ("a", 3, "f")])
    stated = [*TWO, version(3, "f", 2)]
    seen = settled(all_seen(TimelineState(BEFORE)), now, ())
    assert gone(seen, now, stated) == []
    assert set(unseen(still_true(seen, now), now)) == set()


@given(rows=ROWS)
def test_a_cursor_says_what_was_seen(rows: list[Row]) -> None:
    seen = all_seen(TimelineState([(record.encode().hex() * 16, place, fact) for record, place, fact in rows]))
    assert read_changes(write_changes(seen)) == seen


@pytest.mark.parametrize("cursor", ["", "AA", "AQA", "W10", "é"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        read_changes(cursor)
