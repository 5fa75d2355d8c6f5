"""The people projection: which source records exist, what each says about its Patient, and whose they are.

People have no rows of their own: a person is the set of records with their id, and the id is a function of the evidence
(`consumers.people.link`). So no race between two processes can make two people out of one, and a rebuild gives the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.payload import patient_in
from consumers.people.changes import NamedRecord, record_changes
from consumers.people.link import Merge, Own, link
from consumers.people.record import BEFORE_ALL, FoldedRecord, Heard, number_in, own_person, stamp_of
from consumers.people.rows import PeopleRows
from consumers.people.tables import NAME, PEOPLE_TABLES, TOPICS, PeopleTables
from consumers.place import place_of
from consumers.store.outbox import Change, Outbox
from schemas.event import Event, decode
from schemas.fhir.bundle import Resource
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, LocalId, NhsNumber, RecordKey
from schemas.log import Record
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import local_ids, merged_identifiers

MERGED, WITHDRAWN = "records-merged-1", "entry-withdrawn-1"


class _PatientEvent(NamedTuple):
    """An event, read as far as its Patient."""

    event: Event
    heard: Heard
    place: int

    @property
    def source(self) -> str:
        return self.event.source.removeprefix(SOURCE_URN)


class PeopleProjection:
    """Writes records and links them (`consumers.projection.Projection`), and into the outbox which ones moved.

    Onto other tables than the live ones it moves nobody, and writes nothing into the outbox.
    """

    name = NAME
    topics = TOPICS

    def __init__(self, pseudonyms: Pseudonyms, tables: PeopleTables = PEOPLE_TABLES) -> None:
        self.tables = tables
        self._pseudonyms = pseudonyms
        self._rows = PeopleRows(tables)
        self._outbox = Outbox() if tables is PEOPLE_TABLES else None

    def onto(self, tables: PeopleTables) -> PeopleProjection:
        """See `consumers.projection.Projection.onto`."""
        return PeopleProjection(self._pseudonyms, tables)

    async def apply(self, records: Sequence[Record], connection: AsyncConnection) -> None:
        """See `consumers.projection.Projection.apply`."""
        batch = _Batch(self._pseudonyms, self._rows, connection)
        await batch.hear([_decoded(record) for record in records])
        await batch.link()
        changes = await batch.changes() if self._outbox else ()
        await batch.write()
        if self._outbox:
            await self._outbox.put(changes, connection)


def _decoded(record: Record) -> _PatientEvent:
    event, place = decode(record.value), place_of(record)
    return _PatientEvent(event, Heard(stamp_of(event, place), patient_in(event)), place)


class _Batch:
    """The records involved in one transaction."""

    def __init__(self, pseudonyms: Pseudonyms, rows: PeopleRows, connection: AsyncConnection) -> None:
        self._pseudonyms = pseudonyms
        self._rows = rows
        self._connection = connection
        self._records: dict[str, FoldedRecord] = {}
        self._merges: dict[tuple[str, str], Merge] = {}
        self._given: set[tuple[str, str]] = set()
        """Pairs (person, record): the ids given by single events."""
        self._local_ids: set[tuple[str, str]] = set()
        """Pairs (key, record): the keys made from a record's local identifiers."""
        self._places: dict[str, int] = {}
        """Record → place of its last event."""

    async def hear(self, events: Sequence[_PatientEvent]) -> None:
        """Take in what events say about records and merges."""
        await self._read({one.event.partitionkey: one.source for one in events})
        self._places = {one.event.partitionkey: one.place for one in sorted(events, key=lambda one: one.place)}
        replaced: dict[str, tuple[str, Resource]] = {}
        for one in events:
            patient = self._hear(one)
            if one.event.type in (MERGED, WITHDRAWN):
                replaced |= self._merge(one, patient or orjson.loads(one.heard.patient))
        await self._read({key: source for key, (source, _) in replaced.items()})
        for key, (_, identifier) in replaced.items():
            self._records[key].hear(Heard(BEFORE_ALL, orjson.dumps({"identifier": [identifier]})))
        for record in self._records.values():
            record.settle(self._pseudonyms)

    async def _read(self, sources: Mapping[str, str]) -> None:
        wanted = sources.keys() - self._records.keys()
        for row in await self._rows.records(wanted, self._connection) if wanted else ():
            self._records[row.key] = FoldedRecord(row, new=False)
        for key in wanted - self._records.keys():
            self._records[key] = FoldedRecord.unknown(key, sources[key])

    def _hear(self, read: _PatientEvent) -> Resource | None:
        key = read.event.partitionkey
        record = self._records[key]
        record.seen(read.event.recordedtime)
        patient = record.hear(read.heard)
        if patient is not None:
            self._given.add((own_person(key, number_in(patient), self._pseudonyms), key))
            self._local_ids |= {(self._pseudonyms.record(*local_id), key) for local_id in local_ids(patient)}
        return patient

    def _merge(self, read: _PatientEvent, patient: Resource) -> dict[str, tuple[str, Resource]]:
        """Note the merges that are stated; returns the replaced records, with the source and the identifier of each."""
        event, key = read.event, read.event.partitionkey
        if event.type == WITHDRAWN:
            self._state(Merge(event.subject, "", "", event.order, read.place))
            return {}
        replaced: dict[str, tuple[str, Resource]] = {}
        for identifier in merged_identifiers(patient):
            old = self._key_of(identifier, read.source)
            if old is not None and old != key:
                self._state(Merge(event.subject, old, key, event.order, read.place))
                replaced[old] = (read.source, identifier)
        return replaced

    def _key_of(self, identifier: Resource, source: str) -> RecordKey | None:
        system, value = identifier.get("system", ""), identifier.get("value", "")
        if system == NHS_NUMBER:
            return self._pseudonyms.record_by_number(source, NhsNumber(value))
        return (
            self._pseudonyms.record(system.removeprefix(SOURCE_URN), LocalId(value)) if system.startswith(SOURCE_URN) else None
        )

    def _state(self, merge: Merge) -> None:
        known = self._merges.get((merge.fact, merge.old))
        if known is None or merge.rank > known.rank:
            self._merges[merge.fact, merge.old] = merge

    async def link(self) -> None:
        """Decide whose each record is: those whose evidence changed, and all that merges join to them."""
        await self._rows.note(self._merges.values(), self._connection)
        stated = await self._rows.of_facts({fact for fact, _ in self._merges}, self._connection) if self._merges else []
        keys = {key for key, record in self._records.items() if record.own_changed}
        merges, keys = await self._joined(keys | _keys(stated))
        own = {key: Own(self._records[key].row.own_person, self._records[key].number is not None) for key in keys}
        for key, found in link(own, merges).items():
            row = self._records[key].row
            row.person, row.rule, row.root, row.merged_into = found.person, found.rule, found.root, found.merged_into

    async def _joined(self, keys: set[str]) -> tuple[list[Merge], set[str]]:
        """All merges leading to or from ``keys``, however far, and all records they join, which are read and locked."""
        while True:
            await self._read(dict.fromkeys(keys, ""))
            merges = await self._rows.merges(keys, self._connection) if keys else []
            if _keys(merges) <= keys:
                return merges, keys
            keys |= _keys(merges)

    async def write(self) -> None:
        """Write what changed."""
        changed = [record for record in self._records.values() if record.changed]
        await self._rows.insert([record.row for record in changed if record.new], self._connection)
        await self._rows.update([record.row for record in changed if not record.new], self._connection)
        before = {(record.own_before, key) for key, record in self._records.items() if record.own_before}
        now = {(record.row.own_person, key) for key, record in self._records.items()}
        returned = {(record.row.own_person, key) for key, record in self._records.items() if record.own_before}
        await self._rows.former((self._given | before) - now, returned, self._connection)
        await self._rows.local_ids({(key, record) for key, record in self._local_ids if key != record}, self._connection)

    async def changes(self) -> list[Change]:
        """What all this changes about whose the records are, once they are linked and before they are written."""
        rows = {key: record.row for key, record in self._records.items()}
        given = {(person, key) for person, key in self._given if person != rows[key].own_person}
        moved = [record for record in self._records.values() if record.own_changed]
        own = {(person, one.row.key) for one in moved for person in (one.row.own_person, one.own_before) if person}
        named = {NamedRecord(person, key) for person, key in own | given if person != rows[key].person}
        keys = {one.record for one in named}
        named -= await self._rows.formers(keys, self._connection) if keys else set()
        return sorted(record_changes(self._records.values(), named, self._places), key=lambda change: change.cause)


def _keys(merges: Iterable[Merge]) -> set[str]:
    return {key for merge in merges for key in (merge.old, merge.new) if key}
