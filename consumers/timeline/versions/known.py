"""What is known of a person or a stay, and whether a snapshot says anything new about it.

Some systems send the whole state at every change (a *snapshot*). A snapshot is compared, element by element, with everything
its source had said before about the same *subject* (the person of a record, or one stay of theirs), whichever facts it was
said of; an element that it leaves out is unchanged. "Before" means written down before (`consumers.chronicle.written`), not
arrived before, so that the order of arrival changes nothing.

At the same moment, an event that states a movement comes before a snapshot that shows the state after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import orjson

from consumers.chronicle import written
from consumers.elements import elements
from consumers.payload import kind_of
from consumers.timeline.versions.compose import ComposedEvent, digest
from consumers.timeline.versions.version import Version
from schemas.catalogue import Movement
from schemas.event import Sensitivity
from schemas.sentence import MOVEMENT

Moment = tuple[str, bool, str, int]
"""Sort key of a statement: when it was written down, whether it is a snapshot, its order within its fact, its place."""


class KnownSubject(msgspec.Struct):
    """What is known of a subject. Stored only for subjects of which snapshots are sent."""

    latest: Moment
    """Moment of the last statement."""
    digest: str = msgspec.field(name="said")
    """Digest of the last statement: most messages about a person repeat it. Stored as ``said``, as it was first called."""
    elements: dict[str, str]
    """Element → digest of its value."""


class SubjectStatement(NamedTuple):
    """What one event says about one subject."""

    moment: Moment
    version: Version
    snapshot: bool
    content: Sequence[bytes]
    """The resources that say it."""
    focal: bool
    """Whether the event is about the subject, and does not only carry its resource along."""

    @property
    def digest(self) -> str:
        """Digest of what is said."""
        guard = self.version.classification if self.focal else ""
        return digest(b"\n".join([guard.encode(), *self.content])).hex()


_PATIENT, _STAY = "Patient", "Encounter"
_PASSING_WORDS = frozenset({"planned discharge"})
"""Movements that a message about something else cancels in passing (HL7 v2: "not medically fit")."""
_UNKNOWN = {"status": "unknown", "class": "UNK"}
"""Elements that FHIR requires of an Encounter, and the value they get when the source does not state them."""
_GUARD = "classification"
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NONE = msgspec.Raw(b"[]")
_SHORT_BYTES = 1024
"""Longest element whose digests are cached: a photograph is not."""


def subjects(event: ComposedEvent) -> tuple[str, ...]:
    """The subjects the event speaks of: the person of its record and, if it is about one, the stay."""
    if _in_passing(event):
        return ()
    record, stay = event.version.record, event.version.correlation
    return (record, stay_of(record, stay)) if stay and event.about == _STAY else (record,)


def stay_of(record: str, correlation: str) -> str:
    """The subject of a stay: the record's key and the correlation id."""
    return f"{record}/{correlation}"


def stay_in(subject: str) -> str | None:
    """The correlation id of the stay; ``None`` when the subject is a person."""
    return subject.partition("/")[2] or None


def record_of(subject: str) -> str:
    """Key of the record a subject belongs to."""
    return subject.partition("/")[0]


def judged(event: ComposedEvent) -> str | None:
    """The subject that the event is a snapshot of; ``None`` if it is not a snapshot."""
    return subjects(event)[-1] if event.snapshot else None


def statement_about(event: ComposedEvent, subject: str) -> SubjectStatement:
    """What the event says about ``subject``, one of its `subjects`."""
    version = event.version
    snapshot = judged(event) == subject
    moment = (written(version.order), snapshot, version.order, version.place)
    about = _PATIENT if subject == version.record else _STAY
    focal = event.about == about
    if focal:
        content = [event.resources[0], *(one for one in event.resources[1:] if kind_of(one) != _PATIENT)]
    else:
        content = [one for one in event.resources[1:] if kind_of(one) == about][:1]
    return SubjectStatement(moment, version, snapshot, content, focal)


def apply_statements(statements: Iterable[SubjectStatement], known: KnownSubject | None) -> tuple[KnownSubject, set[int]]:
    """Apply ``statements`` in order to what was ``known``; returns what is known then and the places of silent snapshots.

    The first statement ever made about a subject is never silent.
    """
    silent: set[int] = set()
    found = known or KnownSubject(("", False, "", 0), "", {})
    for statement in sorted(statements, key=lambda one: one.moment):
        content = statement.digest
        new = {} if content == found.digest else _digests(statement)
        if statement.snapshot and found.elements and all(found.elements.get(name) == value for name, value in new.items()):
            silent.add(statement.version.place)
        found = KnownSubject(statement.moment, content, _after(found.elements, new))
    return found, silent


def _after(before: dict[str, str], stated: Mapping[str, str | None]) -> dict[str, str]:
    after: dict[str, str | None] = {**before, **stated}
    return {name: value for name, value in after.items() if value is not None}


def _in_passing(event: ComposedEvent) -> bool:
    """Whether another event of the same message says the same about the person and the stay."""
    if event.row.in_passing or event.row.focus == "Resource":
        return True
    return event.movement in _PASSING_WORDS and event.row.movement is Movement.WITHDRAWS


def _digests(statement: SubjectStatement) -> dict[str, str | None]:
    """Element → digest of what is said; ``None`` when the element is said to be absent."""
    found: dict[str, str | None] = {}
    if statement.focal:
        guard = statement.version.classification
        found[_GUARD] = guard if guard != Sensitivity.NORMAL else None
        for other in statement.content[1:]:
            found[f"+{kind_of(other)} {digest(other).hex()}"] = "present"
    for resource in statement.content[:1]:
        found |= _elements(resource)
    return found


def _elements(resource: bytes) -> dict[str, str | None]:
    stated = _RAW.decode(resource)
    found = dict(_stated("extension", bytes(stated.pop("extension", _NONE))))  # first, so that a stated value beats a deletion
    for name, value in stated.items():
        found.update((_remembered if len(value) <= _SHORT_BYTES else _stated)(name, bytes(value)))
    if found.pop(f"extension {MOVEMENT}", None):
        found.pop("status", None)  # the movement's status, which may not last
    return found


def _stated(name: str, value: bytes) -> tuple[tuple[str, str | None], ...]:
    """The elements (`consumers.elements`) within one member of a resource, each with its digest."""
    found = elements({name: orjson.loads(value)})
    unknown = _UNKNOWN.get(name)
    return tuple(
        (name, None if value is None else digest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hex())
        for name, value in found.items()
        if unknown is None or unknown not in (value, _code(value))
    )


_remembered = lru_cache(8192)(_stated)
"""Cached, as most elements are the same as in the previous message."""


def _code(value: object) -> object:
    return value.get("code") if isinstance(value, dict) else None
