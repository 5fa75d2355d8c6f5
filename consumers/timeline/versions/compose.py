"""Makes a timeline version from an event: the entry as it is served, except for its version number and what it replaces.

The parsed payload is dropped at once: a batch that kept its thousand Bundles would spend half its time in the garbage
collector.
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
from consumers.timeline.versions.version import State, Version
from schemas.catalogue import CATALOGUE, EventType, Movement
from schemas.event import Event, Precision, decode, payload
from schemas.fhir.bundle import Resource
from schemas.identifiers import SOURCE_URN
from schemas.log import Record
from schemas.sentence import MOVEMENT, title
from schemas.source import Source
from schemas.timeline import Status

LONDON = ZoneInfo("Europe/London")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = {Precision.YEAR: 4, Precision.MONTH: 7, Precision.DAY: 10}
"""How many characters of an ISO 8601 date are known at each precision."""

_TIE_BITS = 55
"""Lower bits of a tie, taken from a hash of the event's id. The eight bits above them are the type's rank in the
catalogue."""

_NOT_COMPARED = frozenset({"id", "meta"})
"""Elements that say nothing about the fact itself, and are not compared."""

_TAIL = ',"version":'
"""Start of the part of an entry that `render` writes. It cannot occur within a JSON string, where quotes are escaped."""


class ComposedEvent(NamedTuple):
    """A decoded event and the version made from it."""

    version: Version
    row: EventType
    about: str
    """Resource type of the focus."""
    movement: str
    """The movement within a stay that the event states or cancels, in words; ``""`` if there is none."""
    resources: Sequence[bytes]
    """The resources of the Bundle as JSON, the focus first."""

    @property
    def snapshot(self) -> bool:
        """Whether it shows the whole state of a person or a stay, and so is compared with everything known about them."""
        return self.version.digest is None


def compose(record: Record, sources: Mapping[str, Source]) -> ComposedEvent:
    """The event in ``record`` and its version, without regard to other versions.

    Raises ``KeyError``, ``msgspec.DecodeError`` and the like when the record is not an event of the catalogue.
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
        tie=row.rank << _TIE_BITS | int.from_bytes(digest(event.id.encode())) >> 64 - _TIE_BITS,
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
        digest=None if is_snapshot else _digest_stated(event, row, focus, resources),
        entry=_entry(event, row, {"id": source, "name": name, "sector": sector}, sentence),
        resource=bytes(event.data).decode(),
    )
    return ComposedEvent(version, row, about, movement, resources)


class _Entries:
    """The entries of an event's payload, parsed only when iterated over: few references lack a display text."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __iter__(self) -> Iterator[Resource]:
        yield from payload(self._event)["entry"]


def recompose(version: Version) -> ComposedEvent:
    """A stored version, with its resources parsed again."""
    resources = resources_of(version.resource.encode())
    focus: Resource = orjson.loads(resources[0])
    return ComposedEvent(version, CATALOGUE[version.type], focus["resourceType"], movement_of(focus), resources)


def _entry(event: Event, row: EventType, source: dict[str, str], sentence: str) -> str:
    """The entry as JSON, up to the version number and the replaced id, which `render` adds."""
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
    """An RFC 3339 time as microseconds since the epoch; cached, as events of one arrival share their times.

    Raises ``ValueError``.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time has no offset")
    return (moment - _EPOCH) // _MICROSECOND


def occurred(time: str, precision: Precision) -> str:
    """When it happened, to the known precision. A date is given as of London, so that it stays the day the source meant."""
    digits = _DIGITS.get(precision)
    return datetime.fromisoformat(time).astimezone(LONDON).isoformat()[:digits] if digits else time


def movement_of(focus: Resource) -> str:
    """The movement within a stay that ``focus`` states or cancels, in the words of its extension; ``""`` if there is none."""
    for extension in focus.get("extension", ()):
        if extension["url"] == MOVEMENT:
            return str(extension["valueString"])
    return ""


def _has_subject(event: Event, about: str) -> bool:
    """Whether the event is about a person, or about a stay with an identifier (correlation id)."""
    return about == "Patient" or (about == "Encounter" and bool(event.correlationid))


def _digest_stated(event: Event, row: EventType, focus: Resource, resources: Sequence[bytes]) -> str:
    """Digest of all that the event states about its fact. The time is left out of what is stated in passing, as it is not the
    fact's own."""
    only = row.compared
    content = {name: value for name, value in focus.items() if (name in only if only else name not in _NOT_COMPARED)}
    when = "" if row.in_passing else f"{event.time} {event.timeprecision}"
    others = [] if only else [one for one in resources[1:] if kind_of(one) != "Patient"]
    head = f"{row.name} {when} {event.dataclassification}".encode()
    return digest(b"\n".join([head, orjson.dumps(content, option=orjson.OPT_SORT_KEYS), *others])).hex()


def digest(content: bytes) -> bytes:
    """Eight bytes are enough: digests are compared only within one fact or one subject."""
    return hashlib.blake2b(content, digest_size=8).digest()
