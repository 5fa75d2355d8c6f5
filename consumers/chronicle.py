"""Orders one source's statements across facts, for what is known about a person or a stay from all of them together.

The versions of *one* fact have an order of their own, `schemas.event.Event.order`. Across facts:

* A sequence of one part (the date of an extract, a version number) orders everything the source says.
* A sequence of several parts, joined by ``/``, does so only within a fact. HL7 v2 has two times, when something was so and
  when it was written down, and which of them comes first differs from fact to fact. Across facts the two are told apart again.

Nothing here depends on the order of arrival, except as the last resort between equals: the place in the log.
"""

from __future__ import annotations

from schemas.event import Event

_PARTS = 2
"""How many parts of a sequence are times; a number that tells equals apart may follow."""


def written(order: str) -> str:
    """When the source wrote down its statement, from its event's `order`.

    Decides what repeats what: a move at nine that a ward clerk enters at noon was not yet known to those who read at eleven.
    """
    return max(order.split("/")[:_PARTS])


def valid(event: Event) -> str:
    """From when on its statement held; between equal times, the one written down last is later.

    Decides which of two statements about a person holds: an old one that is sent again late does not undo a newer one.
    """
    order = event.order
    return f"{event.time}/{written(order)}" if "/" in order else order
