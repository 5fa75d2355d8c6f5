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

from consumers.timeline.versions.compose import Told
from consumers.timeline.versions.version import Version

REPEATED = frozenset({"move", "leave of absence", "return from leave"})
"""Kinds of movement that may happen several times in one stay."""


def kind_of(told: Told) -> str:
    """The kind of repeatable movement that the event states or withdraws; ``""`` if there is none."""
    found = told.row.moves or told.movement
    return found if found in REPEATED else ""


def own_fact(version: Version) -> str:
    """The fact that the event itself names."""
    return version.named or version.fact


def aim(history: Iterable[Told], stated: Collection[str]) -> None:
    """Assign to every stray withdrawal of one stay the fact it withdraws.

    ``history`` are all events of that stay; ``stated`` are the facts named in it that somebody stated.

    Changes ``fact`` and ``named`` of withdrawals: ``named`` is set on those that are stray and cleared on the others.
    """
    moves = [(kind, told.version) for told in history if (kind := kind_of(told))]
    facts: defaultdict[str, list[tuple[str, Version]]] = defaultdict(list)
    stray: list[tuple[str, Version]] = []
    for kind, version in moves:
        own = own_fact(version)
        version.named, version.fact = (own, own) if version.withdraws and own not in stated else (None, own)
        if version.named is None:
            facts[version.fact].append((kind, version))
        else:
            stray.append((kind, version))
    for kind, version in sorted(stray, key=lambda one: one[1].rank):
        aims = [last for told in facts.values() if (last := _standing(told, kind, version)) is not None]
        if aims:
            version.fact = max(aims, key=lambda one: (one.occurred_at, one.rank)).fact
            facts[version.fact].append((kind, version))


def _standing(told: list[tuple[str, Version]], kind: str, before: Version) -> Version | None:
    """The newest version of a fact of that kind before ``before`` was written down; ``None`` if it is a withdrawal."""
    versions = [version for one, version in told if one == kind and version.rank < before.rank]
    newest = max(versions, key=lambda one: one.rank, default=None)
    return None if newest is None or newest.withdraws else newest
