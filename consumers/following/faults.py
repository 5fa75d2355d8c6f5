"""What to do about an error while applying records: a table by kind of error and number of attempts. Pure.

Trouble with an engine passes, and is waited for; trouble with a record never passes, and the record is set aside. Confusing
the two would stop everything for one bad record, or drop good records because of one full disk.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError

from schemas.errors import EngineUnavailable, PositionLost


class Remedy(StrEnum):
    """What to do."""

    AGAIN = "again"
    """Wait, then apply the same records again."""
    GIVE_UP = "give-up"
    """Raise: whoever runs the projection reopens the engines."""
    SPLIT = "split"
    """Apply the records in smaller lots, down to the one at fault."""
    PARK = "park"
    """Note that the record cannot be applied, and go on."""


class Decision(NamedTuple):
    """A remedy, and how long to wait before it."""

    remedy: Remedy
    wait: timedelta = timedelta()


class FaultRule(NamedTuple):
    """What to do about one kind of error. The first rule that matches the error counts."""

    error: type[Exception]
    tries: int
    """How many times the same records are applied again before ``then``."""
    then: Remedy


RULES = (
    FaultRule(PositionLost, 0, Remedy.GIVE_UP),  # another owner has the work now
    FaultRule(
        EngineUnavailable, 5, Remedy.GIVE_UP
    ),  # a deadlock is gone at the second try; an engine that is restarting is not
    FaultRule(sqlite3.IntegrityError, 0, Remedy.PARK),  # SQLite has one writer: nobody else wrote at the time
    FaultRule(
        IntegrityError, 3, Remedy.PARK
    ),  # two processes wrote the first of something at once: one of them sees it next time
    FaultRule(MemoryError, 0, Remedy.GIVE_UP),  # says nothing of the record
    FaultRule(Exception, 0, Remedy.PARK),
)
"""Kind of error → remedy, the specific before the general."""

FIRST_WAIT = timedelta(milliseconds=20)
"""Wait before the second try; doubled each time."""


def decide(error: Exception, attempt: int, records: int) -> Decision:
    """The remedy for ``error`` at the ``attempt``-th try (counted from 1) to apply ``records`` records."""
    rule = next(rule for rule in RULES if isinstance(error, rule.error))
    if attempt < rule.tries:
        return Decision(Remedy.AGAIN, FIRST_WAIT * 2 ** (attempt - 1))
    return Decision(Remedy.SPLIT if rule.then is Remedy.PARK and records > 1 else rule.then)
