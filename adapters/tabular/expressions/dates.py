"""Dates and times as people and spreadsheets in the United Kingdom write them: day first, in Europe/London.

What is read keeps its precision: a day stays a day, a month a month. Results are FHIR ``date`` and ``dateTime`` texts.

Decided: a year of two digits is refused, for it may be of either century (a birth in 25 is a baby's or a centenarian's); of the
hour that October repeats the first is meant; a time in the hour that March skips is moved forward by it; a time without
seconds, or with none but zeros, is known to the minute.

Source: FHIR R4 §2.24.0.1 (date, dateTime); ECMA-376 part 1 §18.17.4.1 (serial dates); the tz database (Europe/London).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.event import Precision

LONDON = ZoneInfo("Europe/London")
YEAR_LEAST, YEAR_MOST = 1850, 2199
"""Nobody in a record was born before, nothing in one happens after: outside it is a slip of the keyboard."""

LENGTH_MOST = 50
"""Characters of the longest date anybody writes, and a bound on the work of the patterns below."""

SERIAL_EPOCH = date(1899, 12, 30)
"""Day 0 of a spreadsheet's serial dates from 1 March 1900 on (before it they count a 29 February 1900 that never was)."""

_MONTHS = {
    name[:length]: number
    for number, name in enumerate(
        (
            *("january", "february", "march", "april", "may", "june"),
            *("july", "august", "september", "october", "november", "december"),
        ),
        1,
    )
    for length in (3, len(name))
} | {"sept": 9}

_DAY_WORD = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_ORDINAL = r"(?:st|nd|rd|th)?"

_UK = re.compile(r"(\d{1,2})[/.\- ](\d{1,2})[/.\- ](\d{4})", re.ASCII)
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", re.ASCII)
_WORDED = re.compile(
    rf"{_DAY_WORD}(\d{{1,2}}){_ORDINAL}[\s\-/]+(?:of\s+)?([a-z]{{3,9}})\.?,?[\s\-/]+(\d{{4}})", re.ASCII | re.IGNORECASE
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_ISO_MONTH = re.compile(r"(\d{4})-(\d{1,2})", re.ASCII)
_UK_MONTH = re.compile(r"(\d{1,2})[/\-](\d{4})", re.ASCII)
_WORDED_MONTH = re.compile(r"([a-z]{3,9})\.?,?[\s\-/]+(\d{4})", re.ASCII | re.IGNORECASE)
_YEAR = re.compile(r"(\d{4})", re.ASCII)
_SERIAL = re.compile(r"(\d{5})(\.\d{1,12})?", re.ASCII)
_TWO_DIGIT_YEAR = re.compile(r"\d{1,2}[/.\- ](?:\d{1,2}|[a-z]{3,9})[/.\- ]\d{2}", re.ASCII | re.IGNORECASE)

_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2})(?:[:.](\d{2})(\.\d{1,9})?)?)?\s*([ap]\.?m\.?)?", re.ASCII | re.IGNORECASE)
_MILITARY = re.compile(r"([01]\d|2[0-3])([0-5]\d)(?:hrs?|h)?", re.ASCII | re.IGNORECASE)
_FRACTION = re.compile(r"0?\.\d{1,17}|0", re.ASCII)
_STAMP = re.compile(
    r"(.*?\d{4}|\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{8})(?:[T,]\s*|\s+(?:at\s+)?)(\S+(?:\s*[ap]\.?m\.?)?)", re.ASCII | re.IGNORECASE
)
_ZONE = re.compile(r"(.*\d)\s*(Z|[+-]\d{2}:?\d{2})", re.ASCII | re.IGNORECASE)


class ImpossibleError(ValueError):
    """A value that cannot be what it stands for. The message is a reason without the value."""


@lru_cache(maxsize=16_384)
def day(text: str) -> str:
    """The day, month or year in ``text``: ``2026-02-03``, ``2026-02`` or ``2026``. Of a date with a time, its day in London.

    Raises `ImpossibleError`.
    """
    if len(text) > LENGTH_MOST:
        raise ImpossibleError("is not a date")
    match = _UK.fullmatch(text)
    if match:
        return _written(int(match[3]), int(match[2]), int(match[1]))
    match = _ISO.fullmatch(text)
    if match:
        return _written(int(match[1]), int(match[2]), int(match[3]))
    for pattern, read in _DAYS:
        match = pattern.fullmatch(text)
        if match:
            return read(match)
    if _TWO_DIGIT_YEAR.fullmatch(text):
        raise ImpossibleError("is a date with a year of two digits, which may be of either century")
    if _STAMP.fullmatch(text):
        return _london(moment(text))
    raise ImpossibleError("is not a date")


def _written(year: int, month: int, day_of_month: int | None = None) -> str:
    if not YEAR_LEAST <= year <= YEAR_MOST:
        raise ImpossibleError("is a date too far from today")
    if not 1 <= month <= 12:
        raise ImpossibleError("is a date with no such month: the day comes first")
    if day_of_month is None:
        return f"{year:04}-{month:02}"
    if not 1 <= day_of_month <= 31 or (day_of_month > 28 and day_of_month > _length(year, month)):
        raise ImpossibleError("is a date that does not exist")
    return f"{year:04}-{month:02}-{day_of_month:02}"


