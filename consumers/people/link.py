"""Decides which records are one person: pure, and a function of the evidence alone.

Two rules, both deterministic:

* Records with the same *verified* NHS number belong to one person.
* A record that its source replaced by another belongs to that other's person, and so on to the end of the chain. When the end
  of a chain has no number of its own, and all the replaced records that have one agree, their number counts.

Contradictory evidence (two verified numbers in one chain) is never resolved by guessing: the end of the chain decides, or
nobody is linked, and `consumers.people.query` shows the contradiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple


class LinkRule(StrEnum):
    """Why a record belongs to its person."""

    ALONE = "own-record"
    """Nothing links it, so for now it is a person by itself."""
    NUMBER = "verified-nhs-number"
    MERGED = "merged-by-source"
    """Its source replaced it with another record."""
    MERGED_NUMBER = "verified-nhs-number-of-merged-record"
    """It has no number, but the records it replaced have one."""


class Merge(NamedTuple):
    """A row of ``person_merge``: a statement that one record replaces another or, without records, that such a statement is
    withdrawn."""

    fact: str
    old: str
    """Key of the record that was replaced; ``""`` for a withdrawal."""
    new: str
    order: str
    place: int

    @property
    def rank(self) -> tuple[str, bool, int]:
        """Order among statements: between equals a withdrawal comes last, then the log decides."""
        return self.order, not self.old, self.place


class Own(NamedTuple):
    """What a record says by itself."""

    person: str
    numbered: bool
    """Whether it has a verified NHS number."""


class Link(NamedTuple):
    """Where a record belongs."""

    person: str
    rule: LinkRule
    root: str | None
    merged_into: str | None


def standing(merges: Iterable[Merge]) -> dict[str, Merge]:
    """The merge in force for each replaced record: the newest version of a fact and, among several facts, the newest."""
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
    """``merges`` without circles: the oldest merge of a circle is left out, as it was said before anybody knew better."""
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
    """Where each of ``records`` belongs. They must be complete: no merge may lead to a record outside them."""
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
            found[key] = Link(person, LinkRule.MERGED if merge else rule, root if merge else None, merge.new if merge else None)
    return found


def _root(key: str, into: Mapping[str, Merge]) -> str:
    while key in into:
        key = into[key].new
    return key


def _person(root: str, keys: Iterable[str], records: Mapping[str, Own]) -> tuple[str, LinkRule]:
    own = records[root]
    if own.numbered:
        return own.person, LinkRule.NUMBER
    numbers = {records[key].person for key in keys if records[key].numbered}
    return (numbers.pop(), LinkRule.MERGED_NUMBER) if len(numbers) == 1 else (own.person, LinkRule.ALONE)
