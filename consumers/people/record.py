"""One source's record of one person: what all its events say of the Patient, and the person that follows from it alone.

Element by element the newest statement holds, by when it was so (`consumers.chronicle.valid`) and not by when it arrived.
What a message leaves out stays as it was; what it deletes goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from consumers.chronicle import valid
from consumers.elements import Elements, compose, elements
from schemas.catalogue import CATALOGUE, Movement
from schemas.event import Event
from schemas.identifiers import NhsNumber, PersonId, RecordKey
from schemas.pseudonyms import Pseudonyms
from schemas.resources.bundle import Resource
from schemas.resources.person import verified_number

Stamp = tuple[str, bool, int]
"""From when on a statement holds, whether it shows a whole state (which comes after a movement of the same moment), its place."""

_STAMPS = msgspec.json.Decoder(list[tuple[Stamp, list[str]]])
_FIRST: Stamp = ("", False, -1)


class Row(msgspec.Struct):
    """A row of ``person_record``, its fields in the order of the columns."""

    key: str
    source: str
    person: str
    """Id of the person it belongs to."""
    own_person: str
    """Id that its own evidence gives: it differs when the record was merged with others."""
    rule: str
    """`consumers.people.link.Rule`: why it belongs to that person."""
    root: str | None
    """Key of the record that its chain of merges ends in; ``None`` when that is itself."""
    merged_into: str | None
    """Key of the record that replaces it."""
    first_at: str
    """When the backbone first learned of it; ``""`` of a record that is only known to be replaced."""
    last_at: str
    stamps: str
    """JSON: for each stamp the elements that were last stated by it."""
    patient: str
    """The Patient as JSON, ready to serve."""


COLUMNS = Row.__struct_fields__


class Record:
    """A record that events are being read into."""

    def __init__(self, row: Row, new: bool) -> None:
        self.row = row
        self.new = new
        self._read = msgspec.structs.replace(row)
        self._elements: Elements = elements(orjson.loads(row.patient))
        self._stamps: dict[str, Stamp] = {name: stamp for stamp, names in _STAMPS.decode(row.stamps) for name in names}

    @classmethod
    def unknown(cls, key: RecordKey, source: str, pseudonyms: Pseudonyms) -> Record:
        """A record of which nothing is known yet."""
        alone = pseudonyms.person_by_record(key)
        empty = '{"resourceType":"Patient"}'
        return cls(Row(key, source, alone, alone, "", None, None, "", "", "[]", empty), True)

    @property
    def changed(self) -> bool:
        """Whether its row is no longer as it was read."""
        return self.new or self.row != self._read

    @property
    def own_changed(self) -> bool:
        """Whether its own evidence gives another person than it did."""
        return self.new or self.row.own_person != self._read.own_person

    def hear(self, patient: Resource, stamp: Stamp) -> bool:
        """Take in what an event says of the Patient; whether that changed anything."""
        changed = False
        for name, value in elements(patient).items():
            if stamp > self._stamps.get(name, _FIRST):
                self._stamps[name] = stamp
                changed = changed or self._elements.get(name) != value
                self._elements[name] = value
        return changed

    def seen(self, at: str) -> None:
        """Note that the backbone learned of it then."""
        self.row.first_at = min(self.row.first_at or at, at)
        self.row.last_at = max(self.row.last_at, at)

    def settle(self, changed: bool) -> None:
        """Write what was heard into the row."""
        groups: dict[Stamp, list[str]] = {}
        for name, stamp in sorted(self._stamps.items()):
            groups.setdefault(stamp, []).append(name)
        self.row.stamps = orjson.dumps(sorted(groups.items())).decode()
        if changed:
            self.row.patient = orjson.dumps(self.patient).decode()

    @property
    def patient(self) -> Resource:
        """The Patient as far as events were read."""
        return compose("Patient", self._elements)


def stamp_of(event: Event, place: int) -> Stamp:
    """When what the event says of the Patient holds."""
    return valid(event), CATALOGUE[event.type].movement is Movement.SNAPSHOT, place


def number_in(patient: Resource) -> NhsNumber | None:
    """The verified NHS number by which ``patient`` is linked. Two different ones contradict each other: neither is."""
    numbers = {number for number in map(verified_number, _one_by_one(patient)) if number}
    return numbers.pop() if len(numbers) == 1 else None


def _one_by_one(patient: Resource) -> Iterable[Resource]:
    return ({"identifier": [identifier]} for identifier in patient.get("identifier", ()))


def own_person(key: RecordKey, patient: Resource, pseudonyms: Pseudonyms) -> PersonId:
    """The person that ``patient`` by itself is."""
    number = number_in(patient)
    return pseudonyms.person_by_number(number) if number else pseudonyms.person_by_record(key)


def is_alone(row: Any, pseudonyms: Pseudonyms) -> bool:
    """Whether the record's own evidence has no verified number."""
    return bool(row.own_person == pseudonyms.person_by_record(row.key))
