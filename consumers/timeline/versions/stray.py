"""Stray withdrawals, which name a fact that nobody stated, and what they withdraw instead.

A move or a leave may happen several times in one stay, so its time is part of the fact's key. When a sender writes another time
into the cancellation, the fact it names does not exist. Such a withdrawal applies to the newest movement of its kind in the
stay (by when it happened) that was written down before the withdrawal and still stands, and to nothing else. Withdrawals are
assigned in the order in which they were written down, so that the order of arrival changes nothing.

Source: HL7 v2.4 §3.3.1.6: EVN-6 of a cancellation is the time of what is cancelled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from consumers.timeline.versions.compose import ComposedEvent
from consumers.timeline.versions.version import Version

REPEATED = frozenset({"move", "leave of absence", "return from leave"})
"""Kinds of movement that may happen several times in one stay."""


def kind_of(event: ComposedEvent) -> str:
    """The kind of repeatable movement that the event states or withdraws; ``""`` if there is none."""
    found = event.row.moves or event.movement
    return found if found in REPEATED else ""


def own_fact(version: Version) -> str:
    """The fact that the event itself names."""
    return version.named or version.fact


class Aim(NamedTuple):
    """The fact that a movement belongs to."""

    fact: str
    named: str | None
    """The fact that it names, if it is a stray withdrawal; ``None`` for anything else."""


def aim(history: Iterable[ComposedEvent], stated: Collection[str]) -> dict[int, Aim]:
    """The fact that each movement of one stay belongs to, by the place of its version; ``history`` is left as it is.

    ``history`` are all events of that stay; ``stated`` are the facts named in it that somebody stated.
    """
    aims: dict[int, Aim] = {}
    facts: defaultdict[str, list[tuple[str, Version]]] = defaultdict(list)
    stray: list[tuple[str, Version]] = []
    for kind, version in [(kind, event.version) for event in history if (kind := kind_of(event))]:
        own = own_fact(version)
        if version.withdraws and own not in stated:
            stray.append((kind, version))
        else:
            aims[version.place] = Aim(own, None)
            facts[own].append((kind, version))
    for kind, version in sorted(stray, key=lambda one: one[1].rank):
        fact = own = own_fact(version)
        standing = {
            fact: last for fact, movements in facts.items() if (last := _standing(movements, kind, version)) is not None
        }
        if standing:
            fact = max(standing, key=lambda one: (standing[one].occurred_at, standing[one].rank))
            facts[fact].append((kind, version))
        aims[version.place] = Aim(fact, own)
    return aims


def _standing(movements: list[tuple[str, Version]], kind: str, before: Version) -> Version | None:
    """The newest version of a fact of that kind before ``before`` was written down; ``None`` if it is a withdrawal."""
    versions = [version for one, version in movements if one == kind and version.rank < before.rank]
    newest = max(versions, key=lambda one: one.rank, default=None)
    return None if newest is None or newest.withdraws else newest
