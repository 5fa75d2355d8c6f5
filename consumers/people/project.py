"""The people projection: which source records there are, what each says of its Patient, and whose they are.

There is no row of a person: a person is the records that have their id, and the id is a function of evidence
(`consumers.people.link`). So no race between two processes can make two people of one, and a rebuild gives the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.people.link import Merge, Own, link
from consumers.people.record import Record, number_in, own_person, stamp_of
from consumers.people.rows import PeopleRows
from consumers.place import place_of
from consumers.store.tables import PEOPLE, PeopleTables
from schemas.event import Event, decode
from schemas.identifiers import NHS_NUMBER, SOURCE_URN, LocalId, NhsNumber, RecordKey
from schemas.log import EVENTS
from schemas.log import Record as LogRecord
from schemas.pseudonyms import Pseudonyms
from schemas.resources.bundle import Resource, patient_of
from schemas.resources.person import local_ids, merged_identifiers

MERGED, WITHDRAWN = "records-merged-1", "entry-withdrawn-1"

_BEFORE_ALL = ("", False, 0)
"""Stamp of what is said of a record by the one that replaced it: what it says itself holds, whenever it says it."""


class _Heard(NamedTuple):
    """An event, read."""

    event: Event
    place: int
    patient: Resource

    @property
    def key(self) -> RecordKey:
        return RecordKey(self.event.partitionkey)

    @property
    def source(self) -> str:
        return self.event.source.removeprefix(SOURCE_URN)


class PeopleProjection:
    """Writes records and links them (`consumers.projection.Projection`)."""

    name = "people"
    topics = (EVENTS,)

    def __init__(self, pseudonyms: Pseudonyms, tables: PeopleTables = PEOPLE) -> None:
        self.tables = tables
        self._pseudonyms = pseudonyms
        self._rows = PeopleRows(tables)

    def onto(self, tables: PeopleTables) -> PeopleProjection:
        """See `consumers.projection.Projection.onto`."""
        return PeopleProjection(self._pseudonyms, tables)

    async def apply(self, records: Sequence[LogRecord], connection: AsyncConnection) -> None:
        """See `consumers.projection.Projection.apply`."""
        batch = _Batch(self._pseudonyms, self._rows, connection)
        await batch.hear([_hear(record) for record in records])
        await batch.link()
        await batch.write()


def _hear(record: LogRecord) -> _Heard:
    event = decode(record.value)
    return _Heard(event, place_of(record), patient_of(orjson.loads(bytes(event.data))) or {})


class _Batch:
    """The records that one transaction has to do with."""

    def __init__(self, pseudonyms: Pseudonyms, rows: PeopleRows, connection: AsyncConnection) -> None:
        self._pseudonyms = pseudonyms
        self._rows = rows
        self._connection = connection
        self._records: dict[str, Record] = {}
        self._merges: dict[tuple[str, str], Merge] = {}
        self._given: set[tuple[str, str]] = set()
        """Pairs (person, record): the ids that single events give."""
        self._local_ids: set[tuple[str, str]] = set()
        """Pairs (key, record): the keys that a record's local identifiers make."""

    async def hear(self, events: Sequence[_Heard]) -> None:
        """Take in what events say of records and of merges."""
        replaced = [(one, old, identifier) for one in events for old, identifier in self._replaced(one)]
        await self._read({one.key: one.source for one in events} | {old: one.source for one, old, _ in replaced})
        for one in events:
            self._hear(one)
        for _, old, identifier in replaced:  # what is known of a record before it says anything itself
            self._records[old].hear({"identifier": [identifier]}, _BEFORE_ALL)
        for record in self._records.values():
            record.settle(self._pseudonyms)

    async def _read(self, sources: Mapping[RecordKey, str]) -> None:
        for row in await self._rows.records(sources.keys() - self._records.keys(), self._connection):
            self._records[row.key] = Record(row, new=False)
        for key, source in sources.items():
            if key not in self._records:
                self._records[key] = Record.unknown(key, source, self._pseudonyms)

    def _hear(self, heard: _Heard) -> None:
        event, key, patient = heard.event, heard.key, heard.patient
        record = self._records[key]
        record.hear(patient, stamp_of(event, heard.place))
        record.seen(event.recordedtime)
        self._given.add((own_person(key, number_in(patient), self._pseudonyms), key))
        self._local_ids |= {(self._pseudonyms.record(*local_id), key) for local_id in local_ids(patient)}
        if event.type == WITHDRAWN:
            self._state(Merge(event.subject, "", "", event.order, heard.place))

    def _replaced(self, heard: _Heard) -> Iterator[tuple[RecordKey, Resource]]:
        """The records that the event's record replaces, and the identifier each is known by."""
        if heard.event.type != MERGED:
            return
        for identifier in merged_identifiers(heard.patient):
            old = self._key_of(identifier, heard.source)
            if old is not None and old != heard.key:
                self._state(Merge(heard.event.subject, old, heard.key, heard.event.order, heard.place))
                yield old, identifier

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
        """Say whose each record is whose evidence changed, and each that is joined with it by merges."""
        await self._rows.note(self._merges.values(), self._connection)
        stated = await self._rows.of_facts({fact for fact, _ in self._merges}, self._connection) if self._merges else []
        keys = {key for key, record in self._records.items() if record.own_changed}
        merges, keys = await self._joined(keys | _keys(stated))
        own = {key: Own(self._records[key].row.own_person, self._records[key].number is not None) for key in keys}
        for key, found in link(own, merges).items():
            row = self._records[key].row
            row.person, row.rule, row.root, row.merged_into = found.person, found.rule, found.root, found.merged_into

    async def _joined(self, keys: set[str]) -> tuple[list[Merge], set[str]]:
        """All merges that lead to or from ``keys``, however far, and all records they join; those are read and locked."""
        while True:
            merges = await self._rows.merges(keys, self._connection) if keys else []
            more = _keys(merges) - keys
            if not more:
                return merges, keys
            keys |= more
            await self._read(dict.fromkeys(map(RecordKey, more), ""))

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


def _keys(merges: Iterable[Merge]) -> set[str]:
    return {key for merge in merges for key in (merge.old, merge.new) if key}
