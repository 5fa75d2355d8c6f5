"""The tests that a mapping file holds: a row, and what it makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapters.tabular.mapping.document import Node, instead
from adapters.tabular.rows.layout import BLANK, FLAT, trim
from schemas.catalogue import CATALOGUE, EventType

_KEYS = ("about", "row", "makes", "rejects", "received_at")
_MAKES = (
    "event",
    "occurred_at",
    "precision",
    "focus",
    "patient",
    "others",
    "sensitivity",
    "sequence",
    "thread",
    "title",
    "flags",
)


@dataclass(frozen=True, slots=True)
class Example:
    """One of a mapping's own tests."""

    line: int
    about: str
    row: dict[str, Any]
    """The cells, as the kind of content would give them."""
    makes: tuple[dict[str, Any], ...]
    """The named parts of each event."""
    rejects: str
    """Code of the error the row is rejected with; ``""`` when it is not."""
    received_at: str
    """``""`` for later than any date in it."""


def example(node: Node, kind: str) -> Example:
    """The test at ``node`` of a mapping that reads ``kind``. Raises `MappingError`."""
    entries = node.keys("a test", _KEYS)
    if "row" not in entries:
        raise node.fault("a test has no `row`", "Write the cells of one row under it, by column.")
    if "makes" not in entries and "rejects" not in entries:
        raise node.fault("a test says neither `makes` nor `rejects`", "Write what the row makes: `makes: []` for nothing.")
    cells = entries["row"].entries("row")
    row = {name: trim(cell.texts() if kind in FLAT else cell.plain()) for name, cell in cells.items()}
    return Example(
        line=node.line,
        about=_word(entries, "about"),
        row={name: cell for name, cell in row.items() if cell not in BLANK},
        makes=tuple(_made(one) for one in entries["makes"].items("makes")) if "makes" in entries else (),
        rejects=_word(entries, "rejects"),
        received_at=_word(entries, "received_at"),
    )


def _word(entries: dict[str, Node], key: str) -> str:
    return entries[key].word(key) if key in entries else ""


def _made(node: Node) -> dict[str, Any]:
    entries = node.keys("one of makes", _MAKES)
    event_type(node, entries)
    return {key: entry.text if key == "occurred_at" else entry.plain() for key, entry in entries.items()}


def event_type(node: Node, entries: dict[str, Node]) -> EventType:
    """The row of the catalogue that ``event`` names. Raises `MappingError` with the nearest names."""
    if "event" not in entries:
        raise node.fault("`event` is missing", f"Choose one of the catalogue: {', '.join(CATALOGUE)}.")
    name = entries["event"].word("event")
    if name not in CATALOGUE:
        raise entries["event"].fault(f'there is no event type "{name}"', instead(name, CATALOGUE))
    return CATALOGUE[name]


def columns_named(node: Node) -> Iterable[str]:
    """The columns of the test at ``node``, which may have any fault."""
    row = node.value.get("row") if isinstance(node.value, dict) else None
    return row.value if row and isinstance(row.value, dict) else ()
