"""What is known of a person or of a stay, and whether a snapshot says anything new.

Some systems send the whole state of a thing at every change of anything. A snapshot is judged against all that its source had
said before it about the same *subject* (the person of a record; a stay of theirs), whichever facts told it, element by element:
what it leaves out is unchanged. Before it is what was written down before it (`consumers.chronicle.written`), not what came
before it, so that the order of arrival changes nothing.

Of the same moment, what tells of a movement comes before what shows the state after it.
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
from consumers.timeline.compose import Told, digest
from consumers.timeline.version import Version
from schemas.catalogue import Movement
from schemas.event import Sensitivity
from schemas.sentence import MOVEMENT

Moment = tuple[str, bool, str, int]
"""When something was said: when it was written down, whether it is a snapshot, its order in its fact, its place."""


class Known(msgspec.Struct):
    """What is known of a subject: kept only of those that snapshots are sent of."""

    latest: Moment
    """Of what was said last."""
    said: str
    """Digest of what was said last: most messages about a person repeat it."""
    elements: dict[str, str]
    """Element → digest of its value."""


class Saying(NamedTuple):
    """What one event says of one subject."""

    moment: Moment
    version: Version
    snapshot: bool
    content: Sequence[bytes]
    """The resources that say it."""
    focal: bool
    """They are what the event is about, not the Patient who comes along."""

    @property
    def digest(self) -> str:
        """Of what is said."""
        guard = self.version.classification if self.focal else ""
        return digest(b"\n".join([guard.encode(), *self.content])).hex()


_PATIENT, _STAY = "Patient", "Encounter"
_PASSING_WORDS = frozenset({"planned discharge"})
"""What a message about something else cancels in passing (HL7 v2: "not medically fit")."""
_UNKNOWN = {"status": "unknown", "class": "UNK"}
"""FHIR demands these of an Encounter: a source that does not say has them said to be unknown."""
_GUARD = "classification"
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NONE = msgspec.Raw(b"[]")
_SHORT_BYTES = 1024
"""Of an element that is remembered: a photograph is not."""


def subjects(told: Told) -> tuple[str, ...]:
    """Whom and what the event tells of: the person of its record, and the stay if it is about one."""
    if _in_passing(told):
        return ()
    record, stay = told.version.record, told.version.correlation
    return (record, stay_of(record, stay)) if stay and told.about == _STAY else (record,)


def stay_of(record: str, correlation: str) -> str:
    """Names a stay as one record has it."""
    return f"{record}/{correlation}"


def stay_in(subject: str) -> str | None:
    """The correlation of a stay, ``None`` of a person."""
    return subject.partition("/")[2] or None


def record_of(subject: str) -> str:
    """The record a subject belongs to."""
    return subject.partition("/")[0]


def judged(told: Told) -> str | None:
    """The subject of which the event is a snapshot, if it is one."""
    return subjects(told)[-1] if told.snapshot else None


def saying(told: Told, subject: str) -> Saying:
    """What the event says of ``subject``, one of its `subjects`."""
    version = told.version
    snapshot = judged(told) == subject
    moment = (written(version.order), snapshot, version.order, version.place)
    about = _PATIENT if subject == version.record else _STAY
    focal = told.about == about
    if focal:
        content = [told.resources[0], *(one for one in told.resources[1:] if kind_of(one) != _PATIENT)]
    else:
        content = [one for one in told.resources[1:] if kind_of(one) == about][:1]
    return Saying(moment, version, snapshot, content, focal)


def go_through(sayings: Iterable[Saying], known: Known | None) -> tuple[Known, set[int]]:
    """Go through ``sayings`` in order, from what was ``known`` before: what is known then, and which snapshots said nothing.

    The first that is ever said of a subject says something, whatever it is.
    """
    silent: set[int] = set()
    found = known or Known(("", False, "", 0), "", {})
    for said in sorted(sayings, key=lambda one: one.moment):
        content = said.digest
        new = {} if content == found.said else _digests(said)
        if said.snapshot and found.elements and all(found.elements.get(name) == value for name, value in new.items()):
            silent.add(said.version.place)
        found = Known(said.moment, content, _after(found.elements, new))
    return found, silent


def _after(before: dict[str, str], said: Mapping[str, str | None]) -> dict[str, str]:
    after: dict[str, str | None] = {**before, **said}
    return {name: value for name, value in after.items() if value is not None}


def _in_passing(told: Told) -> bool:
    """It was said beside an event of its own message that tells the same of the person and the stay."""
    if told.row.in_passing or told.row.focus == "Resource":
        return True
    return told.movement in _PASSING_WORDS and told.row.movement is Movement.WITHDRAWS


def _digests(said: Saying) -> dict[str, str | None]:
    """What is said, element by element; ``None``: there is none."""
    found: dict[str, str | None] = {}
    if said.focal:
        guard = said.version.classification
        found[_GUARD] = guard if guard != Sensitivity.NORMAL else None
        for other in said.content[1:]:
            found[f"+{kind_of(other)} {digest(other).hex()}"] = "present"
    for resource in said.content[:1]:
        found |= _elements(resource)
    return found


def _elements(resource: bytes) -> dict[str, str | None]:
    stated = _RAW.decode(resource)
    found = dict(_stated("extension", bytes(stated.pop("extension", _NONE))))  # first: what is deleted and stated is stated
    for name, value in stated.items():
        found.update((_remembered if len(value) <= _SHORT_BYTES else _stated)(name, bytes(value)))
    if found.pop(f"extension {MOVEMENT}", None):
        found.pop("status", None)  # of the movement: it is not known how long it lasts
    return found


def _stated(name: str, value: bytes) -> tuple[tuple[str, str | None], ...]:
    """The elements within one of a resource's."""
    said = elements({name: orjson.loads(value)})
    unknown = _UNKNOWN.get(name)
    return tuple(
        (name, None if value is None else digest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hex())
        for name, value in said.items()
        if unknown is None or unknown not in (value, _code(value))
    )


_remembered = lru_cache(8192)(_stated)
"""Most elements are as they were in the message before."""


def _code(value: object) -> object:
    return value.get("code") if isinstance(value, dict) else None
