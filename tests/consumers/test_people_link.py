"""Which records are one person, as a function of the evidence."""

from __future__ import annotations

from itertools import permutations

import pytest

from consumers.people.link import Link, LinkRule, Merge, Own, link, standing


def merge(order: str, old: str, new: str, fact: str = "") -> Merge:
    return Merge(fact or f"{old}>{new}", old, new, order, 0)


def withdrawn(order: str, fact: str) -> Merge:
    return Merge(fact, "", "", order, 0)


ALONE = {key: Own(f"person of {key}", False) for key in "abcd"}


def numbered(**numbers: str) -> dict[str, Own]:
    """Records a to d, some of them with a number."""
    return ALONE | {key: Own(number, True) for key, number in numbers.items()}


STANDING: dict[str, tuple[list[Merge], dict[str, str]]] = {
    "one": ([merge("1", "a", "b")], {"a": "b"}),
    "said twice": ([merge("1", "a", "b"), merge("2", "a", "c")], {"a": "c"}),
    "corrected in one fact": ([merge("1", "a", "b", "f"), merge("2", "c", "b", "f")], {"c": "b"}),
    "two at once": ([merge("1", "a", "b", "f"), merge("1", "c", "b", "f")], {"a": "b", "c": "b"}),
    "withdrawn": ([merge("1", "a", "b", "f"), withdrawn("2", "f")], {}),
    "withdrawn at once": ([merge("1", "a", "b", "f"), withdrawn("1", "f")], {}),
    "withdrawn, then said again": ([withdrawn("2", "f"), merge("3", "a", "b", "f")], {"a": "b"}),
    "round in a circle": ([merge("1", "a", "b"), merge("2", "b", "a")], {"b": "a"}),
    "round in a larger circle": ([merge("3", "a", "b"), merge("1", "b", "c"), merge("2", "c", "a")], {"a": "b", "c": "a"}),
    "two circles": (
        [merge("1", "a", "b"), merge("2", "b", "a"), merge("4", "c", "d"), merge("3", "d", "c")],
        {"b": "a", "c": "d"},
    ),
}


@pytest.mark.parametrize("story", STANDING)
def test_the_merges_that_hold_do_not_depend_on_the_order_they_are_known_in(story: str) -> None:
    merges, expected = STANDING[story]
    for order in permutations(merges):
        assert {old: one.new for old, one in standing(order).items()} == expected


def test_a_record_by_itself_is_a_person_by_its_number_or_else_by_its_key() -> None:
    found = link(numbered(b="n1"), [])
    assert found["a"] == Link("person of a", LinkRule.ALONE, None, None)
    assert found["b"] == Link("n1", LinkRule.NUMBER, None, None)


def test_a_replaced_record_belongs_to_the_end_of_its_chain() -> None:
    found = link(numbered(c="n1"), [merge("1", "a", "b"), merge("2", "b", "c")])
    assert found["a"] == Link("n1", LinkRule.MERGED, "c", "b")
    assert found["b"] == Link("n1", LinkRule.MERGED, "c", "c")
    assert found["c"] == Link("n1", LinkRule.NUMBER, None, None)
    assert found["d"].person == "person of d"


CHAINS = {
    "nobody has a number": ({}, "person of b", LinkRule.ALONE),
    "the survivor has one": ({"b": "n1"}, "n1", LinkRule.NUMBER),
    "the replaced one has one": ({"a": "n2"}, "n2", LinkRule.MERGED_NUMBER),
    "both have the same": ({"a": "n1", "b": "n1"}, "n1", LinkRule.NUMBER),
    "they contradict each other: the survivor decides": ({"a": "n2", "b": "n1"}, "n1", LinkRule.NUMBER),
}


@pytest.mark.parametrize("story", CHAINS)
def test_whose_a_merged_pair_is(story: str) -> None:
    numbers, person, rule = CHAINS[story]
    found = link(numbered(**numbers), [merge("1", "a", "b")])
    assert (found["a"].person, found["b"].person, found["b"].rule) == (person, person, rule)


def test_two_replaced_records_that_contradict_each_other_give_the_survivor_no_number() -> None:
    found = link(numbered(a="n1", b="n2"), [merge("1", "a", "c"), merge("2", "b", "c")])
    assert {one.person for key, one in found.items() if key != "d"} == {"person of c"}
