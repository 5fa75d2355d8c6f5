"""How the versions of one fact stand, whatever order they come in."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from consumers.timeline.versions.compose import ComposedEvent, compose
from consumers.timeline.versions.fold import RankedVersion, comes_after, fold
from consumers.timeline.versions.version import State, Version
from schemas.event import Event
from tests.consumers.build import SOURCES, logged, said, stay

ADMITTED, CANCELLED = "encounter-admitted-1", "encounter-cancelled-1"


def admitted(minutes: float, ward: str = "Kingsmill Ward", **more: object) -> Event:
    return said(ADMITTED, "admission", minutes, focus=stay(ward), **more)  # type: ignore[arg-type]


def cancelled(minutes: float, **more: object) -> Event:
    return said(CANCELLED, "admission", minutes, focus=stay(), **more)  # type: ignore[arg-type]


def versions(*events: Event) -> list[Version]:
    composed: list[ComposedEvent] = [compose(record, SOURCES) for record in logged(events)]
    return [one.version for one in composed]


def standing(*found: Version) -> list[tuple[str, int, int | None]]:
    return [(one.version.type.split("-")[1], one.state, one.number) for one in fold(found).versions]


def ranked(one: RankedVersion) -> Version:
    """The version as it stands then."""
    return replace(one.version, version=one.number, state=one.state, known_until=one.known_until, latest=one.latest)


STORIES = {
    "one": ([admitted(0)], [("admitted", State.CURRENT, 1)]),
    "corrected": (
        [admitted(0), admitted(0, "Rowan Ward", sequence="2026-03-01T10")],
        [("admitted", State.PAST, 1), ("admitted", State.CURRENT, 2)],
    ),
    "sent again under another control id": (
        [admitted(0), admitted(0, nonce="again")],
        [("admitted", State.CURRENT, 1), ("admitted", State.HIDDEN, None)],
    ),
    "cancelled": (
        [admitted(0), cancelled(5)],
        [("admitted", State.PAST, 1), ("cancelled", State.WITHDRAWN, 2)],
    ),
    "cancelled twice": (
        [admitted(0), cancelled(5), cancelled(6)],
        [("admitted", State.PAST, 1), ("cancelled", State.WITHDRAWN, 2), ("cancelled", State.HIDDEN, None)],
    ),
    "cancelled, then stated again": (
        [admitted(0), cancelled(5), admitted(9)],
        [("admitted", State.PAST, 1), ("cancelled", State.PAST_WITHDRAWAL, 2), ("admitted", State.CURRENT, 3)],
    ),
    "cancelled at the very time it was stated": (
        [admitted(0), cancelled(0)],
        [("admitted", State.PAST, 1), ("cancelled", State.WITHDRAWN, 2)],
    ),
    "cancelled, never stated": ([cancelled(5)], [("cancelled", State.HIDDEN, 1)]),
    "changed and changed back": (
        [admitted(0, sequence="1"), admitted(0, "Rowan Ward", sequence="2"), admitted(0, sequence="3")],
        [("admitted", State.PAST, 1), ("admitted", State.PAST, 2), ("admitted", State.CURRENT, 3)],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_versions_stand_in_the_source_s_order_whatever_the_order_of_arrival(story: str) -> None:
    events, expected = STORIES[story]
    for order in permutations(range(len(events))):
        found = versions(*events)
        assert standing(*(found[place] for place in order)) == expected


@pytest.mark.parametrize("story", STORIES)
def test_a_version_is_left_as_it_is(story: str) -> None:
    found, before = versions(*STORIES[story][0]), versions(*STORIES[story][0])
    fold(found[1:], newest=found[0])
    fold(found)
    assert found == before


@pytest.mark.parametrize("story", STORIES)
def test_a_version_that_comes_after_the_newest_needs_no_other(story: str) -> None:
    events, _ = STORIES[story]
    whole, step = [ranked(one) for one in fold(versions(*events)).versions], list[Version]()
    newest = None
    for version in sorted(versions(*events), key=lambda one: one.rank):
        if newest is not None and not comes_after(version, newest):
            return  # then all are read
        folded = fold([version], newest=newest)
        if folded.newest:
            step[step.index(folded.newest.version)] = newest = ranked(folded.newest)
        step += [ranked(one) for one in folded.versions]
        newest = step[-1] if step[-1].version else newest
    assert step == whole


def test_each_version_names_the_one_it_replaces() -> None:
    found = versions(admitted(0, sequence="1"), admitted(0, "Rowan Ward", sequence="2"), cancelled(0, sequence="3"))
    replaced = [one.replaces for one in fold(found).versions]
    assert replaced == [None, found[0].event, found[1].event]


def test_a_version_was_known_until_a_newer_one_was() -> None:
    first = admitted(0, sequence="1", learned=0)
    late = admitted(0, "Rowan Ward", sequence="2", learned=50)
    third = admitted(0, "Elm Ward", sequence="3", learned=20)
    found = versions(first, late, third)
    known = [(one.version.recorded_at, one.known_until) for one in fold(found).versions]
    minute = 60_000_000
    start = found[0].recorded_at
    assert known == [(start, start + 20 * minute), (start + 50 * minute, start + 20 * minute), (start + 20 * minute, None)]


def test_a_death_repeated_in_passing_at_another_time_is_no_new_version() -> None:
    who = {"resourceType": "Patient", "deceasedBoolean": True}
    again = who | {"address": [{"city": "Northfield"}]}
    found = versions(said("person-died-1", "death", 0, who=who), said("person-died-1", "death", 60, who=again))
    assert standing(*found) == [("died", State.CURRENT, 1), ("died", State.HIDDEN, None)]


def test_a_correction_of_the_time_alone_is_a_new_version() -> None:
    found = versions(admitted(0, sequence="1"), admitted(30, sequence="2"))
    assert standing(*found) == [("admitted", State.PAST, 1), ("admitted", State.CURRENT, 2)]
