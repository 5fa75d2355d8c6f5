"""What a reader who follows a timeline has seen, what of it is new to them, and what of it stands no more. Pure.

Most entries are new because their event came into the log after all that was seen of their record. Two are not: those of a
record that became the person's, and an old one that came to stand when something late threw another light on it. A reader who
stayed knows exactly which entries they were told. One who was away brings a `Mark` for each record they saw; what is judged
anew changes its ``check``, and the entries of that record are then told again, all of them: twice rather than never. In the
same way they are told that entries are gone which they may never have had.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple


class Mark(NamedTuple):
    """What was seen of one record."""

    place: int
    """Of the last entry seen: those before it were seen as well."""
    check: int
    """Of what said nothing up to there, and of what was withdrawn: as long as it is the same, no older entry came to stand."""


Seen = Mapping[str, Mark]
"""By the record's key."""


class Stated(NamedTuple):
    """A version of a fact, as far as it matters to whoever was told it."""

    record: str
    place: int
    entry: str
    """Its id as an entry."""
    fact: str
    number: int | None
    """Among the versions of the fact; ``None`` of one that says nothing."""
    asked: bool
    """Whether the reader asks for entries like it."""


class Standing:
    """How the entries of a person stand at one moment."""

    def __init__(self, rows: Iterable[tuple[str, int, str | None]]) -> None:
        """``rows``: record, place and, of an entry that stands and was asked for, ``None``; of one that says nothing ``""``,
        of a withdrawal the fact it withdraws."""
        self.shown: defaultdict[str, list[int]] = defaultdict(list)
        """Record → places of the entries that were asked for, in order."""
        self._quiet: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for record, place, fact in sorted(rows, key=lambda row: row[1]):
            if fact is None:
                self.shown[record].append(place)
            else:
                self._quiet[record].append((place, fact))

    @property
    def places(self) -> frozenset[int]:
        """Of all entries that were asked for."""
        return frozenset(place for places in self.shown.values() for place in places)

    def mark(self, record: str, place: int) -> Mark:
        """The mark of a reader who has seen all of ``record`` up to ``place``."""
        before = bisect_right(self._quiet[record], place, key=lambda one: one[0])
        return Mark(place, zlib.crc32(repr(self._quiet[record][:before]).encode()))

    def holds(self, record: str, mark: Mark) -> bool:
        """Whether the record has entries here, and none up to ``mark`` was judged anew since it was made."""
        return record in self.shown and self.mark(record, mark.place) == mark

    def last(self, record: str) -> int:
        """Place of the last that is known of a record with entries."""
        return max([self.shown[record][-1], *(place for place, _ in self._quiet[record][-1:])])


def all_seen(standing: Standing) -> Seen:
    """The marks of a reader who has seen everything."""
    return {record: standing.mark(record, standing.last(record)) for record, places in standing.shown.items() if places}


def still_true(seen: Seen, standing: Standing) -> Seen:
    """Those of ``seen`` that nothing was judged anew behind."""
    return {record: mark for record, mark in seen.items() if standing.holds(record, mark)}


def gone(seen: Seen, standing: Standing, stated: Iterable[Stated]) -> list[str]:
    """Ids of the entries that a reader with these marks may have and that stand no more, in the order of the log.

    ``stated`` is all that was ever stated of the records of ``seen``. Where nothing was judged anew, what came since tells
    which facts have another newest version; else, and of a record that is another person's, it is all that does not stand.
    """
    told: list[Stated] = []
    of_record: defaultdict[str, list[Stated]] = defaultdict(list)
    for one in stated:
        of_record[one.record].append(one)
    for record, mark in seen.items():
        old = [one for one in of_record[record] if one.place <= mark.place]
        if standing.holds(record, mark):
            changed = {one.fact for one in of_record[record] if one.place > mark.place and one.number is not None}
            old = _newest(one for one in old if one.fact in changed)
        told += [one for one in old if one.asked and one.place not in standing.shown.get(record, ())]
    return [one.entry for one in sorted(told, key=lambda one: one.place)]


def _newest(versions: Iterable[Stated]) -> list[Stated]:
    """Of each fact the version that stood."""
    newest: dict[str, Stated] = {}
    for one in versions:
        if one.number is not None and (one.fact not in newest or one.number > (newest[one.fact].number or 0)):
            newest[one.fact] = one
    return list(newest.values())


def settled(seen: Seen, standing: Standing, fresh: Collection[int]) -> Seen:
    """The marks of a reader who was told what is gone, and none of ``fresh`` yet."""
    pending = {record for record, places in standing.shown.items() if not set(places).isdisjoint(fresh)}
    return {record: mark for record, mark in seen.items() if record in pending} | {
        record: mark for record, mark in all_seen(standing).items() if record not in pending
    }


def unseen(seen: Seen, standing: Standing) -> Iterator[int]:
    """Places of the entries that a reader with these marks was never told, or may not have been."""
    for record, places in standing.shown.items():
        mark = seen.get(record)
        yield from places if mark is None else places[bisect_right(places, mark.place) :]


def tell(seen: Seen, standing: Standing, fresh: Collection[int]) -> Iterator[tuple[int, Seen]]:
    """Each of ``fresh`` in the order of the log, and the marks of a reader who was told it.

    A mark moves on when all up to it were told: who leaves before that is told some of them twice.
    """
    marks, wanted = dict(seen), frozenset(fresh)
    steps: list[tuple[int, int | None, str]] = []
    for record, places in standing.shown.items():
        mine = [place for place in places if place in wanted]
        steps += [(place, following, record) for place, following in pairwise([*mine, None]) if place is not None]
    for place, following, record in sorted(steps, key=lambda step: step[0]):
        reached = max(place, marks[record].place if record in marks else place)
        if following is None or following > reached:
            marks[record] = standing.mark(record, reached)
        yield place, dict(marks)
