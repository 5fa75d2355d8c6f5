"""What a reader who follows a timeline has seen, and what of it is new to them. Pure.

Most entries are new because their event came into the log after all that was seen of their record. Two are not: those of a
record that became the person's, and an old one that came to stand when something late threw another light on it. A reader who
stayed knows exactly which entries they were told. One who was away brings a `Mark` for each record they saw; what is judged
anew changes its ``check``, and the entries of that record are then told again, all of them: twice rather than never.
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


Seen = Mapping[int, Mark]
"""By `name_of` the record."""


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


def name_of(record: str) -> int:
    """What a cursor calls a record: 32 bits, enough to tell apart those of one person."""
    return zlib.crc32(record.encode())


def all_seen(standing: Standing) -> Seen:
    """The marks of a reader who has seen everything."""
    return {name_of(record): standing.mark(record, places[-1]) for record, places in standing.shown.items() if places}


def still_true(seen: Seen, standing: Standing) -> Seen:
    """Those of ``seen`` that nothing was judged anew behind."""
    marks = {name_of(record): record for record in standing.shown}
    return {name: mark for name, mark in seen.items() if name in marks and standing.mark(marks[name], mark.place) == mark}


def unseen(seen: Seen, standing: Standing) -> Iterator[int]:
    """Places of the entries that a reader with these marks was never told, or may not have been."""
    for record, places in standing.shown.items():
        mark = seen.get(name_of(record))
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
        name = name_of(record)
        reached = max(place, marks[name].place if name in marks else place)
        if following is None or following > reached:
            marks[name] = standing.mark(record, reached)
        yield place, dict(marks)
