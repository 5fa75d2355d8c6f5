"""Which records are one person: pure, and a function of the evidence alone.

Two rules, both deterministic:

* Records with the same *verified* NHS number are one person's.
* A record that its source says was replaced by another belongs to the person of that other, to the end of the chain. Where the
  end of a chain has no number of its own and all the records replaced by it that have one agree, their number counts.

Evidence that contradicts itself (two verified numbers in one chain) is not guessed away: the end of the chain decides, or else
nobody is linked, and `consumers.people.query` shows the contradiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """Why a record belongs to its person."""

    ALONE = "own-record"
    """Nothing links it: it is a person by itself, so far."""
    NUMBER = "verified-nhs-number"
    MERGED = "merged-by-source"
    """Its source replaced it by another record."""
    MERGED_NUMBER = "verified-nhs-number-of-merged-record"
    """It has no number; the records its source replaced by it have one."""


class Merge(NamedTuple):
    """A row of ``person_merge``: a statement that a record replaces another, or (no records) that such a one is withdrawn."""

    fact: str
    old: str
    """Key of the record that was replaced; ``""`` of a withdrawal."""
    new: str
    order: str
    place: int

    @property
    def rank(self) -> tuple[str, bool, int]:
        """Of equals a withdrawal comes last, then the log decides."""
        return self.order, not self.old, self.place


class Own(NamedTuple):
    """What a record says by itself."""

    person: str
    numbered: bool
    """It has a verified NHS number."""


class Link(NamedTuple):
    """Where a record belongs."""

    person: str
    rule: Rule
    root: str | None
    merged_into: str | None


def standing(merges: Iterable[Merge]) -> dict[str, Merge]:
    """The merge that holds for each replaced record: of a fact its newest version, of several facts the newest."""
    newest: dict[str, Merge] = {}
    for merge in merges:
        known = newest.get(merge.fact)
        if known is None or merge.rank > known.rank:
            newest[merge.fact] = merge
    found: dict[str, Merge] = {}
    for merge in merges:
        last = newest[merge.fact]
        if not merge.old or not last.old or (merge.order, merge.place) != (last.order, last.place):
            continue
        if merge.old not in found or merge.rank > found[merge.old].rank:
            found[merge.old] = merge
    return _without_circles(found)


def _without_circles(merges: dict[str, Merge]) -> dict[str, Merge]:
    """Of merges that lead round in a circle the oldest is left out: it was said before anybody knew better."""
    for start in sorted(merges):
        path: list[str] = []
        key = start
        while key in merges and key not in path:
            path.append(key)
            key = merges[key].new
        if key in path:
            circle = path[path.index(key) :]
            del merges[min(circle, key=lambda one: merges[one].rank)]
    return merges


def link(records: Mapping[str, Own], merges: Iterable[Merge]) -> dict[str, Link]:
    """Where each of ``records`` belongs; they and ``merges`` are whole: no merge leads out of them."""
    into = standing(list(merges))
    roots = {key: _root(key, into) for key in records}
    chains: dict[str, list[str]] = {}
    for key, root in roots.items():
        chains.setdefault(root, []).append(key)
    found: dict[str, Link] = {}
    for root, keys in chains.items():
        person, rule = _person(root, keys, records)
        for key in keys:
            merge = into.get(key)
            found[key] = Link(person, Rule.MERGED if merge else rule, root if merge else None, merge.new if merge else None)
    return found


def _root(key: str, into: Mapping[str, Merge]) -> str:
    while key in into:
        key = into[key].new
    return key


def _person(root: str, keys: Iterable[str], records: Mapping[str, Own]) -> tuple[str, Rule]:
    own = records[root]
    if own.numbered:
        return own.person, Rule.NUMBER
    numbers = {records[key].person for key in keys if records[key].numbered}
    return (numbers.pop(), Rule.MERGED_NUMBER) if len(numbers) == 1 else (own.person, Rule.ALONE)
