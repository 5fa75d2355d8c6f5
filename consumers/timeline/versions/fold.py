"""Orders the versions of one fact: which is the newest, which are silent, and until when each was the newest known.

Pure, and a function of the versions alone: the result does not depend on the order in which they arrived.

A version is *silent* (says nothing new) when it repeats the version before it, or withdraws a fact that is already withdrawn.
A silent version has no number. Whether a snapshot is silent is decided in `consumers.timeline.versions.known`, from all that
was known of its subject.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from consumers.timeline.versions.version import State, Version

_NEWEST = {False: State.CURRENT, True: State.WITHDRAWN}
_PAST = {False: State.PAST, True: State.PAST_WITHDRAWAL}


class RankedVersion(msgspec.Struct, gc=False):
    """Where a version stands among those of its fact."""

    version: Version
    """As it was before."""
    number: int | None
    state: int
    known_until: int | None
    latest: str
    replaces: str | None
    """Id of the event of the version it replaces."""


class FoldedFact(NamedTuple):
    """Where the versions of one fact stand."""

    versions: Sequence[RankedVersion]
    """In order."""
    newest: RankedVersion | None
    """What becomes of the newest stored version that came before them, if one was given."""


def fold(versions: Iterable[Version], silent: Collection[int] = (), newest: Version | None = None) -> FoldedFact:
    """Where each of ``versions`` of one fact stands: its number, its state and until when it was the newest known.

    Changes no version. ``silent`` are the places of the snapshots that repeat what was known. ``newest``, if given, is the
    newest stored version, and all of ``versions`` come after it (`comes_after`): the older stored ones need not be read.
    """
    stored = last = _as_stored(newest) if newest else None
    found: list[RankedVersion] = []
    for version in sorted(versions, key=lambda one: one.rank):
        if version.place in silent or _repeats(version, last):
            found.append(_silenced(version, last))
        else:
            last = _numbered(version, last)
            found.append(last)
    _date([stored, *found] if stored else found)
    return FoldedFact(found, stored)


def comes_after(version: Version, newest: Version) -> bool:
    """Whether ``version`` comes after ``newest`` and all that repeat it, and was recorded no earlier.

    Then no other stored version changes.
    """
    return version.order > newest.latest and version.recorded_at >= newest.recorded_at


def _as_stored(version: Version) -> RankedVersion:
    return RankedVersion(version, version.version, version.state, version.known_until, version.latest, None)


def _repeats(version: Version, last: RankedVersion | None) -> bool:
    if last is None:
        return False
    if version.withdraws:
        return last.version.withdraws
    return version.digest is not None and version.digest == last.version.digest


def _silenced(version: Version, last: RankedVersion | None) -> RankedVersion:
    """It has no number; the version it repeats, if there is one, now reaches up to it."""
    if last is not None:
        last.latest = max(last.latest, version.order)
    return RankedVersion(version, None, State.HIDDEN, None, version.order, None)


def _numbered(version: Version, last: RankedVersion | None) -> RankedVersion:
    """It is the newest, and ``last`` no longer is. A withdrawal of a fact that nobody stated is hidden."""
    if last is None:
        state = State.HIDDEN if version.withdraws else State.CURRENT
        return RankedVersion(version, 1, state, None, version.order, None)
    if last.state != State.HIDDEN:
        last.state = _PAST[last.version.withdraws]
    number = (last.number or 0) + 1
    return RankedVersion(version, number, _NEWEST[version.withdraws], None, version.order, last.version.event)


def _date(versions: Sequence[RankedVersion]) -> None:
    """Set ``known_until`` of each version to when a newer one was recorded."""
    until: int | None = None
    for one in reversed(versions):
        if one.number is not None:
            one.known_until = until
            recorded_at = one.version.recorded_at
            until = recorded_at if until is None else min(until, recorded_at)
