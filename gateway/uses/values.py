"""The kinds of values a parameter may have: how each is read, and how it is described. A ``ValueError`` says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import GetCoreSchemaHandler, PlainValidator

LONDON = ZoneInfo("Europe/London")
"""A day begins and ends there, as the events' days do."""


@dataclass(frozen=True, eq=False)
class ValueKind:
    """One kind of value: in a pydantic model's ``Annotated`` type it reads the field, and describes it."""

    read: Callable[[str], Any]
    """From text; a ``ValueError`` says what to write instead and never repeats the text."""
    schema: Mapping[str, Any]
    """JSON Schema of the text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return PlainValidator(self.read).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        return dict(self.schema)


def text(pattern: str, write: str) -> ValueKind:
    """Text of a pattern; ``write`` says of which."""
    compiled = re.compile(pattern, re.ASCII)

    def read(sent: str) -> str:
        if not compiled.fullmatch(sent):
            raise ValueError(write)
        return sent

    return ValueKind(read, {"type": "string", "pattern": f"^{pattern}$"})


_DIGITS_MOST = 9
"""A number of more digits is over every limit here: it need not be made."""


def whole(least: int, most: int, *, cut: bool = False) -> ValueKind:
    """A whole number between the two; with ``cut`` a greater one is taken for the greatest."""

    def read(sent: str) -> int:
        long = cut and len(sent) > _DIGITS_MOST
        if not (sent.isascii() and sent.isdigit() and (long or len(sent) <= _DIGITS_MOST)):
            raise ValueError(f"a whole number from {least} to {most}")
        number = most if long else int(sent)
        if number < least or (number > most and not cut):
            raise ValueError(f"a whole number from {least} to {most}")
        return min(number, most)

    limits = {"minimum": least} if cut else {"minimum": least, "maximum": most}
    return ValueKind(read, {"type": "integer", **limits})


def one_of(words: Iterable[str]) -> ValueKind:
    """One of a few words."""
    known = [str(word) for word in words]

    def read(sent: str) -> str:
        if sent not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return sent

    return ValueKind(read, {"type": "string", "enum": known})


_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_AT = rf"{_DAY}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})"
_MOMENT = re.compile(rf"{_DAY}|{_AT}")
_PERIOD = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_WRITE_MOMENT = "a day such as 2026-02-03, or a time with its offset such as 2026-02-03T14:00:00Z"
_WRITE_PERIOD = "a year, a month, a day or a time, such as 2026, 2026-02, 2026-02-03 or 2026-02-03T14:00:00Z"


def moment(sent: str) -> datetime:
    """A time with its offset; of a day its first instant in Europe/London."""
    sent = sent.replace(" ", "+")  # what an offset's plus sign becomes in a query that was not encoded
    if not _MOMENT.fullmatch(sent):
        raise ValueError(_WRITE_MOMENT)
    try:
        if len(sent) == 10:
            return _first_instant(date.fromisoformat(sent))
        return datetime.fromisoformat(sent).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_WRITE_MOMENT) from None


def first_of(sent: str) -> datetime:
    """The first instant of the year, month or day, or the time itself."""
    return _period(sent)[0]


def end_of(sent: str) -> datetime:
    """The first instant after the year, month or day, or the time itself: the end of a range that includes its last day."""
    return _period(sent)[1]


def _period(sent: str) -> tuple[datetime, datetime]:
    part = _PERIOD.fullmatch(sent)
    if part is None:
        at = moment(sent)
        return at, at
    year, month, day = (int(number or 1) for number in part.groups())
    try:
        first = date(year, month, day)
        return _first_instant(first), _first_instant(_following(first, part.lastindex or 1))
    except (ValueError, OverflowError):
        raise ValueError(_WRITE_PERIOD) from None


def _following(first: date, parts: int) -> date:
    """The day after a period that begins at ``first``: a year (one part), a month or a day."""
    if parts == 1:
        return first.replace(year=first.year + 1)
    if parts == 2:
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=1)


def _first_instant(day: date) -> datetime:
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


_MOMENT_SCHEMA = {"type": "string", "pattern": f"^({_DAY}|{_AT})$", "examples": ["2026-02-03", "2026-02-03T14:00:00Z"]}
_PERIOD_SCHEMA = {"type": "string", "pattern": f"^([0-9]{{4}}(-[0-9]{{2}}){{0,2}}|{_AT})$", "examples": ["2026", "2026-02-03"]}
MOMENT = ValueKind(moment, _MOMENT_SCHEMA)
FIRST_OF = ValueKind(first_of, _PERIOD_SCHEMA)
"""The beginning of a range."""
END_OF = ValueKind(end_of, _PERIOD_SCHEMA)
"""The end of a range that includes its last day."""
CURSOR = text(r"[A-Za-z0-9_.~=:-]{1,8192}", "the `next` of the page before, unchanged")
"""Opaque: made and understood by the query it came from."""
SOURCE = text("[a-z0-9-]{1,64}", "the id of a declared source")
