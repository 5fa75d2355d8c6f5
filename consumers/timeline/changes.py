"""What a transaction changed on timelines: which entries became current, and which no longer are. Pure.

A repeated event and a version that says nothing new change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from consumers.store.outbox import Change, Happening
from consumers.timeline.versions.version import State, Version

_SHOWN = frozenset({State.CURRENT, State.WITHDRAWN})
_BECAME: Mapping[int, Happening] = {
    State.CURRENT: Happening.NEW,
    State.WITHDRAWN: Happening.WITHDRAWN,
    State.PAST: Happening.REPLACED,
    State.PAST_WITHDRAWAL: Happening.REPLACED,
    State.HIDDEN: Happening.SILENCED,
}


class Rejudged(NamedTuple):
    """A stored version that was judged again."""

    version: Version
    before: int
    """Its state before."""
    after: int

    @property
    def shows(self) -> bool:
        """Whether anybody who reads the timeline can tell."""
        return self.before != self.after and (self.before in _SHOWN or self.after in _SHOWN)


def entry_changes(new: Sequence[Version], stored: Iterable[Rejudged]) -> list[Change]:
    """The changes, in the order of the log, that ``new`` versions and ``stored`` ones that were judged again make."""
    judged = [Rejudged(version, State.HIDDEN, version.state) for version in new]
    changed = [one for one in (*judged, *stored) if one.shows]
    if not changed:
        return []
    last = {name: version.place for version in sorted(new, key=_place) for name in (version.record, version.fact)}
    made = [_change(one, last) for one in changed]
    return sorted(made, key=lambda change: (change.cause, change.entry))


def _change(judged: Rejudged, last: Mapping[str, int]) -> Change:
    """Versions of a fact may be of several records: the event about the fact counts before one about the record."""
    version = judged.version
    cause = last.get(version.fact) or last.get(version.record) or max(last.values())
    return Change(_BECAME[judged.after], cause, version.record, version.place)


def _place(version: Version) -> int:
    return version.place
