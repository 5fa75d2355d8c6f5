"""Query parameters: one model reads, refuses and documents them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uses.asked import read_query
from gateway.uses.timeline import EntriesAsked, PageAsked
from gateway.uses.values import end_of, first_of, moment
from schemas.errors import InvalidRequest
from schemas.identifiers import PersonId
from schemas.timeline import Order, Question

PERSON = PersonId("0" * 32)
CANARY = "9990000018"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # the year, the month and the day are always given


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("kind=encounter", {"kinds": {"encounter"}}),
        ("kind=encounter&kind=service", {"kinds": {"encounter", "service"}}),
        ("kind=encounter,service", {"kinds": {"encounter", "service"}}),
        ("sector=care-provider", {"sectors": {"care-provider"}}),
        ("type=encounter-discharged-1", {"types": {"encounter-discharged-1"}}),
        ("source=northfield-pas", {"sources": {"northfield-pas"}}),
        ("since=2026-02-03", {"since": at(2026, 2, 3)}),
        ("since=2026-07-03", {"since": at(2026, 7, 2, 23)}),
        ("since=2026-02-03T14:00Z", {"since": at(2026, 2, 3, 14)}),
        ("until=2026-02-03T14:00:00.5%2B01:00", {"until": datetime(2026, 2, 3, 13, 0, 0, 500000, UTC)}),
        ("as_of=2026-02-03T14:00:00+01:00", {"as_of": at(2026, 2, 3, 13)}),
        ("order=oldest", {"order": Order.OLDEST}),
        ("limit=500", {"limit": 500}),
        ("after=abc.DEF_-", {"after": "abc.DEF_-"}),
        ("include=resource,withdrawn", {"resources": True, "withdrawn": True}),
        ("include=withdrawn", {"withdrawn": True}),
    ],
)
def test_a_query_makes_the_question_it_says(query: str, expected: dict[str, Any]) -> None:
    assert read_query(PageAsked, query).question(PERSON, {"northfield-pas"}) == Question(person=PERSON, **expected)


@pytest.mark.parametrize(
    ("query", "where", "cure"),
    [
        ("sicne=2026-02-03", "query", "Did you mean since?"),
        ("nhs=9990000018", "query", "It takes kind, sector"),
        ("since=yesterday", "parameter since", "a day such as 2026-02-03"),
        ("since=2026-02-03T14:00:00", "parameter since", "a time with its offset"),
        ("since=2026-02-30", "parameter since", "a day such as"),
        ("since=20260203", "parameter since", "a day such as"),
        ("since=0001-01-01T00:00:00%2B05:00", "parameter since", "a day such as"),
        ("since=2026-02-03&since=2026-02-04", "parameter since", "Give it once."),
        ("since=", "parameter since", "a day such as"),
        ("kind=encounters", "parameter kind", "one of person, encounter"),
        ("kind=", "parameter kind", "one of person"),
        ("kind=encounter,", "parameter kind", "one of person"),
        ("limit=0", "parameter limit", "from 1 to 500"),
        ("limit=501", "parameter limit", "from 1 to 500"),
        ("limit=-1", "parameter limit", "from 1 to 500"),
        ("limit=٥", "parameter limit", "from 1 to 500"),
        ("order=random", "parameter order", "one of newest, oldest"),
        ("after=%20", "parameter after", "the `next` of the page before"),
        ("after=" + "a" * 8193, "parameter after", "the `next` of the page before"),
        ("include=everything", "parameter include", "one of resource, withdrawn"),
        ("source=Northfield PAS", "parameter source", "the id of a declared source"),
        ("source=unheard-of", "parameter source", "backbone source list"),
        ("&".join(f"kind=alert&x{n}=1" for n in range(60)), "query", "at most 100"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_cure(query: str, where: str, cure: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_query(PageAsked, query).question(PERSON, {"northfield-pas"})
    assert refused.value.where == where
    assert cure in refused.value.cure


@pytest.mark.parametrize("name", ["since", "kind", "limit", "after", "source", "include", "order", CANARY])
def test_a_refusal_never_repeats_what_was_sent(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_query(PageAsked, f"{name}={CANARY} {CANARY}")
    assert CANARY not in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for model in (PageAsked, EntriesAsked):
        try:
            read_query(model, text).question(PERSON, frozenset())
        except InvalidRequest as refused:
            assert refused.cure


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-02", at(2026, 2, 1), at(2026, 3, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("2026-03-29", at(2026, 3, 29), at(2026, 3, 29, 23)),
        ("2026-10-25", at(2026, 10, 24, 23), at(2026, 10, 26)),
        ("2026-02-03T14:00:00Z", at(2026, 2, 3, 14), at(2026, 2, 3, 14)),
    ],
)
def test_a_partial_date_is_a_range_that_includes_its_last_day(text: str, first: datetime, end: datetime) -> None:
    assert (first_of(text), end_of(text)) == (first, end)


@pytest.mark.parametrize("text", ["", "26", "2026-13", "2026-02-30", "9999", "9999-12", "9999-12-31", "0000", "Feb 2026"])
def test_a_date_that_cannot_be_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026"):
        end_of(text)


@given(st.text(alphabet="0123456789-T:Z+. ", max_size=30))
def test_a_moment_is_read_in_utc_or_refused(text: str) -> None:
    try:
        assert moment(text).tzinfo is UTC
    except ValueError as refused:
        assert "such as" in str(refused)


def test_every_parameter_is_documented_with_a_description() -> None:
    for model in (PageAsked, EntriesAsked):
        rows = model.model_json_schema()["properties"]
        assert all(row["description"] and row["type"] for row in rows.values())
    assert set(PageAsked.names()) == {
        *("since", "until", "kind", "sector", "type", "source", "as_of", "order", "limit", "after", "include")
    }
