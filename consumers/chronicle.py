"""The order of what one source says across its facts: for what is known of a person or a stay, whichever fact told it.

The versions of *one* fact have an order of their own, `schemas.event.Event.order`. Across facts:

* A sequence of one part (the date of an extract, a version number) orders everything its source says.
* A sequence of several parts with ``/`` between them does so only within a fact: HL7 v2 has two times, when it was so and when
  that was written down, and which comes first differs from fact to fact. Across facts the two are told apart again.

Nothing here depends on arrival, but for the last resort between equals: the place in the log.
"""

from __future__ import annotations

from schemas.event import Event

_PARTS = 2
"""Of a sequence that are times; what follows is a number that tells equals apart."""


def written(order: str) -> str:
    """When the source wrote down what it says, of its event's `order`.

    Orders what repeats what: a ward clerk who enters at noon that somebody moved at nine has told nothing new to those who
    read at eleven.
    """
    return max(order.split("/")[:_PARTS])


def valid(event: Event) -> str:
    """From when on what it shows was so; of one time, what was written down last.

    Orders which of two statements about a person holds: an old one sent again late does not undo a new one.
    """
    order = event.order
    return f"{event.time}/{written(order)}" if "/" in order else order
