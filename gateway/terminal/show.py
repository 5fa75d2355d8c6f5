"""What commands print: JSON for programs, tables for people. ``rich`` is imported only when something is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from gateway.terminal.plural import counted

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 120
"""Width of a table when the output is not a terminal, so that files and tests get whole lines."""


SHOWN = 20
"""Most refusals, and most flags, printed for one receipt: a file that is wrong in one column has a million."""
_UNSEEN = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
"""Control characters. In other people's text they could move the terminal's cursor, rename its window or hide lines."""


def console() -> Console:
    """Standard output, as wide as the terminal."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)


def seen(text: object) -> str:
    """``text`` on one line and safe for a terminal."""
    return str(text).translate(_UNSEEN)


def json_line(content: Any) -> None:
    """``content`` as one line of JSON."""
    sys.stdout.write(orjson.dumps(content, default=str).decode() + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their headings; long cells wrap, but for ids: they are copied."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(heading, overflow="fold", no_wrap=heading == "Id")
    for row in rows:
        drawn.add_row(*(Text(seen(cell)) for cell in row))
    screen = console()
    with screen.capture() as written:
        screen.print(drawn)
    for line in written.get().splitlines():
        print(line.rstrip())


def timeline_table(page: Mapping[str, Any]) -> None:
    """A timeline page: when, what, who said so; then what is missing."""
    rows = [
        (when(entry["occurred_at"]), entry["title"], entry["source"]["name"], entry["source"]["sector"])
        for entry in page["entries"]
    ]
    table(("When", "What", "Source", "Sector"), rows)
    for missing in page.get("missing", ()):
        print(f"missing: {_missing(missing)}")
    behind = page.get("behind") or {}
    if behind.get("events"):
        print(f"behind: {counted(behind['events'], 'event')} not shown yet")
    if page.get("next"):
        print(f"more: --after {page['next']}")


def when(written: str) -> str:
    """An entry's time, as exactly as it is known: a day stays a day. In London's time, as the timeline's days are."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    if "T" not in written:
        return written
    return datetime.fromisoformat(written).astimezone(ZoneInfo("Europe/London")).strftime("%Y-%m-%d %H:%M")


def _missing(missing: Mapping[str, Any]) -> str:
    source = missing.get("source")
    name = source.get("name", source.get("id", "")) if isinstance(source, Mapping) else source
    return " ".join(str(part) for part in (name or "", missing.get("reason", "")) if part)


def receipt_lines(receipt: Mapping[str, Any]) -> None:
    """A receipt for people: what became of the arrival, and why each rejected item was rejected."""
    name = f"{seen(receipt['name'])}: " if receipt.get("name") else ""
    print(name + ", ".join(f"{count} {receipt.get(count, 0):,}" for count in ("received", "accepted", "rejected")))
    refusals, flags = receipt.get("refusals", ()), receipt.get("flags", ())
    for refusal in refusals[:SHOWN]:
        print(f"  rejected {refusal['position']}: {seen(refusal['reason'])} (quarantine {refusal['quarantine']})")
    for flag in flags[:SHOWN]:
        print(f"  flag {seen(flag)}")
    if (more := receipt.get("rejected", 0) - len(refusals[:SHOWN])) > 0:
        print(f"  and {more:,} more were rejected: `backbone quarantine list` has them")
    if (more := len(flags) - SHOWN) > 0:
        print(f"  and {more:,} more flags: --json prints them")
    print(f"  receipt {receipt['id']}")
