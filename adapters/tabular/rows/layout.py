"""What a reader needs to know from a mapping to find the rows of some content, and the row itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from schemas.errors import RejectedInput

TABLES = ("csv", "xlsx", "xls", "ods")
"""Kinds with a header. Whichever is said, a table is read as what it is."""
KINDS = (*TABLES, "json", "ndjson", "form")
"""What a mapping may read."""
FLAT = frozenset({*TABLES, "form"})
"""Kinds whose cells are texts."""


BLANK: tuple[Any, ...] = (None, "", [], {})
"""Cells that say nothing."""


def trim(cell: Any) -> Any:
    """A cell without the white space around it."""
    return cell.strip() if isinstance(cell, str) else cell


def named(columns: Iterable[str]) -> str:
    """``column "A"``, or ``columns "A" and "B"``: where a fault is, in a message."""
    quoted = [f'"{column}"' for column in columns]
    return f"column{'s' * (len(quoted) > 1)} {' and '.join(quoted)}"


class Layout(NamedTuple):
    """What the content of one source looks like."""

    kind: str
    """One of `KINDS`."""
    required: tuple[str, ...]
    """Columns without which a table is refused."""
    wanted: frozenset[str] | None
    """Columns the mapping reads; ``None`` for all of them."""
    delimiter: str = ""
    sheet: str = ""


class Row(NamedTuple):
    """One unit of success or rejection."""

    position: str
    """``line 12``, ``row 12``, ``entry 3``."""
    cells: dict[str, Any]
    """What the mapping reads, by column: trimmed, blank ones left out."""
    blank: bool
    """No cell holds anything, wanted or not."""
    content: Callable[[], bytes]
    """The row as content of its own, header included: reading it gives the same row."""
    fault: RejectedInput | None = None
    """Why it cannot be used."""


Rows = Iterator[Row]