def _length(year: int, month: int) -> int:
    return ((date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day


def _month(word: str) -> int:
    number = _MONTHS.get(word.lower())
    if number is None:
        raise ImpossibleError("is a date with no such month")
    return number


def _year(match: re.Match[str]) -> str:
    return _written(int(match[1]), 1)[:4]


def _serial_day(match: re.Match[str]) -> str:
    return (SERIAL_EPOCH + timedelta(days=int(match[1]))).isoformat()


_DAYS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_WORDED, lambda match: _written(int(match[3]), _month(match[2]), int(match[1]))),
    (_COMPACT, lambda match: _written(int(match[1]), int(match[2]), int(match[3]))),
    (_ISO_MONTH, lambda match: _written(int(match[1]), int(match[2]))),
    (_UK_MONTH, lambda match: _written(int(match[2]), int(match[1]))),
    (_WORDED_MONTH, lambda match: _written(int(match[2]), _month(match[1]))),
    (_YEAR, _year),
    (_SERIAL, _serial_day),
)
"""What is tried, in this order, when neither of the two commonest forms fits."""


def moment(text: str, time: str = "") -> str:
    """The instant of the date and time in ``text`` (or in both) as ``2026-02-03T10:30:00Z``; a date alone stays one.

    Raises `ImpossibleError`.
    """
    if len(text) > LENGTH_MOST or len(time) > LENGTH_MOST:
        raise ImpossibleError("is not a date with a time")
    if not time:
        match = _SERIAL.fullmatch(text)
        if match and match[2]:
            return _instant(_serial_day(match), _clock_of_fraction(float(match[2])))
        stamp = _STAMP.fullmatch(text)
        if not stamp:
            if ":" in text:
                raise ImpossibleError("is not a date with a time")
            return day(text)
        text, time = stamp[1], stamp[2]
    on = day(text)
    if len(on) < 10:
        raise ImpossibleError("is a time without its day")
    return _zoned(on, time)


def _zoned(on: str, time: str) -> str:
    zone = _ZONE.fullmatch(time)
    if not zone:
        return _instant(on, _clock(time))
    clock = _clock(zone[1].strip())
    offset = "+00:00" if zone[2] in "Zz" else zone[2]
    try:
        aware = datetime.fromisoformat(f"{on}T00:00:00{offset}") + clock
    except ValueError:
        raise ImpossibleError("is a time with an offset that no place has") from None
    return _utc(aware)


def _clock(text: str) -> timedelta:
    """The time of day in ``text``, since midnight."""
    match = _MILITARY.fullmatch(text)
    if match:
        return timedelta(hours=int(match[1]), minutes=int(match[2]))
    if _FRACTION.fullmatch(text):
        return _clock_of_fraction(float(text))
    match = _TIME.fullmatch(text)
    if not match or (match[2] is None and match[5] is None):
        raise ImpossibleError("is not a time")
    hour, minute, second = _hour(int(match[1]), match[5]), int(match[2] or 0), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ImpossibleError("is a time that does not exist")
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(float(match[4] or 0) * 1_000_000))


def _hour(hour: int, half: str | None) -> int:
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ImpossibleError("is a time that does not exist")
    return hour % 12 + (12 if half[0] in "pP" else 0)


def _clock_of_fraction(fraction: float) -> timedelta:
    """Spreadsheets keep a time as a part of a day; a millisecond is the most their number can tell."""
    return min(timedelta(milliseconds=round(fraction * 86_400_000)), timedelta(days=1, milliseconds=-1))


def _instant(on: str, clock: timedelta) -> str:
    """``fold=0`` is the first of two equal times, and moves a time that March skips forward (PEP 495)."""
    year, month, day_of_month = int(on[:4]), int(on[5:7]), int(on[8:10])
    naive = datetime(year, month, day_of_month) + clock
    return _utc(naive.replace(tzinfo=LONDON, fold=0))


def _utc(aware: datetime) -> str:
    there = aware.astimezone(UTC)
    text = there.isoformat(timespec="milliseconds" if there.microsecond else "seconds")
    return text[:-6] + "Z"


def _london(text: str) -> str:
    """The day in London of an instant; a date as it is."""
    if len(text) <= 10:
        return text
    return datetime.fromisoformat(text).astimezone(LONDON).date().isoformat()


def precision(text: str) -> Precision:
    """How exactly a result of `day` or `moment` is known."""
    if len(text) <= 10:
        return _PRECISIONS[len(text)]
    return Precision.MINUTE if text[17:] == "00Z" else Precision.SECOND


_PRECISIONS = {4: Precision.YEAR, 7: Precision.MONTH, 10: Precision.DAY}


@lru_cache(maxsize=4096)
def happened_at(text: str) -> datetime:
    """The first instant of a result of `day` or `moment`, aware, in UTC.

    The days of a file's events are few and say nothing about a person: they are worth remembering.
    """
    if len(text) > 10:
        return datetime.fromisoformat(text)
    year, month, day_of_month = (*map(int, text.split("-")), 1, 1)[:3]
    return datetime(year, month, day_of_month, tzinfo=LONDON).astimezone(UTC)
