"""One source's record of one person: what all its events say of the Patient, and the person that follows from it alone.

Element by element the newest statement holds, by when it was so (`consumers.chronicle.valid`) and not by when it arrived.
What a message leaves out stays as it was; what it deletes goes.
"""

from __future__ import annotations

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
"""From when on a statement holds, whether it shows a whole state (which then comes after a movement), its place."""

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
        self._says_more = False

    @classmethod
    def unknown(cls, key: RecordKey, source: str, pseudonyms: Pseudonyms) -> Record:
        """A record of which nothing is known yet."""
        alone = pseudonyms.person_by_record(key)
        empty = '{"resourceType":"Patient"}'
        return cls(Row(key, source, alone, alone, "", None, None, "", "", "[]", empty), True)

    def hear(self, patient: Resource, stamp: Stamp) -> None:
        """Take in what somebody says of the Patient."""
        for name, value in elements(patient).items():
            if stamp > self._stamps.get(name, _FIRST):
                self._stamps[name] = stamp
                self._says_more = self._says_more or self._elements.get(name) != value
                self._elements[name] = value

    def seen(self, at: str) -> None:
        """Note that the backbone learned of it then."""
        self.row.first_at = min(self.row.first_at or at, at)
        self.row.last_at = max(self.row.last_at, at)

    def settle(self, pseudonyms: Pseudonyms) -> None:
        """Write what was heard into the row, and the person that it gives by itself."""
        stamped: dict[Stamp, list[str]] = {}
        for name, stamp in sorted(self._stamps.items()):
            stamped.setdefault(stamp, []).append(name)
        self.row.stamps = orjson.dumps(sorted(stamped.items())).decode()
        if self._says_more:
            patient = compose("Patient", self._elements)
            self.row.patient = orjson.dumps(patient).decode()
            self.row.own_person = own_person(RecordKey(self.row.key), number_in(patient), pseudonyms)

    @property
    def changed(self) -> bool:
        """Whether its row is no longer as it was read."""
        return self.new or self.row != self._read

    @property
    def own_changed(self) -> bool:
        """Whether its own evidence gives another person than it did."""
        return self.new or self._read.own_person != self.row.own_person

    @property
    def own_before(self) -> str | None:
        """The person that its own evidence gave before, if that was another one and any event had given it."""
        return self._read.own_person if self._read.first_at and self.own_changed else None

    @property
    def number(self) -> NhsNumber | None:
        """The NHS number it is linked by."""
        return number_in(compose("Patient", self._elements))


def stamp_of(event: Event, place: int) -> Stamp:
    """When what the event says of the Patient holds."""
    return valid(event), CATALOGUE[event.type].movement is Movement.SNAPSHOT, place


def number_in(patient: Resource) -> NhsNumber | None:
    """The verified NHS number by which ``patient`` is linked. Two different ones contradict each other: neither is."""
    one_by_one = ({"identifier": [identifier]} for identifier in patient.get("identifier", ()))
    numbers = {number for number in map(verified_number, one_by_one) if number}
    return numbers.pop() if len(numbers) == 1 else None


def own_person(key: RecordKey, number: NhsNumber | None, pseudonyms: Pseudonyms) -> PersonId:
    """The person that a record is by itself."""
    return pseudonyms.person_by_number(number) if number else pseudonyms.person_by_record(key)
