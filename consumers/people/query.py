"""Finds out who somebody is: from an identifier to a person, and from a person to their records.

Identifiers are only ever compared as the keys or ids they make; no searched column contains one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BindParameter, bindparam, select, union

from consumers.database.database import Database
from consumers.database.statement import Among, SqlStatement, listed
from consumers.people.link import LinkRule
from consumers.people.tables import PEOPLE_TABLES
from schemas.fhir.bundle import Resource
from schemas.identifiers import LocalId, NhsNumber, PersonId, RecordKey
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source

_RECORD, _, _FORMER, _LOCAL_ID = PEOPLE_TABLES
_ELSEWHERE = _RECORD.c.own_person != _RECORD.c.person
_ASKED: BindParameter[str] = bindparam("its_person")

_OF_PERSON = SqlStatement(select(_RECORD).where(_RECORD.c.person == _ASKED).order_by(_RECORD.c.key))
_OF_KEY = SqlStatement(
    union(
        select(_RECORD.c.person).where(_RECORD.c.key == bindparam("its_key")),
        select(_RECORD.c.person)
        .join(_LOCAL_ID, _LOCAL_ID.c.record == _RECORD.c.key)
        .where(_LOCAL_ID.c.key == bindparam("its_key")),
    )
)
_OWN = SqlStatement(
    union(
        select(_RECORD.c.person).where(_RECORD.c.person == _ASKED, _RECORD.c.own_person == _ASKED),
        select(_RECORD.c.person).where(_RECORD.c.own_person == _ASKED, _ELSEWHERE),
    )
)
_FORMERLY = SqlStatement(
    union(
        select(_RECORD.c.person).where(_RECORD.c.own_person == _ASKED, _ELSEWHERE),
        select(_RECORD.c.person).join(_FORMER, _FORMER.c.record == _RECORD.c.key).where(_FORMER.c.person == _ASKED),
    )
)
_PATIENTS = SqlStatement(
    select(*(_RECORD.c[name] for name in ("person", "key", "source", "patient")))
    .where(_RECORD.c.person == _ASKED)
    .order_by(_RECORD.c.key)
)
_FORMER_OF = SqlStatement(select(_FORMER).where(Among(_FORMER.c.record, "keys")))


class KnownPatient(NamedTuple):
    """A person as one record describes them."""

    person: PersonId
    """Their current id."""
    record: RecordKey
    source: str
    """Id."""
    sector: str
    """``""`` when the source is no longer declared."""
    patient: Resource
    refers: bool = True
    """Whether it may hold a reference."""


class PeopleQuery:
    """Answers from the people projection. Every method raises `StoreUnavailable`."""

    def __init__(self, database: Database, pseudonyms: Pseudonyms, sources: Mapping[str, Source]) -> None:
        self._database = database
        self._pseudonyms = pseudonyms
        self._sources = sources

    async def by_number(self, number: NhsNumber) -> PersonId | None:
        """The person with this verified NHS number. A number that a record once had and that was corrected finds nobody."""
        person = self._pseudonyms.person_by_number(number)
        return self._one(await self._rows(_OWN, its_person=person), person)

    async def by_local_id(self, source: str, local_id: LocalId) -> PersonId | None:
        """The person of the record that ``source`` knows by ``local_id``, as its own or among its other identifiers."""
        return self._one(await self._rows(_OF_KEY, its_key=self._pseudonyms.record(source, local_id)))

    async def current(self, person: PersonId) -> PersonId | None:
        """The current id of ``person``: the same, or wherever its records went. ``None`` if it was never given out.

        When its records went to different people, the first of their ids is returned, and `person` shows the contradiction.
        """
        if await self._rows(_OF_PERSON, its_person=person):
            return person
        return self._one(await self._rows(_FORMERLY, its_person=person))

    async def person(self, person: PersonId) -> dict[str, Any] | None:
        """A person's records, the rules that linked them, their identifiers, and any contradictions.

        ``person`` may be an earlier id of theirs. ``None`` if there is no such person.
        """
        found, records = await self._found(person)
        if found is None:
            return None
        former = await self._rows(_FORMER_OF, keys=listed([row.key for row in records], self._database.dialect))
        return {
            "person": found,
            "records": [self._record(row) for row in records],
            "former": sorted({person for person, _ in former} | {row.own_person for row in records} - {found}),
            "contradictions": list(_contradictions(found, records, former, self._pseudonyms)),
        }

    async def patients(self, person: PersonId) -> list[KnownPatient]:
        """The Patient according to each of the person's records, by key; empty if there is no such person.

        ``person`` may be an earlier id of theirs, as in `current`.
        """
        found = await self._patients(person)
        if not found:
            now = self._one(await self._rows(_FORMERLY, its_person=person))
            found = await self._patients(now) if now else ()
        return [
            KnownPatient(now, key, source, self._sector(source), orjson.loads(text), '"reference"' in text)
            for now, key, source, text in found
        ]

    async def _patients(self, person: PersonId) -> Sequence[Any]:
        composed = _PATIENTS.on(self._database.dialect)
        return await self._database.fetch(composed.text, composed.bind({"its_person": person}))

    async def _found(self, person: PersonId) -> tuple[PersonId | None, Sequence[Any]]:
        records = await self._rows(_OF_PERSON, its_person=person)
        if records:
            return person, records
        found = self._one(await self._rows(_FORMERLY, its_person=person))
        return found, await self._rows(_OF_PERSON, its_person=found) if found else ()

    def _record(self, row: Any) -> dict[str, Any]:
        source = self._sources.get(row.source)
        return {
            "record": row.key,
            "source": {"id": row.source, "name": source.name if source else row.source, "sector": self._sector(row.source)},
            "rule": row.rule,
            "merged_into": row.merged_into,
            "identifiers": orjson.loads(row.patient).get("identifier", []),
            "first_at": row.first_at or None,
            "last_at": row.last_at or None,
        }

    def _sector(self, source: str) -> str:
        declared = self._sources.get(source)
        return str(declared.sector) if declared else ""

    async def _rows(self, statement: SqlStatement, **values: Any) -> Sequence[Any]:
        async with self._database.reading() as connection:
            return await statement.rows(connection, values)

    @staticmethod
    def _one(rows: Sequence[Any], preferred: PersonId | None = None) -> PersonId | None:
        """The preferred person among those found, else the first by id, so that everybody gets the same answer."""
        people = sorted(row.person for row in rows)
        if preferred in people:
            return preferred
        return PersonId(people[0]) if people else None


def _contradictions(
    person: str, records: Sequence[Any], former: Sequence[Any], pseudonyms: Pseudonyms
) -> Iterator[dict[str, Any]]:
    """Contradictions in the evidence. Numbers are named by the person ids they give, never as such."""
    numbered = {row.own_person for row in records if row.own_person != pseudonyms.person_by_record(row.key)}
    if len(numbered) > 1:
        yield {"code": "verified-numbers-differ", "people": sorted(numbered), "records": [row.key for row in records]}
    for row in records:
        alone = pseudonyms.person_by_record(row.key)
        ids = {one for one, key in former if key == row.key} | {row.own_person}
        if len(ids - {alone}) > 1:
            yield {"code": "verified-number-changed", "people": sorted(ids - {alone}), "records": [row.key]}
    if not any(row.rule != LinkRule.MERGED for row in records):
        yield {"code": "no-surviving-record", "people": [person], "records": [row.key for row in records]}
