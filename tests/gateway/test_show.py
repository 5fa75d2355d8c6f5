"""What commands print for people: an id in a table can be copied."""

from __future__ import annotations

import pytest

from gateway.terminal.show import receipt_lines, table

ID = "df703d33-caaf-5a26-8747-b5e5c3594946"


@pytest.mark.parametrize("columns", [2, 3, 5])
def test_an_id_stays_on_one_line_however_long_what_stands_beside_it(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    beside = [f"a cell of many words number {place}" for place in range(columns)]
    table(("Id", *(f"Column {place}" for place in range(columns))), [(ID, *beside)])
    shown = capsys.readouterr().out
    assert ID in shown
    assert all(str(place) in shown for place in range(columns)), "the others wrap, and nothing is cut off"


def test_rejections_that_a_receipts_first_part_does_not_list_are_not_left_out_of_the_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusals = [{"position": "line 2", "reason": "a day that does not exist", "quarantine": "q"}]
    receipt_lines({"id": "r", "received": 1_000_000, "accepted": 999_988, "rejected": 12, "refusals": refusals})
    assert "and 11 more were rejected: `backbone quarantine list` has them" in capsys.readouterr().out
    receipt_lines({"id": "r", "received": 2, "accepted": 1, "rejected": 1, "refusals": refusals})
    assert "more" not in capsys.readouterr().out
