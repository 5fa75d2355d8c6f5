"""The port of all formats: turns bytes from one source into events and rejections.

A translator is pure: no clock, no socket, no file of its own, and the same output for the same input. It never raises on
input: whatever cannot be translated becomes a `Rejection` with the item's raw bytes, and does not affect the items around it.

It works as a stream, so that a million rows need no more memory than one. Content that must not be accepted in part (a file cut
short, a sheet with duplicate columns) is refused by a single `Item` whose rejection has ``whole=True``, yielded **before** any
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple, Protocol

from schemas.errors import RejectedInput
from schemas.event import Event
from schemas.pseudonyms import Pseudonyms
from schemas.source import NumbersAre, Source


class Arrival(NamedTuple):
    """What a translator is given besides the content."""

    source: Source
    received_at: datetime
    """Aware UTC; becomes the events' ``recordedtime``."""
    pseudonyms: Pseudonyms
    traceparent: str = ""


def as_read(version: str, source: Source) -> str:
    """The version of a translation for ``source``: how far its NHS numbers are trusted changes what comes out, too."""
    return version if source.nhs_numbers is NumbersAre.TRACED else f"{version} {source.nhs_numbers}"


class Rejection(NamedTuple):
    """Why an item was not translated, and the bytes to try again with."""

    error: RejectedInput
    content: bytes
    """Raw and complete: translated by itself it gives the same result (a row includes its header row). Empty when ``whole``."""
    whole: bool = False
    """The content as a whole was refused: no other item follows."""


class Item(NamedTuple):
    """The unit that is accepted or rejected: a message, a row, a Bundle entry."""

    position: str
    """Where it was in the content: ``message``, ``line 12``, ``entry 3``."""
    events: tuple[Event, ...] = ()
    """Empty without a rejection if the item has nothing to record (a blank row, a row that no ``when`` matches)."""
    rejection: Rejection | None = None
    flags: tuple[str, ...] = ()
    """Reasons to look at an accepted item, each a stable code and a position: ``nhs-number-invalid at PID-3``."""
    control: str = ""
    """HMAC of the sender's own id of the item, if it makes one event and a different event under the same id must be
    flagged."""


class Field(NamedTuple):
    """One field of the input, for the dry run, which leaves it out to find what in the output depends on it."""

    name: str
    """``PID-5``, ``column "Person Id"``."""
    without: bytes
    """The same content with this field empty."""
    value: str = ""
    """Its value; ``""`` if no other can be put in its place."""
    with_value: Callable[[str], bytes] | None = None
    """Makes the same content with another value in this field, for fields that must not be left out."""


class Translator(Protocol):
    """One format, or one source system's mapping."""

    version: str
    """Part of every event id, so that a new version of the translation makes new events from the same input."""

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content`` (seekable, at its start), in input order. Never raises on input."""
        ...

    def fields(self, content: bytes) -> Iterator[Field]:
        """The fields of the first item in ``content``, for `adapters.explain`; none when it cannot be read."""
        ...
