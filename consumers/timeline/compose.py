"""Makes a version of an event: the entry as it is served, but for what its place among the other versions decides.

What is parsed of a payload is let go again at once: a batch that kept its thousand Bundles would spend half its time in the
garbage collector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from consumers.payload import kind_of, resources_in, resources_of
from consumers.place import place_of
from consumers.timeline.version import State, Version
from schemas.catalogue import CATALOGUE, EventType, Movement
from schemas.event import Event, Precision, decode, payload
from schemas.identifiers import SOURCE_URN
from schemas.log import Record
from schemas.resources.bundle import Resource
from schemas.sentence import MOVEMENT, title
from schemas.source import Source
from schemas.timeline import Status

LONDON = ZoneInfo("Europe/London")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = {Precision.YEAR: 4, Precision.MONTH: 7, Precision.DAY: 10}
"""Characters of an ISO 8601 date that are known."""

_TIE_BITS = 55
"""Of a tie that come from the event's id; the eight above them are the type's row in the catalogue."""
_ROW = {name: number << _TIE_BITS for number, name in enumerate(CATALOGUE)}

_TELLS: Mapping[str, tuple[str, ...]] = {"person-died-1": ("deceasedBoolean", "deceasedDateTime")}
"""Elements that count when such a statement is compared with another; the rest of its focus is told by other types."""
_ASIDE = frozenset({"id", "meta"})
"""Elements that say nothing of the thing itself."""

_TAIL = ',"version":'
"""Where the part of an entry begins that `render` writes. Within a JSON string the quotes would be escaped."""


class Told(NamedTuple):
    """An event, read."""

    version: Version
    row: EventType
    about: str
    """The focus's resource type."""
    movement: str
    """What happened within a stay, or what did not, in words; else ``""``."""
    resources: Sequence[bytes]
    """Of the Bundle, as JSON, the focus first."""

    @property
    def snapshot(self) -> bool:
        """It shows the whole state of a person or a stay, and is judged by all that was known of them."""
        return self.version.digest is None


def tell(record: Record, sources: Mapping[str, Source]) -> Told:
    """The event in ``record`` and its version, standing alone.

    Raises on what is no event of the catalogue: ``KeyError``, ``msgspec.DecodeError`` and the like.
    """
    event = decode(record.value)
    row = CATALOGUE[event.type]
    resources = resources_in(event)
    focus: Resource = orjson.loads(resources[0])
    about, movement = focus["resourceType"], movement_of(focus)
    source = event.source.removeprefix(SOURCE_URN)
    declared = sources.get(source)
    name, sector = (declared.name, str(declared.sector)) if declared else (source, "")
    is_snapshot = row.movement is Movement.SNAPSHOT and not movement and _has_subject(event, about)
    sentence = title(row.title, focus, name, _Entries(event))
    version = Version(
        place=place_of(record),
        occurred_at=microseconds(event.time),
        tie=_ROW[row.name] | int.from_bytes(digest(event.id.encode())) >> 64 - _TIE_BITS,
        recorded_at=microseconds(event.recordedtime),
        known_until=None,
        state=State.HIDDEN,
        version=None,
        record=event.partitionkey,
        fact=event.subject,
        event=event.id,
        order=event.order,
        latest=event.order,
        named=None,
        correlation=event.correlationid or None,
        type=row.name,
        sector=sector,
        source=source,
        classification=event.dataclassification,
        digest=None if is_snapshot else _said(event, row, focus, resources),
        entry=_entry(event, row, {"id": source, "name": name, "sector": sector}, sentence),
        resource=bytes(event.data).decode(),
    )
    return Told(version, row, about, movement, resources)


class _Entries:
    """The entries of an event's payload, read only when somebody asks for them: few references come without words."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __iter__(self) -> Iterator[Resource]:
        yield from payload(self._event)["entry"]


def recall(version: Version) -> Told:
    """A stored version, read again."""
    resources = resources_of(version.resource.encode())
    focus: Resource = orjson.loads(resources[0])
    return Told(version, CATALOGUE[version.type], focus["resourceType"], movement_of(focus), resources)


def _entry(event: Event, row: EventType, source: dict[str, str], sentence: str) -> str:
    """The entry as JSON, number and predecessor still to be put in."""
    shown: dict[str, Any] = {
        "id": event.id,
        "type": row.name,
        "kind": row.kind,
        "character": row.character,
        "occurred_at": occurred(event.time, event.timeprecision),
        "precision": event.timeprecision,
        "recorded_at": event.recordedtime,
        "title": sentence,
        "status": Status.WITHDRAWN if row.movement is Movement.WITHDRAWS else Status.CURRENT,
        "source": source,
        "record": event.partitionkey,
        "correlation": event.correlationid or None,
    }
    return orjson.dumps(shown).decode()[:-1] + _TAIL


def render(entry: str, version: int | None, replaces: str | None) -> str:
    """The entry with its number and the id of the version it replaces."""
    number = "null" if version is None else version
    before = "null" if replaces is None else orjson.dumps(replaces).decode()
    return f'{entry.rpartition(_TAIL)[0]}{_TAIL}{number},"replaces":{before}}}'


@lru_cache(4096)
def microseconds(text: str) -> int:
    """RFC 3339 as microseconds since the epoch. Events of one arrival share their times. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time has no offset")
    return (moment - _EPOCH) // _MICROSECOND


def occurred(time: str, precision: Precision) -> str:
    """When it happened, as exactly as is known: a day stays the day that people there meant."""
    digits = _DIGITS.get(precision)
    return datetime.fromisoformat(time).astimezone(LONDON).isoformat()[:digits] if digits else time


def movement_of(focus: Resource) -> str:
    """What happened within a stay, or what did not, in the words of its extension; else ``""``."""
    for extension in focus.get("extension", ()):
        if extension["url"] == MOVEMENT:
            return str(extension["valueString"])
    return ""


def _has_subject(event: Event, about: str) -> bool:
    """It is about a person, or about a stay that has a name."""
    return about == "Patient" or (about == "Encounter" and bool(event.correlationid))


def _said(event: Event, row: EventType, focus: Resource, resources: Sequence[bytes]) -> str:
    """Digest of all that the event states of its fact; what is stated in passing has no time of its own."""
    told = _TELLS.get(row.name)
    content = {name: value for name, value in focus.items() if (name in told if told else name not in _ASIDE)}
    when = "" if row.in_passing else f"{event.time} {event.timeprecision}"
    others = [] if told else [one for one in resources[1:] if kind_of(one) != "Patient"]
    head = f"{row.name} {when} {event.dataclassification}".encode()
    return digest(b"\n".join([head, orjson.dumps(content, option=orjson.OPT_SORT_KEYS), *others])).hex()


def digest(content: bytes) -> bytes:
    """Eight bytes: compared only within one fact or one subject, so that a chance meeting is out of the question."""
    return hashlib.blake2b(content, digest_size=8).digest()
