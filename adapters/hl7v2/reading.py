"""One message being read: what it says, for which source, and what was odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from adapters.hl7v2.message import Message, Segment
from adapters.hl7v2.site import Site
from adapters.hl7v2.syntax import Syntax
from adapters.hl7v2.times import Moment, moment
from adapters.translator import Arrival
from schemas.errors import InvalidValue

AHEAD = timedelta(days=2)
"""A time is in the future from so long after the beginning of the day of receipt: a day more covers every mistake of zones.
The day and not the moment of receipt decides, so that what was read of the same words today holds today."""


class Then(Enum):
    """What follows from a time that cannot be right."""

    REJECT = auto()
    """The message is rejected and kept."""
    LEAVE_OUT = auto()
    """Flagged; the field counts as omitted."""
    KEEP = auto()
    """Flagged, and believed."""
    FINE = auto()


class TimeRule(NamedTuple):
    """What follows from a date or time that cannot be."""

    impossible: Then
    """It is none: the 31st of February, the year 0000 or 9999, text."""
    future: Then
    """It is after the day after the message came."""


TIME_RULES: Mapping[str, TimeRule] = MappingProxyType(
    {
        "EVN-6": TimeRule(Then.REJECT, Then.KEEP),  # it says when: put elsewhere on a timeline, an event misleads
        "EVN-2": TimeRule(Then.LEAVE_OUT, Then.KEEP),
        "MSH-7": TimeRule(Then.LEAVE_OUT, Then.KEEP),
        "PV1-44": TimeRule(Then.LEAVE_OUT, Then.KEEP),
        "PV1-45": TimeRule(Then.LEAVE_OUT, Then.KEEP),
        "EVN-3": TimeRule(Then.LEAVE_OUT, Then.FINE),
        "PV2-8": TimeRule(Then.LEAVE_OUT, Then.FINE),
        "PV2-9": TimeRule(Then.LEAVE_OUT, Then.FINE),
        "ZU1-24": TimeRule(Then.LEAVE_OUT, Then.FINE),
        "PID-7": TimeRule(Then.LEAVE_OUT, Then.LEAVE_OUT),  # nobody is matched on a date of birth that cannot be
        "PID-29": TimeRule(Then.LEAVE_OUT, Then.LEAVE_OUT),  # nobody is called dead by a mistake
    }
)
"""By field. What says when something happened may be read past, never guessed."""


@lru_cache(maxsize=8)
def latest(day: date) -> datetime:
    """From when on, by London's clock, a time is in the future for what came on ``day``."""
    return datetime(day.year, day.month, day.day) + AHEAD


class Reading:
    """A message with what its reader needs: the source's words for things, and a place for flags."""

    __slots__ = ("arrival", "flags", "latest", "message", "site", "syntax")

    def __init__(self, message: Message, arrival: Arrival, site: Site) -> None:
        self.message = message
        self.syntax: Syntax = message.syntax
        self.arrival = arrival
        self.site = site
        self.flags = list(message.flags)
        self.latest = latest(arrival.received_at.date())

    def flag(self, code: str, where: str) -> None:
        """Note once that something deserves a look."""
        flag = f"{code} at {where}"
        if flag not in self.flags:
            self.flags.append(flag)

    def time(self, sent: str, where: str) -> Moment | None:
        """The time in the field ``where``; ``None`` when it is omitted, deleted or by `TIME_RULES` left out.

        Raises `InvalidValue` where the table says so.
        """
        if not sent:
            return None
        text = sent if sent.isdigit() else self.syntax.first(sent)  # digits are no delimiters, and almost every time is digits
        if not text:
            return None
        said = moment(text)
        rule = TIME_RULES[where]
        if said is None:
            return self._wrong("time-invalid", where, rule.impossible, None)
        if said.missing_hour:
            self.flag("time-in-missing-hour", where)
        if rule.future is not Then.FINE and said.said >= self.latest:
            return self._wrong("time-in-future", where, rule.future, said)
        return said

    def died(self, pid: Segment) -> Moment | None:
        """When the person of ``pid`` died (PID-29); many systems fill up the day with a midnight."""
        said = self.time(pid.fields[29], "PID-29")
        return said and said.day_if_midnight()

    def _wrong(self, code: str, where: str, then: Then, said: Moment | None) -> Moment | None:
        if then is Then.REJECT:
            raise InvalidValue("this date or time cannot be right", where=where)
        self.flag(code, where)
        return said if then is Then.KEEP else None
