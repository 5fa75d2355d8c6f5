"""Reads HL7 v2 dates and times, of every precision and in every notation that NHS systems use.

A time without an offset is local time in Europe/London. Twice a year that is ambiguous or impossible:

* in the hour that occurs twice in October, the first occurrence is meant (summer time), unless an offset says otherwise;
* a time in the hour that is skipped in March is read as if the clocks had not gone forward: 01:30 is the instant that London
  calls 02:30. It is flagged, because the sender's clock was wrong.

Source: HL7 v2.4 §2.8.46 (TS); The Summer Time Order 2002.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from adapters.hl7v2.text.memory import remembered
from schemas.event import Precision

LONDON = ZoneInfo("Europe/London")
EARLIEST_YEAR = 1850
LATEST_YEAR = 2199
"""No living or recently deceased person has a date outside these years; many systems write 0000, 0001 or 9999 for "unknown"."""

_USUAL = {8: Precision.DAY, 12: Precision.MINUTE, 14: Precision.SECOND}
"""Number of digits to precision, for almost all dates and times."""
_WRITTEN = re.compile(
    r"(\d{4})(?:-?(\d{2})(?:-?(\d{2})(?:[T ]?(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?)?)?)?"
    r"\+?\s*(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?",
    re.ASCII,
)
"""``YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+/-ZZZZ]``; also with the hyphens, blanks and colons of ISO 8601, which some systems write
(``2025-05-05 23:23:28``), and with a ``+`` that no offset follows (``19760121+``). Linear: every piece is of fixed length."""
_PRECISION = (Precision.YEAR, Precision.MONTH, Precision.DAY, Precision.MINUTE, Precision.MINUTE, Precision.SECOND)
"""Precision by the number of parts written: the year only, year and month, and so on. FHIR has no time without minutes."""
_STARTS = (1, 1, 1, 0, 0, 0)
"""Defaults for parts that are not written: year, month, day, hour, minute, second."""
_WIDTH = {Precision.YEAR: 4, Precision.MONTH: 7, Precision.DAY: 10}
_GOES_FORWARD = range(2, 6)
"""Months in which London's clocks have ever gone forward."""
_CHANGES_BEFORE = 4
"""London's clocks have only ever been changed before this hour; from then on, a day has a single offset."""
_CLOCK_EPOCH = datetime(2000, 1, 1)
_EPOCH = _CLOCK_EPOCH.replace(tzinfo=UTC)
"""Adding the difference to this makes a time aware, which is quicker than ``replace``."""


class Moment:
    """One time as sent."""

    __slots__ = ("_fhir", "_utc", "ahead", "local", "missing_hour", "precision")

    def __init__(self, local: datetime, ahead: timedelta, precision: Precision, missing_hour: bool = False) -> None:
        self.local = local
        """London local time, naive; of a day, month or year its first instant."""
        self.ahead = ahead
        """How far that clock is ahead of UTC."""
        self.precision = precision
        self.missing_hour = missing_hour
        """It was written as a time in the hour that is skipped in March."""
        self._fhir = self._utc = ""

    @property
    def at(self) -> datetime:
        """As an aware ``datetime`` in UTC."""
        return _EPOCH + (self.local - _CLOCK_EPOCH - self.ahead)

    @property
    def utc(self) -> str:
        """As RFC 3339 in UTC with milliseconds, so that text order is time order."""
        if not self._utc:
            text = (self.local - self.ahead).isoformat()
            self._utc = f"{text[:23]}Z" if len(text) > 19 else f"{text}.000Z"
        return self._utc

    def day_if_midnight(self) -> Moment:
        """Only the day if the time is midnight, which then stands for an unknown time; else unchanged."""
        known = self.precision in _WIDTH or self.local.time() != time.min
        return self if known else Moment(self.local, self.ahead, Precision.DAY)

    @property
    def date(self) -> str:
        """As a FHIR ``date``: a year, a month or a day."""
        return self.local.isoformat()[: _WIDTH.get(self.precision, 10)]

    @property
    def fhir(self) -> str:
        """As a FHIR ``dateTime`` of its precision, with London's offset at that time."""
        if not self._fhir:
            width = _WIDTH.get(self.precision)
            text = self.local.isoformat()
            self._fhir = text[:width] if width else f"{text[:23]}+{self.ahead.seconds // 3600:02d}:00"
        return self._fhir


@remembered(4096)
def moment(text: str) -> Moment | None:
    """The time in ``text``, or ``None`` if it is not a time, or its year is implausible.

    Cached, because a message repeats the same few times.
    """
    precision = _USUAL.get(len(text))
    try:
        if precision and text.isdigit():
            local = datetime.fromisoformat(f"{text[:8]}T{text[8:]}" if len(text) > 8 else text)
            return _placed(local, precision, None)
        return _unusual(text)
    except ValueError:
        return None


def _unusual(text: str) -> Moment | None:
    """A time in a less usual notation. Raises ``ValueError`` on an impossible date such as the 31st of February."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return None
    *parts, fraction, offset = written.groups()
    year, month, day, hour, minute, second = (int(part or start) for part, start in zip(parts, _STARTS, strict=True))
    local = datetime(year, month, day, hour, minute, second, int((fraction or "")[:6].ljust(6, "0")))
    return _placed(local, _PRECISION[5 - parts.count(None)], offset)


def _placed(local: datetime, precision: Precision, offset: str | None) -> Moment | None:
    if not EARLIEST_YEAR <= local.year <= LATEST_YEAR:
        return None
    if offset is not None and precision not in _WIDTH:
        return _in_london(local - _ahead(offset), precision)
    if local.hour >= _CHANGES_BEFORE:
        return Moment(local, _by_day(local.toordinal()), precision)
    ahead = _london(local)
    if local.month in _GOES_FORWARD:
        there = _in_london(local - ahead, precision)
        there.missing_hour = there.local != local
        return there
    return Moment(local, ahead, precision)


def _london(local: datetime) -> timedelta:
    """London's offset: summer time in the hour that occurs twice, winter time in the hour that is skipped."""
    return local.replace(tzinfo=LONDON).utcoffset() or timedelta()


@remembered(1024)
def _by_day(ordinal: int) -> timedelta:
    """London's offset from `_CHANGES_BEFORE` o'clock on. Cached, because the messages of an hour are about few days."""
    return _london(datetime.fromordinal(ordinal) + timedelta(hours=_CHANGES_BEFORE))


def _in_london(utc: datetime, precision: Precision) -> Moment:
    there = utc.replace(tzinfo=UTC).astimezone(LONDON)
    return Moment(there.replace(tzinfo=None, fold=0), there.utcoffset() or timedelta(), precision)


def _ahead(offset: str) -> timedelta:
    if offset == "Z":
        return timedelta()
    digits = offset.replace(":", "")
    ahead = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return -ahead if digits[0] == "-" else ahead
