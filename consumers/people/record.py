"""One source's record of one person: what all its events say about the Patient, and the person that follows from it alone.

The newest statement about each element holds, by when it was so (`consumers.chronicle.valid`) and not by when it arrived.
Whatever a message leaves out stays as it was; whatever it deletes goes.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
import orjson

from consumers.chronicle import valid
from consumers.elements import Elements, compose, elements
from schemas.catalogue import CATALOGUE, Movement
from schemas.event import Event
from schemas.fhir.bundle import Resource
from schemas.identifiers import NHS_NUMBER, NhsNumber, PersonId, RecordKey
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import verified_number

Stamp = tuple[str, bool, int]
"""From when on a statement holds, whether it shows a whole state (which then follows any movement), and its place."""
_FIRST: Stamp = ("", False, -1)
BEFORE_ALL: Stamp = ("", False, 0)
"""The stamp of what is said about a record by the one that replaced it: anything the record says itself outranks it."""


class Stamps(msgspec.Struct):
    """When each element of a record's Patient was last stated."""

    last: str = ""
    """Digest of the last Patient stated: most messages about a person repeat it."""
    at: Stamp = _FIRST
    """Its stamp."""
    names: list[str] = []
    """The elements it stated or deleted; all others are older."""
    others: dict[str, Stamp] = {}


_STAMPS = msgspec.json.Decoder(Stamps)


class RecordRow(msgspec.Struct):
    """A row of ``person_record``, its fields in the order of the columns."""

    key: str
    source: str
    person: str
    """Id of the person it belongs to."""
    own_person: str
    """Id given by its own evidence; it differs when the record was merged with others."""
    rule: str
    """`consumers.people.link.LinkRule`: why it belongs to that person."""
    root: str | None
    """Key of the record in which its chain of merges ends; ``None`` when that is itself."""
    merged_into: str | None
    """Key of the record that replaces it."""
    first_at: str
    """When the backbone first learned of it; ``""`` when all that is known is that it was replaced."""
    last_at: str
    stamps: str
    """JSON: for each stamp, the elements last stated under it."""
    patient: str
    """The Patient as JSON, ready to serve."""


COLUMNS = RecordRow.__struct_fields__


class Heard(NamedTuple):
    """What somebody says about a Patient."""

    stamp: Stamp
    patient: bytes
    """As JSON."""

    @property
    def digest(self) -> str:
        """Digest of what is said; compared only within one record."""
        return hashlib.blake2b(self.patient, digest_size=8).hexdigest()


class FoldedRecord:
    """A record into which events are being read."""

    def __init__(self, row: RecordRow, new: bool) -> None:
        self.row = row
        self.new = new
        self._read = msgspec.structs.replace(row)
        self._stamps = _STAMPS.decode(row.stamps)
        self._says: Elements | None = None
        """The elements of the Patient, once something other than a repetition has been heard."""

    @classmethod
    def unknown(cls, key: str, source: str) -> FoldedRecord:
        """A record of which nothing is known yet."""
        return cls(RecordRow(key, source, "", "", "", None, None, "", "", "{}", '{"resourceType":"Patient"}'), True)

    def hear(self, heard: Heard) -> Resource | None:
        """Take in what somebody says; returns the Patient stated, or ``None`` when it repeats the last statement."""
        stamps, digest = self._stamps, heard.digest
        if digest == stamps.last and heard.stamp > stamps.at:
            stamps.at = heard.stamp
            return None
        patient: Resource = orjson.loads(heard.patient)
        stated = elements(patient)
        known = self._elements
        known.update({name: value for name, value in stated.items() if heard.stamp > self._stamp(name)})
        if heard.stamp > stamps.at:
            stamps.others |= dict.fromkeys(stamps.names, stamps.at)
            stamps.last, stamps.at, stamps.names = digest, heard.stamp, sorted(stated)
            stamps.others = {name: stamp for name, stamp in stamps.others.items() if name not in stated}
        else:
            older = {name for name in stated if name not in stamps.names and heard.stamp > self._stamp(name)}
            stamps.others |= dict.fromkeys(older, heard.stamp)
        return patient

    @property
    def _elements(self) -> Elements:
        if self._says is None:
            self._says = elements(orjson.loads(self.row.patient))
        return self._says

    def _stamp(self, name: str) -> Stamp:
        return self._stamps.at if name in self._stamps.names else self._stamps.others.get(name, _FIRST)

    def seen(self, at: str) -> None:
        """Note that the backbone learned of it at this time."""
        self.row.first_at = min(self.row.first_at or at, at)
        self.row.last_at = max(self.row.last_at, at)

    def settle(self, pseudonyms: Pseudonyms) -> None:
        """Write into the row what was heard, and the person given by the record's own evidence."""
        if self._says is not None:
            self._stamps.others = dict(sorted(self._stamps.others.items()))
            patient = compose("Patient", self._says)
            self.row.patient = orjson.dumps(patient).decode()
            self.row.own_person = own_person(self.row.key, number_in(patient), pseudonyms)
        self.row.stamps = msgspec.json.encode(self._stamps).decode()

    @property
    def changed(self) -> bool:
        """Whether its row has changed since it was read."""
        return self.new or self.row != self._read

    @property
    def person_before(self) -> str | None:
        """The person it belonged to when it was read; ``None`` of a new record."""
        return None if self.new else self._read.person

    @property
    def own_changed(self) -> bool:
        """Whether its own evidence now gives a different person."""
        return self.new or self._read.own_person != self.row.own_person

    @property
    def own_before(self) -> str | None:
        """The person given by its own evidence before, if that was somebody else and an event had given it."""
        return self._read.own_person if self._read.first_at and self.own_changed else None

    @property
    def number(self) -> NhsNumber | None:
        """The NHS number it is linked by."""
        return number_in(orjson.loads(self.row.patient))


def stamp_of(event: Event, place: int) -> Stamp:
    """The stamp of what the event says about the Patient."""
    return valid(event), CATALOGUE[event.type].movement is Movement.SNAPSHOT, place


def number_in(patient: Resource) -> NhsNumber | None:
    """The verified NHS number by which ``patient`` is linked; none when there are two different ones, which contradict each
    other."""
    stated = [one for one in patient.get("identifier", ()) if one.get("system") == NHS_NUMBER]
    numbers = {number for one in stated if (number := verified_number({"identifier": [one]}))}
    return numbers.pop() if len(numbers) == 1 else None


def own_person(key: str, number: NhsNumber | None, pseudonyms: Pseudonyms) -> PersonId:
    """The person that a record is by itself."""
    return pseudonyms.person_by_number(number) if number else pseudonyms.person_by_record(RecordKey(key))
