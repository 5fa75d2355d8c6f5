"""Makes a version of an event: the entry as it is served, but for what its place among the other versions decides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from consumers.place import place_of
from consumers.timeline.version import State, Version
from schemas.catalogue import CATALOGUE, EventType, Movement
from schemas.event import Event, Precision, decode
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


class Told(NamedTuple):
    """An event, read."""

    version: Version
    row: EventType
    bundle: Resource
    shown: dict[str, Any]
    """The entry, without what `render` adds."""

    @property
    def focus(self) -> Resource:
        focus: Resource = self.bundle["entry"][0]["resource"]
        return focus

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
    text = bytes(event.data)
    bundle: Resource = orjson.loads(text)
    focus: Resource = bundle["entry"][0]["resource"]
    source = event.source.removeprefix(SOURCE_URN)
    declared = sources.get(source)
    name, sector = (declared.name, str(declared.sector)) if declared else (source, "")
    withdraws = row.movement is Movement.WITHDRAWS
    version = Version(
        place=place_of(record),
        occurred_at=microseconds(event.time),
        tie=_ROW[row.name] | int.from_bytes(_hash(event.id.encode())) >> 64 - _TIE_BITS,
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
        digest=None if _is_snapshot(event, row, focus) else _digest(event, row, bundle),
        entry="",
        resource=text.decode(),
    )
    shown = {
        "id": event.id,
        "type": row.name,
        "kind": row.kind,
        "character": row.character,
        "occurred_at": occurred(event.time, event.timeprecision),
        "precision": event.timeprecision,
        "recorded_at": event.recordedtime,
        "title": title(row.title, focus, name, bundle["entry"]),
        "status": Status.WITHDRAWN if withdraws else Status.CURRENT,
        "source": {"id": source, "name": name, "sector": sector},
        "record": event.partitionkey,
        "version": None,
        "replaces": None,
        "correlation": version.correlation,
    }
    return Told(version, row, bundle, shown)


def recall(version: Version) -> Told:
    """A stored version, read again."""
    return Told(version, CATALOGUE[version.type], orjson.loads(version.resource), orjson.loads(version.entry))


def render(shown: dict[str, Any], version: int | None, replaces: str | None) -> str:
    """The entry as JSON, its number and what it replaces put in."""
    shown["version"], shown["replaces"] = version, replaces
    return orjson.dumps(shown).decode()


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


def _is_snapshot(event: Event, row: EventType, focus: Resource) -> bool:
    """Of a person, or of a stay that has a name; a movement within a stay (a leave) is none, whatever its type."""
    if row.movement is not Movement.SNAPSHOT or movement_of(focus):
        return False
    return focus["resourceType"] == "Patient" or (focus["resourceType"] == "Encounter" and bool(event.correlationid))


def _digest(event: Event, row: EventType, bundle: Resource) -> str:
    """Of all that the event states of its fact; what is stated in passing has no time of its own."""
    focus = bundle["entry"][0]["resource"]
    told = _TELLS.get(row.name)
    said = {name: value for name, value in focus.items() if (name in told if told else name not in _ASIDE)}
    others = [] if told else [part["resource"] for part in bundle["entry"][1:] if part["resource"]["resourceType"] != "Patient"]
    when = "" if row.in_passing else [event.time, event.timeprecision]
    content = orjson.dumps([row.name, said, others, when, event.dataclassification], option=orjson.OPT_SORT_KEYS)
    return _hash(content).hex()


def _hash(content: bytes) -> bytes:
    """Eight bytes: compared only within one fact, so that a chance meeting is out of the question."""
    return hashlib.blake2b(content, digest_size=8).digest()
