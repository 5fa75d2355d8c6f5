"""The port of every format: bytes of one source in, events and rejections out.

A translator is pure: no clock, no socket, no file of its own, the same output from the same input. It never raises on input:
what cannot be translated is a `Rejection` with the item's raw bytes, and the items around it are not held up by it.

It works in a stream, so that a million rows need no more memory than one. A whole that must not be taken in part (a file cut
short, a sheet with duplicate columns) is refused by one `Item` whose rejection has ``whole=True``, given out **before** any
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from schemas.errors import RejectedInput
from schemas.event import Event
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source


class Arrival(NamedTuple):
    """The circumstances of one piece of content, given to the translator."""

    source: Source
    received_at: datetime
    """Aware UTC; becomes the events' ``recordedtime``."""
    pseudonyms: Pseudonyms
    traceparent: str = ""


class Rejection(NamedTuple):
    """Why an item was not translated, and the bytes to try again with."""

    error: RejectedInput
    content: bytes
    """Raw and complete: translating it alone gives the same verdict (a row carries its header row). Empty when ``whole``."""
    whole: bool = False
    """The content as a whole was refused: no other item follows."""


class Item(NamedTuple):
    """One unit of success or rejection: a message, a row, a Bundle entry."""

    position: str
    """Where it stood: ``message``, ``line 12``, ``entry 3``."""
    events: tuple[Event, ...] = ()
    """Empty together with no rejection: the item says nothing to record (a blank row, a row no ``when`` wants)."""
    rejection: Rejection | None = None
    flags: tuple[str, ...] = ()
    """Taken in, but deserves a look: a stable code and a position, for example ``nhs-number-invalid at PID-3``."""


class Field(NamedTuple):
    """One field of the input, for the dry run: what the output owes to it is found by leaving it out."""

    name: str
    """``PID-5``, ``column "Person Id"``."""
    without: bytes
    """The same content with this field empty."""
    value: str = ""
    """What it says; ``""`` where nothing else can be put in its place."""
    saying: Callable[[str], bytes] | None = None
    """The same content with something else in this field: what the output owes to a field that may not be left out."""


class Translator(Protocol):
    """One format, or one source system's mapping."""

    version: str
    """Part of every event id: another version of the translation makes other events of the same input."""

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content`` (seekable, at its start), in input order. Never raises on input."""
        ...

    def fields(self, content: bytes) -> Iterator[Field]:
        """The fields of the first item in ``content``, for `adapters.explain`. Empty when it cannot be read."""
        ...
