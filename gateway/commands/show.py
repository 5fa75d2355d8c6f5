"""What commands print: JSON for programs, tables for people. ``rich`` is imported only where something is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 120
"""Columns of a table whose output is no terminal, so that a file or a test reads whole lines."""


def console() -> Console:
    """Standard output, as wide as the terminal."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)


def json_line(content: Any) -> None:
    """``content`` as one line of JSON."""
    sys.stdout.write(orjson.dumps(content, default=str).decode() + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their headings; long cells wrap."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console().print(drawn)


def timeline_table(page: Mapping[str, Any]) -> None:
    """A timeline page: when, what, who said so; then what is missing."""
    rows = [(_when(entry), entry["title"], entry["source"]["name"], entry["source"]["sector"]) for entry in page["entries"]]
    table(("When", "What", "Source", "Sector"), rows)
    for missing in page.get("missing", ()):
        print(f"missing: {_missing(missing)}")
    behind = page.get("behind") or {}
    if behind.get("events"):
        print(f"behind: {behind['events']} events have arrived that are not shown yet")
    if page.get("next"):
        print(f"more: --after {page['next']}")


def _when(entry: Mapping[str, Any]) -> str:
    """The time as exactly as it is known: a day stays a day. Shown in the zone the timeline's days are meant in."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    written = str(entry["occurred_at"])
    if "T" not in written:
        return written
    return datetime.fromisoformat(written).astimezone(ZoneInfo("Europe/London")).strftime("%Y-%m-%d %H:%M")


def _missing(missing: Mapping[str, Any]) -> str:
    source = missing.get("source")
    name = source.get("name", source.get("id", "")) if isinstance(source, Mapping) else source
    return " ".join(str(part) for part in (name or "", missing.get("reason", "")) if part)


def receipt_lines(receipt: Mapping[str, Any]) -> None:
    """A receipt for people: what became of it, and of each item that was rejected why."""
    name = f"{receipt['name']}: " if receipt.get("name") else ""
    print(name + ", ".join(f"{count} {receipt.get(count, 0)}" for count in ("received", "accepted", "rejected")))
    for refusal in receipt.get("refusals", ()):
        print(f"  rejected {refusal['position']}: {refusal['reason']} (quarantine {refusal['quarantine']})")
    for flag in receipt.get("flags", ()):
        print(f"  look at {flag}")
    print(f"  receipt {receipt['id']}")
