"""Keys made from identifiers: always the same, never the same as another's, never readable."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import LocalId, NhsNumber, RecordKey
from schemas.pseudonyms import Pseudonyms

SECRET = b"0123456789abcdef0123456789abcdef"
PSEUDONYMS = Pseudonyms(SECRET)
NUMBER = NhsNumber("9990000018")

MAKERS: dict[str, Callable[[Pseudonyms], str]] = {
    "record": lambda make: make.record("northfield-pas", LocalId("9990000018")),
    "record by number": lambda make: make.record_by_number("northfield-pas", NUMBER),
    "fact": lambda make: make.fact("northfield-pas", "9990000018"),
    "conversation": lambda make: make.conversation("northfield-pas", "9990000018"),
    "person by number": lambda make: make.person_by_number(NUMBER),
    "person by record": lambda make: make.person_by_record(RecordKey("9990000018")),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_key_is_the_same_for_ever_and_shows_nothing(name: str) -> None:
    key = MAKERS[name](PSEUDONYMS)
    assert key == MAKERS[name](Pseudonyms(SECRET))
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert key != MAKERS[name](Pseudonyms(SECRET[::-1]))


def test_keys_of_different_kinds_never_meet_although_the_identifier_is_the_same() -> None:
    assert len({make(PSEUDONYMS) for make in MAKERS.values()}) == len(MAKERS)


def test_the_same_local_identifier_at_two_sources_is_two_records() -> None:
    assert PSEUDONYMS.record("a", LocalId("1")) != PSEUDONYMS.record("b", LocalId("1"))


def test_the_person_of_a_number_is_the_same_whoever_says_it() -> None:
    assert PSEUDONYMS.person_by_number(NUMBER) == PSEUDONYMS.person_by_number(NhsNumber("9990000018"))


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_two_natural_keys_make_one_fact_only_when_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (PSEUDONYMS.fact("s", *one) == PSEUDONYMS.fact("s", *other)) is (one == other)


def test_no_character_a_sender_may_use_moves_the_border_between_parts() -> None:
    parts = ["1", "1:1", "\x1f", "1\x1f", "", "\ud800"]
    keys = itertools.product(parts, repeat=2)
    assert len({PSEUDONYMS.fact("s", *key) for key in keys} | {PSEUDONYMS.fact("s", part) for part in parts}) == 36 + 6


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Pseudonyms(b"too short")


def test_the_secret_is_shown_by_nothing() -> None:
    assert SECRET.decode() not in repr(PSEUDONYMS)
    assert not hasattr(PSEUDONYMS, "__dict__")
