"""What a transaction changed about whose the records are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from consumers.people.record import FoldedRecord
from consumers.store.outbox import Change, Happening


class NamedRecord(NamedTuple):
    """A person id that leads to a record, though the record may be another person's."""

    person: str
    record: str


def record_changes(
    records: Iterable[FoldedRecord], named: Iterable[NamedRecord], places: Mapping[str, int]
) -> Iterator[Change]:
    """The changes of ``records``. ``places`` says, by record, where in the log its last event of the transaction is.

    ``named`` are the ids that lead to a record from now on, though it is another person's.
    """
    among = {record.row.key: record for record in records}
    causes = _causes(among.values(), places)
    for key, record in among.items():
        before, now = record.person_before, record.row.person
        if before != now:
            yield Change(Happening.MOVED, _cause(record, causes), key, was=before, person=now)
    for person, key in sorted(named):
        record = among[key]
        if person not in (record.person_before, record.row.person):
            yield Change(Happening.NAMED, _cause(record, causes), key, was=person, person=record.row.person)


def _causes(records: Iterable[FoldedRecord], places: Mapping[str, int]) -> dict[str, int]:
    """By record and by person, before and after: the last event about it."""
    causes = {"": max(places.values(), default=0)}
    for record in records:
        place = places.get(record.row.key)
        for name in (record.row.key, record.person_before, record.row.person):
            if name and place is not None:
                causes[name] = max(place, causes.get(name, place))
    return causes


def _cause(record: FoldedRecord, causes: Mapping[str, int]) -> int:
    """A record moves because of an event about itself or, when it is merged or parted, about one it is or was joined to."""
    names = (record.row.key, record.row.person, record.person_before or "", "")
    return next(causes[name] for name in names if name in causes)
