"""What to do about an error while records are applied: a table of error and attempt. Pure.

An engine's trouble passes and is waited for; a record's trouble never passes and is set aside. To confuse the two would stop
everything for one bad record, or drop good records for one full disk.
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
    """Raise: whoever runs the projection opens the engines anew."""
    SPLIT = "split"
    """Apply the records in smaller lots, down to the one at fault."""
    PARK = "park"
    """Note the record as one that cannot be applied, and go on."""


class Decision(NamedTuple):
    """A remedy, and how long to wait before it."""

    remedy: Remedy
    wait: timedelta = timedelta()


class Rule(NamedTuple):
    """What to do about one kind of error. The first rule whose kind it is holds."""

    error: type[Exception]
    tries: int
    """So often the same records are applied again before ``then``."""
    then: Remedy


RULES = (
    Rule(PositionLost, 0, Remedy.GIVE_UP),  # another owner does the work now
    Rule(EngineUnavailable, 5, Remedy.GIVE_UP),  # a deadlock is gone at the second try; an engine that starts anew is not
    Rule(sqlite3.IntegrityError, 0, Remedy.PARK),  # SQLite has one writer: nobody else wrote at the time
    Rule(IntegrityError, 3, Remedy.PARK),  # two processes wrote the first of something at a time: one of them sees it next time
    Rule(MemoryError, 0, Remedy.GIVE_UP),  # says nothing of the record
    Rule(Exception, 0, Remedy.PARK),
)
"""Kind of error → remedy, the special before the general."""

FIRST_WAIT = timedelta(milliseconds=20)
"""Before the second try; doubled each time."""


def decide(error: Exception, attempt: int, records: int) -> Decision:
    """The remedy for ``error`` at the ``attempt``-th try (from 1) to apply so many records."""
    rule = next(rule for rule in RULES if isinstance(error, rule.error))
    if attempt < rule.tries:
        return Decision(Remedy.AGAIN, FIRST_WAIT * 2 ** (attempt - 1))
    return Decision(Remedy.SPLIT if rule.then is Remedy.PARK and records > 1 else rule.then)
