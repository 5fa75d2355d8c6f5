"""Parameters of a path as a table: each row is read, refused and documented by the same words.

What the table does not name is refused, and so is a parameter given twice that may be given once: a misspelt filter must not
widen an answer in silence. A refusal never repeats a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.requests import Request

from schemas.errors import InvalidRequest, NotFound

Read = Callable[[str], Any]
"""From text to a value; a ``ValueError`` says what to write instead."""
Schema = Mapping[str, Any]

FIELDS_MOST = 100
"""Parameters in one query at most: the longest sensible one has about forty."""
LONDON = ZoneInfo("Europe/London")
"""A day begins and ends there, as the events' days do."""


class Parameter(NamedTuple):
    """One query parameter."""

    name: str
    read: Read
    schema: Schema
    says: str
    many: bool = False
    """May be repeated, or hold several values with commas between."""


class Parameters:
    """The query parameters of one path."""

    def __init__(self, *rows: Parameter) -> None:
        self._rows = {row.name: row for row in rows}

    def read(self, request: Request) -> dict[str, Any]:
        """What the query says, by name: a value, or for ``many`` a frozenset. What it does not say is not there.

        Raises `InvalidRequest`.
        """
        query = request.scope["query_string"]
        return self.parse(query.decode("latin-1")) if query else {}

    def parse(self, text: str) -> dict[str, Any]:
        """What the urlencoded ``text`` says; see `read`."""
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MOST)
        except ValueError:
            raise InvalidRequest("there are too many parameters", where="query", cure=f"Give at most {FIELDS_MOST}.") from None
        found: dict[str, Any] = {}
        for name, value in pairs:
            self._add(found, name, value)
        return found

    def _add(self, found: dict[str, Any], name: str, value: str) -> None:
        row = self._rows.get(name)
        if row is None:
            raise InvalidRequest("this path does not know one of the parameters", where="query", cure=self._known(name))
        if row.many:
            found[name] = found.get(name, frozenset()) | {_read(row, part) for part in value.split(",")}
        elif name in found:
            raise InvalidRequest("given twice", where=f"parameter {name}", cure="Give it once.")
        else:
            found[name] = _read(row, value)

    def _known(self, name: str) -> str:
        close = get_close_matches(name.lower(), self._rows, n=1)
        return f"Did you mean {close[0]}?" if close else f"It knows {', '.join(self._rows)}."

    def documented(self, *before: Mapping[str, Any]) -> dict[str, Any]:
        """For ``openapi_extra``: these parameters after those of ``before`` (of the path, of the header)."""
        return {"parameters": [*before, *(_documented(row) for row in self._rows.values())]}


def _read(row: Parameter, text: str) -> Any:
    try:
        return row.read(text)
    except ValueError as error:
        raise InvalidRequest("this cannot be read", where=f"parameter {row.name}", cure=f"Write {error}.") from None


def _documented(row: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": dict(row.schema)} if row.many else dict(row.schema)
    return {"name": row.name, "in": "query", "description": row.says, "schema": schema}


# Readers: a value or a ValueError that says what to write.

_WHEN = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?", re.ASCII)
WHEN: Schema = {"type": "string", "examples": ["2026-02-03", "2026-02-03T14:00:00Z"]}
_WRITE_WHEN = "a day such as 2026-02-03, or a time with its offset such as 2026-02-03T14:00:00Z"


def moment(text: str) -> datetime:
    """A time with its offset; of a day its first instant in Europe/London."""
    text = text.replace(" ", "+")  # what an offset's plus sign becomes in a query that was not encoded
    if not _WHEN.fullmatch(text):
        raise ValueError(_WRITE_WHEN)
    try:
        if len(text) == 10:
            return first_instant(date.fromisoformat(text))
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_WRITE_WHEN) from None


def first_instant(day: date) -> datetime:
    """The first instant of ``day`` in Europe/London."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


_PART = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_WRITE_PART = "a year, a month, a day or a time, such as 2026, 2026-02, 2026-02-03 or 2026-02-03T14:00:00Z"


def first_of(text: str) -> datetime:
    """The first instant of the year, month or day, or the time itself."""
    return _period(text)[0]


def end_of(text: str) -> datetime:
    """The first instant after the year, month or day, or the time itself: the end of a range that includes its last day."""
    return _period(text)[1]


def _period(text: str) -> tuple[datetime, datetime]:
    part = _PART.fullmatch(text)
    if part is None:
        at = moment(text)
        return at, at
    year, month, day = (int(number or 1) for number in part.groups())
    try:
        first = date(year, month, day)
        return first_instant(first), first_instant(_following(first, part.lastindex or 1))
    except (ValueError, OverflowError):
        raise ValueError(_WRITE_PART) from None


def _following(first: date, parts: int) -> date:
    """The day after a period that begins at ``first``: a year (one part), a month or a day."""
    if parts == 1:
        return first.replace(year=first.year + 1)
    if parts == 2:
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=1)


def whole(least: int, most: int) -> Read:
    """A whole number between the two."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def one_of(words: Iterable[str]) -> Read:
    """One of a few words."""
    known = frozenset(words)
    listed = ", ".join(sorted(known))

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {listed}")
        return text

    return read


def matching(pattern: str, write: str) -> Read:
    """Text of a pattern; ``write`` says of which."""
    compiled = re.compile(pattern, re.ASCII)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(write)
        return text

    return read


# Parameters in the path.


class InPath(NamedTuple):
    """One segment of the path that stands for something."""

    name: str
    pattern: str
    says: str

    def read(self, request: Request) -> str:
        """The segment. Raises `NotFound` when it cannot be the name of anything."""
        text: str = request.path_params[self.name]
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise NotFound(f"nothing can have such an id: {self.says}", where=f"path, {self.name}")
        return text

    def documented(self) -> dict[str, Any]:
        schema = {"type": "string", "pattern": f"^{self.pattern}$"}
        return {"name": self.name, "in": "path", "required": True, "description": self.says, "schema": schema}


CURSOR = matching(r"[A-Za-z0-9_\-.~=:]{1,512}", "the `next` of the page before, unchanged")
"""Opaque: made and understood by the query it came from."""
