"""When the event of a message happened (EVN-6, not MSH-7), and the order of its version among those of the fact.

Source: HL7 v2.4 §3.3.1.2 (EVN-2 recorded), §3.3.1.6 (EVN-6 occurred); HSCIC ITK HL7 V2: both are required.
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.text.message import Segment
from adapters.hl7v2.text.times import Moment
from schemas.errors import InvalidValue

_NUMBER_WIDTH = 15
"""Digits MSH-13 may have (HL7 v2.4 §2.16.9.13), so that text order is number order."""


class When(NamedTuple):
    """The times of one message."""

    occurred: Moment | None
    """EVN-6."""
    happened: Moment
    """EVN-6, else the movement's own time (PV1-44, PV1-45), else EVN-2, else MSH-7."""
    recorded: Moment
    """EVN-2, else MSH-7, else when it happened."""
    number: str
    """MSH-13 if it is a number; it decides last."""

    def sequence(self, snapshot: bool) -> str:
        """A sort key for the versions of a fact, made of fixed-width parts.

        Movements are ordered by when they were recorded: a correction recorded later wins, whatever time it states, and so does
        a cancellation, whose EVN-6 is the time of the movement it cancels. Snapshots are ordered by when they were true: an old
        one that is sent again late does not replace a newer one.
        """
        occurred = (self.occurred or self.happened).utc
        first, second = (occurred, self.recorded.utc) if snapshot else (self.recorded.utc, occurred)
        return f"{first}/{second}/{self.number}" if self.number else f"{first}/{second}"


def when(own: Moment | None, reading: Reading) -> When:
    """The times of the message; ``own`` is the movement's own time.

    Raises `InvalidValue` when EVN-6 is not a time, or when no field says when it happened.
    """
    message = reading.message
    evn, msh = message.segment("EVN"), message.segment("MSH")
    occurred = reading.time(evn.fields[6], "EVN-6")
    recorded = reading.time(evn.fields[2], "EVN-2") or reading.time(msh.fields[7], "MSH-7")
    happened = occurred or own or recorded
    if happened is None:
        raise InvalidValue("neither EVN-6, EVN-2 nor MSH-7 says when it happened", where="EVN-6")
    return When(occurred, happened, recorded or happened, _number(msh))


def _number(msh: Segment) -> str:
    """MSH-13, or ``""`` if it is not a number of up to `_NUMBER_WIDTH` digits: HL7's -1, for example, only asks for one."""
    if not msh.fields[13]:
        return ""
    text = msh.text(13)
    return text.zfill(_NUMBER_WIDTH) if text.isascii() and text.isdigit() and 0 < len(text) <= _NUMBER_WIDTH else ""
