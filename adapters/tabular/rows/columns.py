"""The header of a table: names checked, and how the cells a mapping reads are picked from a row.

Names are compared with their white space made single. They are never repeated in a message unless the mapping has them too: in
a file without a header the first row is somebody's record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from adapters.tabular.rows.layout import Layout
from adapters.tabular.rows.limits import COLUMNS_MOST
from schemas.errors import TooLarge, Unreadable


class Columns(NamedTuple):
    """The header of one table."""

    names: tuple[str, ...]
    """In order; ``""`` for a column without a name, in which no row may have anything."""
    least: int
    """Cells a row must have: up to the last column with a name."""
    picked: tuple[str, ...]
    """Those the mapping reads, in the order of the alphabet: what a row says does not depend on the order of its columns."""
    pick: Callable[[Sequence[str]], Sequence[str]]
    """From a row of at least as many cells, those of ``picked``."""


def name_of(cell: str) -> str:
    """A header's cell as a column's name."""
    return " ".join(cell.split())


def columns(header: Sequence[str], layout: Layout, where: str) -> Columns:
    """The columns of the table with this header, which stands at ``where``.

    Raises `Unreadable` when a name stands twice or a required one is missing, `TooLarge` when there are too many.
    """
    names = [name_of(cell) for cell in header[: COLUMNS_MOST + 1]]
    if len(names) > COLUMNS_MOST:
        raise TooLarge(
            f"the header has more than {COLUMNS_MOST:,} columns",
            where=where,
            cure="Check the delimiter, or send fewer columns.",
        )
    _no_twins(names, layout, where)
    _none_missing(names, layout, where)
    wanted = sorted(
        (name, place) for place, name in enumerate(names) if name and (layout.wanted is None or name in layout.wanted)
    )
    least = max((place for place, name in enumerate(names, 1) if name), default=0)
    return Columns(tuple(names), least, tuple(name for name, _ in wanted), _picker([place for _, place in wanted]))


def _no_twins(names: Sequence[str], layout: Layout, where: str) -> None:
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if name and name in first:
            known = f' (both "{name}")' if name in layout.required or name in (layout.wanted or ()) else ""
            raise Unreadable(
                f"columns {first[name] + 1} and {place + 1} have the same name{known}",
                where=where,
                cure="Nothing says which of the two is meant: give each a name of its own and send the file again.",
            )
        first[name] = place


def _none_missing(names: Sequence[str], layout: Layout, where: str) -> None:
    missing = [name for name in layout.required if name not in names]
    if missing:
        shown = ", ".join(f'"{name}"' for name in missing[:10]) + (", …" if len(missing) > 10 else "")
        raise Unreadable(
            f"{'columns are' if len(missing) > 1 else 'a column is'} missing: {shown}",
            where=where,
            cure="Check that the file has its header row, that the delimiter is right and that no column was renamed.",
        )


def unnamed(names: Sequence[str]) -> list[int]:
    """Places of the columns without a name: a spreadsheet saved as CSV often has some, with nothing in them."""
    return [place for place, name in enumerate(names) if not name]


def refuse_unnamed(place: int, where: str) -> Unreadable:
    """The refusal of a table whose column at ``place`` holds values but has no name."""
    return Unreadable(
        f"column {place + 1} has values but no name", where=where, cure="Give the column a name and send the file again."
    )


def _picker(places: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda row: (row[places[0]],)) if places else (lambda row: ())


def cells_of(columns: Columns, row: Sequence[str]) -> dict[str, str]:
    """The cells of ``row`` that the mapping reads: trimmed, blank ones left out."""
    return {name: text for name, text in zip(columns.picked, map(str.strip, columns.pick(row)), strict=True) if text}
