"""What commands print for people: an id in a table can be copied."""

from __future__ import annotations

import pytest

from gateway.commands.show import table

ID = "df703d33-caaf-5a26-8747-b5e5c3594946"


@pytest.mark.parametrize("columns", [2, 3, 5])
def test_an_id_stays_on_one_line_however_long_what_stands_beside_it(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    beside = [f"a cell of many words number {place}" for place in range(columns)]
    table(("Id", *(f"Column {place}" for place in range(columns))), [(ID, *beside)])
    shown = capsys.readouterr().out
    assert ID in shown
    assert all(str(place) in shown for place in range(columns)), "the others wrap, and nothing is cut off"
