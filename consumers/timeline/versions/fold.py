"""Orders the versions of one fact: which is the newest, which are silent, and until when each was the newest known.

Pure, and a function of the versions alone: the result does not depend on the order in which they arrived.

A version is *silent* (says nothing new) when it repeats the version before it, or withdraws a fact that is already withdrawn.
A silent version has no number. Whether a snapshot is silent is decided in `consumers.timeline.versions.known`, from all that
was known of its subject.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from consumers.timeline.versions.version import State, Version

_NEWEST = {False: State.CURRENT, True: State.WITHDRAWN}
_PAST = {False: State.PAST, True: State.PAST_WITHDRAWAL}


class RankedVersion(NamedTuple):
    """A version and the one it replaces."""

    version: Version
    replaces: str | None


def fold(versions: Iterable[Version], silent: Collection[int] = (), newest: Version | None = None) -> list[RankedVersion]:
    """Set number, state and ``known_until`` of each version of one fact, in place; returns the versions in order.

    ``silent`` are the places of the snapshots that repeat what was known. ``newest``, if given, is the newest stored version,
    and all of ``versions`` come after it (`comes_after`): it is changed too, and the older stored ones need not be read.
    """
    last, standing = newest, []
    for version in sorted(versions, key=lambda one: one.rank):
        if version.place in silent or _repeats(version, last):
            _silence(version, last)
            standing.append(RankedVersion(version, None))
            continue
        _number(version, last)
        standing.append(RankedVersion(version, last.event if last else None))
        last = version
    _date([newest, *(one.version for one in standing)] if newest else [one.version for one in standing])
    return standing


def comes_after(version: Version, newest: Version) -> bool:
    """Whether ``version`` comes after ``newest`` and all that repeat it, and was recorded no earlier.

    Then no other stored version changes.
    """
    return version.order > newest.latest and version.recorded_at >= newest.recorded_at


def _repeats(version: Version, last: Version | None) -> bool:
    if last is None:
        return False
    if version.withdraws:
        return last.withdraws
    return version.digest is not None and version.digest == last.digest


def _silence(version: Version, last: Version | None) -> None:
    version.version, version.state, version.known_until, version.latest = None, State.HIDDEN, None, version.order
    if last is not None:
        last.latest = max(last.latest, version.order)


def _number(version: Version, last: Version | None) -> None:
    """Make ``version`` the newest. A withdrawal of a fact that nobody stated is hidden."""
    version.version = (last.version or 0) + 1 if last else 1
    version.state = _NEWEST[version.withdraws] if last or not version.withdraws else State.HIDDEN
    version.latest = version.order
    if last is not None and last.state != State.HIDDEN:
        last.state = _PAST[last.withdraws]


def _date(versions: list[Version]) -> None:
    """Set ``known_until`` of each version to when a newer one was recorded."""
    until: int | None = None
    for version in reversed(versions):
        if version.version is not None:
            version.known_until = until
            until = version.recorded_at if until is None else min(until, version.recorded_at)
