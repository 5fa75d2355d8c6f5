"""Context for reading one message: the message, its source, the rules for its times, and the flags raised so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from adapters.hl7v2.content.site import Site
from adapters.hl7v2.text.message import Message, Segment
from adapters.hl7v2.text.syntax import Syntax
from adapters.hl7v2.text.times import Moment, moment
from adapters.translator import Arrival
from schemas.errors import InvalidValue

FUTURE_FROM = timedelta(days=2)
"""A time counts as in the future from this long after the start of the day of receipt; the extra day covers any mistake about
time zones. It is counted from the day and not from the instant of receipt, so that a value cached today holds all day."""


class Action(Enum):
    """What is done about a time that cannot be right."""

    REJECT = auto()
    """Reject the message, which is kept."""
    LEAVE_OUT = auto()
    """Flag it, and treat the field as omitted."""
    KEEP = auto()
    """Flag it, and use it."""
    USE = auto()
    """Use it without a flag."""


class TimeRule(NamedTuple):
    """What is done about an impossible or a future date or time in a field."""

    impossible: Action
    """It is not a date or time: the 31st of February, the year 0000 or 9999, text."""
    future: Action
    """It is after the day that follows the day of receipt."""


TIME_RULES: Mapping[str, TimeRule] = MappingProxyType(
    {
        "EVN-6": TimeRule(Action.REJECT, Action.KEEP),  # when it happened: an event at the wrong place of a timeline misleads
        "EVN-2": TimeRule(Action.LEAVE_OUT, Action.KEEP),
        "MSH-7": TimeRule(Action.LEAVE_OUT, Action.KEEP),
        "PV1-44": TimeRule(Action.LEAVE_OUT, Action.KEEP),
        "PV1-45": TimeRule(Action.LEAVE_OUT, Action.KEEP),
        "EVN-3": TimeRule(Action.LEAVE_OUT, Action.USE),
        "PV2-8": TimeRule(Action.LEAVE_OUT, Action.USE),
        "PV2-9": TimeRule(Action.LEAVE_OUT, Action.USE),
        "ZU1-24": TimeRule(Action.LEAVE_OUT, Action.USE),
        "PID-7": TimeRule(Action.LEAVE_OUT, Action.LEAVE_OUT),  # nobody may be matched on an impossible date of birth
        "PID-29": TimeRule(Action.LEAVE_OUT, Action.LEAVE_OUT),  # nobody may be called dead by mistake
    }
)
"""By field. A time that is wrong may be left out, but is never guessed."""


@lru_cache(maxsize=8)
def latest(day: date) -> datetime:
    """The London time from which a time in a message received on ``day`` counts as in the future."""
    return datetime(day.year, day.month, day.day) + FUTURE_FROM


class Reading:
    """A message with what is needed to read it: its arrival, what is shared by the messages of its source, and its flags."""

    __slots__ = ("arrival", "flags", "latest", "message", "site", "syntax")

    def __init__(self, message: Message, arrival: Arrival, site: Site) -> None:
        self.message = message
        self.syntax: Syntax = message.syntax
        self.arrival = arrival
        self.site = site
        self.flags = list(message.flags)
        self.latest = latest(arrival.received_at.date())

    def flag(self, code: str, where: str) -> None:
        """Add a flag, once: something at ``where`` deserves a look."""
        self.add_flags((f"{code} at {where}",))

    def add_flags(self, flags: Iterable[str]) -> None:
        """Add those of ``flags`` that are not there yet."""
        self.flags += [flag for flag in flags if flag not in self.flags]

    def time(self, sent: str, where: str) -> Moment | None:
        """The time in the field ``where``; ``None`` if it is omitted, deleted or, by `TIME_RULES`, left out.

        Raises `InvalidValue` where `TIME_RULES` rejects the message.
        """
        if not sent:
            return None
        text = sent if sent.isdigit() else self.syntax.first(sent)  # almost every time is only digits, which need no splitting
        if not text:
            return None
        found = moment(text)
        rule = TIME_RULES[where]
        if found is None:
            return self._wrong("time-invalid", where, rule.impossible, None)
        if found.missing_hour:
            self.flag("time-in-missing-hour", where)
        if rule.future is not Action.USE and found.local >= self.latest:
            return self._wrong("time-in-future", where, rule.future, found)
        return found

    def died(self, pid: Segment) -> Moment | None:
        """When the person of ``pid`` died (PID-29). Midnight counts as unknown, because many systems fill up a date with it."""
        died = self.time(pid.fields[29], "PID-29")
        return died and died.day_if_midnight()

    def _wrong(self, code: str, where: str, action: Action, found: Moment | None) -> Moment | None:
        if action is Action.REJECT:
            raise InvalidValue("it is not a date or time that can be right", where=where)
        self.flag(code, where)
        return found if action is Action.KEEP else None
