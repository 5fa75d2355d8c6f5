"""The table of event types: its names, and a title for each that reads well whatever is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, combinations

import pytest

from schemas.catalogue import CATALOGUE, RANK_MOST, Character, EventType, Kind, Movement
from schemas.event import Sensitivity
from schemas.fhir.r4 import RESOURCES
from schemas.sentence import render, title

ROWS = list(CATALOGUE.values())
SOURCE = "Willow Befriending"


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> EventType:
    found: EventType = request.param
    return found


def test_a_name_is_a_noun_a_verb_and_a_major_version(row: EventType) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+-[1-9][0-9]*", row.name)


def test_a_row_speaks_the_words_of_the_tables(row: EventType) -> None:
    assert (type(row.kind), type(row.character), type(row.movement)) == (Kind, Character, Movement)
    assert isinstance(row.sensitivity, Sensitivity)


def test_the_focus_is_a_resource_that_can_be_checked(row: EventType) -> None:
    assert row.focus in (*RESOURCES, "Resource")


def test_every_kind_and_character_is_used() -> None:
    assert {row.kind for row in ROWS} == set(Kind)
    assert {row.character for row in ROWS} == set(Character)


def test_no_name_stands_twice() -> None:
    assert len(CATALOGUE) == len(ROWS) == len({row.name for row in ROWS})


FRONT_DOOR = """
person-registered person-changed person-died records-merged encounter-planned encounter-admitted encounter-transferred
encounter-changed encounter-discharge-planned encounter-discharged encounter-attended encounter-cancelled referral-requested
referral-accepted referral-declined referral-changed referral-cancelled referral-completed notice-given notice-answered
notice-withdrawn assessment-completed service-started service-changed service-ended contact-made contact-missed alarm-raised
alert-raised alert-cleared plan-agreed plan-reviewed goal-set goal-progressed about-me-written carer-named carer-ended
document-received choice-recorded entry-withdrawn
"""


def test_every_type_of_the_public_contract_is_there() -> None:
    assert {f"{name}-1" for name in FRONT_DOOR.split()} <= set(CATALOGUE)


RANKS = {name: rank for rank, name in enumerate(FRONT_DOOR.split())}
"""As they were stored by the first release: the row's position in the table of then."""


def test_a_rank_that_is_stored_never_changes() -> None:
    assert {row.name: row.rank for row in ROWS if row.rank < len(RANKS)} == {f"{name}-1": rank for name, rank in RANKS.items()}


def test_a_rank_belongs_to_one_type_and_fits_where_it_is_stored() -> None:
    assert len({row.rank for row in ROWS}) == len(ROWS)
    assert all(0 <= row.rank <= RANK_MOST for row in ROWS)


def words_of(template: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", template)) - {"source"})


def subsets(words: list[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(words, size) for size in range(len(words) + 1))


def test_a_title_reads_well_whichever_words_are_missing(row: EventType) -> None:
    for known in subsets(words_of(row.title)):
        sentence = render(row.title, {"source": SOURCE} | {word: f"<{word}>" for word in known})
        assert sentence[0].isupper() or sentence.startswith("<"), sentence
        assert not re.search(r"[\[\]{}|]|  |\s[,:]|[,:]$|^\W|,,|::", sentence.replace("<", "w").replace(">", "")), sentence
        unsaid = {word for word in known if f"<{word}>" not in sentence}
        assert unsaid <= ({"kind"} if {"movement", "next_place"}.intersection(known) else set()), (
            "a word that is known is said, unless another says more"
        )


def test_a_title_of_an_empty_focus_is_a_sentence(row: EventType) -> None:
    focus = "Flag" if row.focus == "Resource" else row.focus
    sentence = title(row.title, {"resourceType": focus}, SOURCE)
    assert sentence[0].isupper()
    assert len(sentence.split()) >= 1


def test_a_title_uses_only_words_that_its_focus_can_give(row: EventType) -> None:
    known = {
        "Encounter": {
            "place",
            "here",
            "next_place",
            "destination",
            "kind",
            "reason",
            "readiness",
            "expected",
            "begins",
            "movement",
        },
        "ServiceRequest": {"service", "performer", "reason"},
        "Task": {"service", "performer", "reason"},
        "EpisodeOfCare": {"service", "provider"},
        "RelatedPerson": {"name", "relationship"},
        "Goal": {"summary", "outcome"},
    }.get(row.focus, {"what", "summary", "reason"})
    assert set(words_of(row.title)) <= known
