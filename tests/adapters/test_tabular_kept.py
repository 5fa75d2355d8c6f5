"""What was made of the same cells is made once, as long as there is room for it."""

from __future__ import annotations

import pytest

from adapters.tabular.cache import KEPT, KEPT_CHARACTERS, CellCache

ROW = {"Service": "Meals", "Person": "1"}


def made(kept: CellCache[str], *rows: dict[str, str]) -> list[str]:
    """Of which of ``rows`` something was made."""
    found: list[str] = []

    def make(person: str) -> str:
        found.append(person)
        return person

    for row in rows:
        kept.of(row, lambda person=row["Person"]: make(person))  # type: ignore[misc] # bound now, not when it is called
    return found


def test_rows_with_the_same_cells_in_its_columns_share_what_was_made() -> None:
    kept = CellCache[str](["Service"])
    assert made(kept, ROW, ROW | {"Person": "2"}, ROW | {"Service": "Transport", "Person": "3"}, ROW) == ["1", "3"]


def test_a_blank_cell_is_not_the_same_as_one_that_says_something() -> None:
    assert made(CellCache[str](["Service"]), {"Person": "1"}, ROW | {"Person": "2"}, {"Person": "3"}) == ["1", "2"]


def test_where_the_columns_cannot_be_told_all_is_made_anew() -> None:
    assert made(CellCache[str](None), ROW, ROW) == ["1", "1"]


@pytest.mark.parametrize("others", [KEPT, 2], ids=["too many", "too long"])
def test_what_came_before_too_many_or_too_long_others_is_forgotten(others: int) -> None:
    kept = CellCache[str](["Service"])
    long = "x" * (0 if others == KEPT else KEPT_CHARACTERS)
    between = [{"Service": f"{number}{long}", "Person": ""} for number in range(others)]
    assert made(kept, ROW, *between, ROW)[-1] == "1"


def test_what_could_not_be_made_is_tried_again() -> None:
    kept = CellCache[str](["Service"])

    def fail() -> str:
        raise ValueError("cannot be made")

    with pytest.raises(ValueError, match="cannot be made"):
        kept.of(ROW, fail)
    assert kept.of(ROW, lambda: "made") == "made"
