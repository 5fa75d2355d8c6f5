"""A cache, for the reading of one file, of what was made from the same cells.

The rows of an extract repeat themselves: a person's details are on each of their rows, and kinds of service are few. What is
made from certain columns is a function of their cells, so it is made once for all rows with the same cells in these columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

KEPT = 500
"""Most values of each kind: those of recent rows, in about 1 MB."""
KEPT_CHARACTERS = 256 * 1024
"""Of the cells kept: a cell may be as long as a row, and what is made of it much larger."""

T = TypeVar("T")


class CellCache(Generic[T]):
    """Values by the cells they were made from. With ``columns`` of ``None`` (not known) nothing is kept."""

    __slots__ = ("_characters", "_columns", "_known")

    def __init__(self, columns: Iterable[str] | None) -> None:
        self._columns = None if columns is None else tuple(sorted(columns))
        self._known: dict[tuple[Any, ...], T] = {}
        self._characters = 0

    def of(self, cells: dict[str, Any], make: Callable[[], T]) -> T:
        """What ``make`` makes of these cells, now or earlier. Shared, so it must not be changed. Exceptions are not kept."""
        if self._columns is None:
            return make()
        read = tuple(map(cells.get, self._columns))
        found = self._known.get(read)
        if found is None:
            found = make()
            self._characters += sum(map(len, filter(None, read)))
            if len(self._known) >= KEPT or self._characters > KEPT_CHARACTERS:
                self._known.clear()
                self._characters = 0
            self._known[read] = found
        return found
