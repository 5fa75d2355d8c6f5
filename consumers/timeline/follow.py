"""Works out, for a reader who follows a timeline, which entries are new to them and which are gone. Pure.

Most entries are new because their event was appended to the log after everything the reader saw of that record. There are two
exceptions: entries of a record that became the person's, and an old entry that became current because of an event that arrived
late. For a reader who stayed connected, the entries they were sent are known exactly. A reader who comes back brings a
`RecordMark` for each record they saw. When an entry up to that mark has been judged again, the mark's ``check`` differs, and
all entries of that record are sent again: better twice than never. For the same reason such a reader may be told that entries
are gone which they never had.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple


class RecordMark(NamedTuple):
    """How far a reader has seen one record."""

    place: int
    """Place of the last entry seen; those before it were seen as well."""
    check: int
    """Checksum of the silent versions and the withdrawals up to there. While it is the same, no older entry became current."""


Seen = Mapping[str, RecordMark]
"""Record key → how far it was seen."""


class FollowedVersion(NamedTuple):
    """A version of a fact, reduced to what decides whether a reader must be told that it is gone."""

    record: str
    place: int
    entry: str
    """Id of the entry."""
    fact: str
    number: int | None
    """Number among the versions of the fact; ``None`` if it is silent."""
    asked: bool
    """Whether the reader's filters include it."""


class TimelineState:
    """Which entries of a person are current, silent and withdrawn at one moment."""

    def __init__(self, rows: Iterable[tuple[str, int, str | None]]) -> None:
        """``rows``: record, place, and ``None`` for a current entry that was asked for, ``""`` for a silent version, or the
        fact withdrawn for a withdrawal."""
        self.shown: defaultdict[str, list[int]] = defaultdict(list)
        """Record → places of the current entries that were asked for, in order."""
        self._quiet: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for record, place, fact in sorted(rows, key=lambda row: row[1]):
            if fact is None:
                self.shown[record].append(place)
            else:
                self._quiet[record].append((place, fact))

    @property
    def places(self) -> frozenset[int]:
        """Places of all current entries that were asked for."""
        return frozenset(place for places in self.shown.values() for place in places)

    def mark(self, record: str, place: int) -> RecordMark:
        """The mark of a reader who has seen all of ``record`` up to ``place``."""
        before = bisect_right(self._quiet[record], place, key=lambda one: one[0])
        return RecordMark(place, zlib.crc32(repr(self._quiet[record][:before]).encode()))

    def holds(self, record: str, mark: RecordMark) -> bool:
        """Whether the record has entries here, and none up to ``mark`` has been judged again since the mark was made."""
        return record in self.shown and self.mark(record, mark.place) == mark

    def last(self, record: str) -> int:
        """Place of the last version of ``record``, which must have entries."""
        return max([self.shown[record][-1], *(place for place, _ in self._quiet[record][-1:])])


def all_seen(standing: TimelineState) -> Seen:
    """The marks of a reader who has seen everything."""
    return {record: standing.mark(record, standing.last(record)) for record, places in standing.shown.items() if places}


def still_true(seen: Seen, standing: TimelineState) -> Seen:
    """The marks of ``seen`` up to which nothing has been judged again."""
    return {record: mark for record, mark in seen.items() if standing.holds(record, mark)}


def gone(seen: Seen, standing: TimelineState, versions: Iterable[FollowedVersion]) -> list[str]:
    """Ids of entries that a reader with these marks may have and that are no longer current, in the order of the log.

    ``versions`` are all versions ever stored for the records of ``seen``. For a record in which nothing was judged again, only
    facts with a version after the mark are looked at. For any other, and for one that now belongs to another person, every
    version that is not current is reported.
    """
    missing: list[FollowedVersion] = []
    of_record: defaultdict[str, list[FollowedVersion]] = defaultdict(list)
    for one in versions:
        of_record[one.record].append(one)
    for record, mark in seen.items():
        old = [one for one in of_record[record] if one.place <= mark.place]
        if standing.holds(record, mark):
            changed = {one.fact for one in of_record[record] if one.place > mark.place and one.number is not None}
            old = _newest(one for one in old if one.fact in changed)
        missing += [one for one in old if one.asked and one.place not in standing.shown.get(record, ())]
    return [one.entry for one in sorted(missing, key=lambda one: one.place)]


def _newest(versions: Iterable[FollowedVersion]) -> list[FollowedVersion]:
    """The version of each fact with the highest number."""
    newest: dict[str, FollowedVersion] = {}
    for one in versions:
        if one.number is not None and (one.fact not in newest or one.number > (newest[one.fact].number or 0)):
            newest[one.fact] = one
    return list(newest.values())


def settled(seen: Seen, standing: TimelineState, fresh: Collection[int]) -> Seen:
    """The marks of a reader who has been told what is gone, but none of ``fresh`` yet."""
    pending = {record for record, places in standing.shown.items() if not set(places).isdisjoint(fresh)}
    return {record: mark for record, mark in seen.items() if record in pending} | {
        record: mark for record, mark in all_seen(standing).items() if record not in pending
    }


def unseen(seen: Seen, standing: TimelineState) -> Iterator[int]:
    """Places of the entries that a reader with these marks has not, or may not have, been sent."""
    for record, places in standing.shown.items():
        mark = seen.get(record)
        yield from places if mark is None else places[bisect_right(places, mark.place) :]


def tell(seen: Seen, standing: TimelineState, fresh: Collection[int]) -> Iterator[tuple[int, Seen]]:
    """Each of ``fresh`` in the order of the log, with the marks of a reader who has been sent it.

    A mark only moves on when every entry up to it has been sent: a reader who leaves before that gets some of them twice.
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
