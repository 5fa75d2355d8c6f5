"""What stands on a timeline after events: read as it is served."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import orjson
import pytest

from consumers.database.database import Database
from consumers.people.project import PeopleProjection
from consumers.timeline.project import TimelineProjection
from consumers.timeline.query import TimelineQuery
from schemas.event import Event, Precision, Sensitivity
from schemas.identifiers import PersonId
from schemas.timeline import Order, Question
from tests.consumers.build import ANN, COUNCIL, HOSPITAL, PSEUDONYMS, SOURCES, START, at, logged, patient, said, stay
from tests.stores import clear

PERSON = PSEUDONYMS.person_by_number(ANN)
MOVEMENT = "urn:care-backbone:extension:movement"

pytestmark = pytest.mark.asyncio


def moved(minutes: float, ward: str, recorded: float | None = None) -> Event:
    sequence = f"{at(minutes if recorded is None else recorded)}/{at(minutes)}"
    return said(
        "encounter-transferred-1",
        f"move at {minutes}",
        minutes,
        number=ANN,
        focus=stay(ward),
        sequence=sequence,
        learned=recorded,
        thread="visit",
    )


def unmoved(minutes: float, recorded: float) -> Event:
    """A cancellation of the move at that time."""
    focus = stay() | {"extension": [{"url": MOVEMENT, "valueString": "move"}]}
    sequence = f"{at(recorded)}/{at(minutes)}"
    return said(
        "encounter-cancelled-1",
        f"move at {minutes}",
        minutes,
        number=ANN,
        focus=focus,
        sequence=sequence,
        learned=recorded,
        thread="visit",
    )


def admitted(minutes: float = 0, ward: str = "Kingsmill Ward", **more: Any) -> Event:
    sequence = f"{at(minutes)}/{at(minutes)}"
    return said(
        "encounter-admitted-1",
        "admission",
        minutes,
        number=ANN,
        focus=stay(ward),
        thread="visit",
        **{"sequence": sequence, **more},
    )


def shown(minutes: float, ward: str = "Kingsmill Ward", **more: Any) -> Event:
    """The whole state of the stay."""
    sequence = f"{at(minutes)}/{at(minutes)}"
    focus = {**stay(ward), **more.pop("elements", {})}
    return said(
        "encounter-changed-1", "changes", minutes, number=ANN, focus=focus, thread="visit", **{"sequence": sequence, **more}
    )


async def project(store: Database, batches: Sequence[Sequence[Event]]) -> None:
    await clear(store)
    records = iter(logged([event for batch in batches for event in batch]))
    for batch in batches:
        taken = [next(records) for _ in batch]
        async with store.writing() as connection:
            await PeopleProjection(PSEUDONYMS).apply(taken, connection)
            await TimelineProjection(SOURCES).apply(taken, connection)


async def entries(store: Database, **asked: Any) -> list[dict[str, Any]]:
    question = Question(person=asked.pop("person", PERSON), order=Order.OLDEST, **asked)
    found: list[dict[str, Any]] = orjson.loads((await TimelineQuery(store).page(question)).entries_json)
    return found


async def titles(store: Database, events: Sequence[Event], **asked: Any) -> list[str]:
    """The titles in every order of arrival, which must be one."""
    orders = (
        list(permutations(events))
        if len(events) < 5
        else [random.Random(seed).sample(events, len(events)) for seed in range(8)]
    )
    found = set()
    for order in orders:
        await project(store, [[event] for event in order])
        found.add(tuple(entry["title"] for entry in await entries(store, **asked)))
    assert len(found) == 1, found
    return list(found.pop())


async def test_an_entry_says_what_when_where_and_who_said_it(file_store: Database) -> None:
    event = admitted(learned=5)
    await project(file_store, [[event]])
    assert await entries(file_store) == [
        {
            "id": event.id,
            "type": "encounter-admitted-1",
            "kind": "encounter",
            "character": "crisis",
            "occurred_at": at(0),
            "precision": "second",
            "recorded_at": at(5),
            "title": "Admitted to Kingsmill Ward, Northfield Hospital",
            "status": "current",
            "source": {"id": "northfield-pas", "name": "Northfield Hospital", "sector": "nhs"},
            "record": event.partitionkey,
            "correlation": event.correlationid,
            "version": 1,
            "replaces": None,
        }
    ]


@pytest.mark.parametrize(
    ("precision", "minutes", "shown_as"),
    [
        (Precision.DAY, 14.5 * 60, "2026-03-01"),
        (
            Precision.DAY,
            (121 * 24 + 14) * 60,
            "2026-07-01",
        ),  # 23:00 in UTC, the first instant of the day in British Summer Time
        (Precision.MONTH, 0, "2026-03"),
        (Precision.YEAR, 0, "2026"),
        (Precision.MINUTE, 0, at(0)),
    ],
)
async def test_a_time_is_shown_as_exactly_as_it_is_known(
    file_store: Database, precision: Precision, minutes: float, shown_as: str
) -> None:
    await project(file_store, [[said("contact-made-1", "c", minutes, number=ANN, focus=stay(), precision=precision)]])
    [entry] = await entries(file_store)
    assert (entry["occurred_at"], entry["precision"]) == (shown_as, precision)


async def test_a_source_that_is_not_declared_is_called_by_its_id(file_store: Database) -> None:
    record = logged([said("document-received-1", "d", 0, number=ANN, focus={"resourceType": "DocumentReference"})])
    async with file_store.writing() as connection:
        await PeopleProjection(PSEUDONYMS).apply(record, connection)
        await TimelineProjection({}).apply(record, connection)
    [entry] = await entries(file_store)
    assert entry["source"] == {"id": "northfield-pas", "name": "northfield-pas", "sector": ""}
    assert entry["title"] == "Document from northfield-pas"


async def test_the_same_event_again_changes_nothing(file_store: Database) -> None:
    await project(file_store, [[admitted(), admitted()], [admitted()]])
    assert [entry["version"] for entry in await entries(file_store)] == [1]


async def test_a_correction_is_a_new_version_in_the_place_of_the_old(file_store: Database) -> None:
    first = admitted()
    second = admitted(ward="Rowan Ward", sequence=f"{at(9)}/{at(0)}", learned=9)
    for order in permutations([first, second]):
        await project(file_store, [[event] for event in order])
        [entry] = await entries(file_store)
        assert (entry["id"], entry["version"], entry["replaces"]) == (second.id, 2, first.id)
        assert entry["title"] == "Admitted to Rowan Ward, Northfield Hospital"


async def test_a_cancellation_withdraws_the_fact_even_when_it_comes_first(file_store: Database) -> None:
    cancelled = said(
        "encounter-cancelled-1", "admission", 0, number=ANN, focus=stay(), sequence=f"{at(7)}/{at(0)}", thread="visit"
    )
    assert await titles(file_store, [admitted(), cancelled]) == []
    [entry] = await entries(file_store, withdrawn=True)
    assert (entry["status"], entry["version"], entry["replaces"]) == ("withdrawn", 2, admitted().id)
    again = admitted(sequence=f"{at(9)}/{at(0)}")
    assert await titles(file_store, [admitted(), cancelled, again]) == ["Admitted to Kingsmill Ward, Northfield Hospital"]


async def test_of_a_statement_and_a_cancellation_of_one_moment_the_cancellation_holds(file_store: Database) -> None:
    sequence = f"{at(5)}/{at(0)}"
    stated = admitted(sequence=sequence)
    cancelled = said("encounter-cancelled-1", "admission", 0, number=ANN, focus=stay(), sequence=sequence, thread="visit")
    for order in ([stated, cancelled], [cancelled, stated]):
        for batches in ([order], [[event] for event in order]):
            await project(file_store, batches)
            assert [entry["status"] for entry in await entries(file_store, withdrawn=True)] == ["withdrawn"]


async def test_a_cancellation_of_what_nobody_stated_is_shown_to_nobody(file_store: Database) -> None:
    cancelled = said("encounter-cancelled-1", "admission", 0, number=ANN, focus=stay())
    await project(file_store, [[cancelled]])
    assert await entries(file_store, withdrawn=True) == []


SNAPSHOTS: dict[str, tuple[list[Event], list[str]]] = {
    "repeats the admission": ([admitted(), shown(5)], ["Admitted"]),
    "repeats the admission, with the admission's very times": ([admitted(), shown(0)], ["Admitted"]),
    "says something new": ([admitted(), shown(5, "Rowan Ward")], ["Admitted", "Details of the stay"]),
    "repeats a snapshot": ([admitted(), shown(5, "Rowan Ward"), shown(6, "Rowan Ward")], ["Admitted", "Details of the stay"]),
    "repeats a move entered late": (
        [admitted(), moved(10, "Rowan Ward", recorded=60), shown(30), shown(90, "Rowan Ward")],
        ["Admitted", "Moved to Rowan Ward"],
    ),
    "leaves things out": ([admitted(), shown(5, elements={"location": []}), shown(6)], ["Admitted", "Details of the stay"]),
    "does not know the class": ([admitted(), shown(5, elements={"class": {"code": "UNK"}, "status": "unknown"})], ["Admitted"]),
    "guards the stay": ([admitted(), shown(5, sensitivity=Sensitivity.RESTRICTED)], ["Admitted", "Details of the stay"]),
    "comes before anything else is known": ([shown(5), admitted(9)], ["Details of the stay", "Admitted"]),
    "is of a stay without a name": (
        [said("encounter-changed-1", "x", minutes, number=ANN, focus=stay()) for minutes in (0, 0)]
        + [said("encounter-changed-1", "x", 5, number=ANN, focus=stay("Elm Ward"))],
        ["Details of the stay"],
    ),
}


@pytest.mark.parametrize("story", SNAPSHOTS)
async def test_a_snapshot_is_shown_only_when_it_says_something_new(file_store: Database, story: str) -> None:
    events, beginnings = SNAPSHOTS[story]
    found = await titles(file_store, events)
    assert len(found) == len(beginnings), found
    assert all(title.startswith(beginning) for title, beginning in zip(found, beginnings, strict=True)), found


async def test_a_snapshot_that_deletes_what_is_known_says_something_new(file_store: Database) -> None:
    deletes = {"extension": [{"url": "urn:care-backbone:extension:deleted-element", "valueString": "location"}]}
    bare = {key: value for key, value in stay().items() if key != "location"} | deletes
    gone = said("encounter-changed-1", "changes", 5, number=ANN, focus=bare, sequence=f"{at(5)}/{at(5)}", thread="visit")
    again = said("encounter-changed-1", "changes", 6, number=ANN, focus=bare, sequence=f"{at(6)}/{at(6)}", thread="visit")
    assert len(await titles(file_store, [admitted(), gone, again])) == 2


async def test_personal_details_are_shown_only_when_they_change(file_store: Database) -> None:
    here = patient(HOSPITAL, "A1", ANN, address=[{"city": "Northfield"}])
    there = patient(HOSPITAL, "A1", ANN, address=[{"city": "Riverside"}])
    events = [
        said("person-registered-1", "registered", 0, who=here),
        said("contact-made-1", "contact", 5, who=here, focus=stay(type=[{"text": "Visit"}])),
        said("person-changed-1", "details", 10, who=here),
        said("person-changed-1", "details", 20, who=there),
        said("person-changed-1", "details", 30, who=there),
    ]
    assert await titles(file_store, events) == [
        "Registered with Northfield Hospital",
        "Visit by Northfield Hospital",
        "Personal details updated by Northfield Hospital",
    ]


MOVES: dict[str, tuple[list[Event], list[str]]] = {
    "by its time": ([moved(10, "Rowan Ward"), moved(20, "Elm Ward"), unmoved(10, 30)], ["Elm Ward"]),
    "by another time: the newest": ([moved(10, "Rowan Ward"), moved(20, "Elm Ward"), unmoved(21, 30)], ["Rowan Ward"]),
    "by other times, twice": ([moved(10, "Rowan Ward"), moved(20, "Elm Ward"), unmoved(21, 30), unmoved(22, 31)], []),
    "by another time, the newest entered later": (
        [moved(10, "Rowan Ward"), moved(20, "Elm Ward", recorded=40), unmoved(11, 30)],
        ["Elm Ward"],
    ),
    "by another time, nothing to withdraw": ([unmoved(11, 30), moved(20, "Elm Ward", recorded=40)], ["Elm Ward"]),
    "by a time that turns out to be right": (
        [moved(10, "Rowan Ward"), moved(20, "Elm Ward"), unmoved(15, 30), moved(15, "Ash Ward")],
        ["Rowan Ward", "Elm Ward"],
    ),
}


@pytest.mark.parametrize("story", MOVES)
async def test_a_move_is_withdrawn(file_store: Database, story: str) -> None:
    events, wards = MOVES[story]
    found = await titles(file_store, events)
    assert found == [f"Moved to {ward}, Northfield Hospital" for ward in wards]


async def test_a_stray_withdrawal_withdraws_no_other_kind_of_movement_and_no_other_stay(file_store: Database) -> None:
    elsewhere = said("encounter-transferred-1", "other", 5, number=ANN, focus=stay("Ash Ward"), thread="other visit")
    found = await titles(file_store, [admitted(), elsewhere, unmoved(11, 30)])
    assert found == ["Admitted to Kingsmill Ward, Northfield Hospital", "Moved to Ash Ward, Northfield Hospital"]


async def test_two_leaves_of_one_stay_are_two_entries(file_store: Database) -> None:
    def left(minutes: float) -> Event:
        focus = stay(status="onleave") | {"extension": [{"url": MOVEMENT, "valueString": "leave of absence"}]}
        sequence = f"{at(minutes)}/{at(minutes)}"
        return said(
            "encounter-changed-1", f"left {minutes}", minutes, number=ANN, focus=focus, thread="visit", sequence=sequence
        )

    found = await titles(file_store, [admitted(), left(10), shown(15), left(20)])
    assert found == [
        "Admitted to Kingsmill Ward, Northfield Hospital",
        "Leave of absence, Kingsmill Ward, Northfield Hospital",
        "Leave of absence, Kingsmill Ward, Northfield Hospital",
    ]


async def test_the_timeline_can_be_asked_for_as_it_was_known_then(file_store: Database) -> None:
    first = admitted(learned=1)
    corrected = admitted(ward="Rowan Ward", sequence=f"{at(30)}/{at(0)}", learned=30)
    cancelled = said(
        "encounter-cancelled-1",
        "admission",
        0,
        number=ANN,
        focus=stay(),
        sequence=f"{at(60)}/{at(0)}",
        learned=60,
        thread="visit",
    )
    for order in permutations([first, corrected, cancelled]):
        await project(file_store, [[event] for event in order])
        known = {}
        for minutes in (0, 1, 29, 30, 59, 60):
            found = await entries(file_store, as_of=START + timedelta(minutes=minutes), withdrawn=True)
            known[minutes] = [(entry["version"], entry["status"]) for entry in found]
        assert known == {
            0: [],
            1: [(1, "current")],
            29: [(1, "current")],
            30: [(2, "current")],
            59: [(2, "current")],
            60: [(3, "withdrawn")],
        }


async def test_a_newer_version_learned_before_an_older_one_was_the_one_that_was_known(file_store: Database) -> None:
    first = admitted(learned=1)
    second = admitted(ward="Rowan Ward", sequence=f"{at(30)}/{at(0)}", learned=30)
    third = admitted(ward="Ash Ward", sequence=f"{at(60)}/{at(0)}", learned=20)  # another process's clock, or its partition
    for order in permutations([first, second, third]):
        await project(file_store, [[event] for event in order])
        known = {}
        for minutes in (1, 19, 20, 25, 40):
            found = await entries(file_store, as_of=START + timedelta(minutes=minutes))
            known[minutes] = [entry["version"] for entry in found]
        assert known == {1: [1], 19: [1], 20: [3], 25: [3], 40: [3]}


async def test_a_death_said_by_every_message_is_one_entry_and_can_be_withdrawn(file_store: Database) -> None:
    dead = patient(HOSPITAL, "A1", ANN, deceasedDateTime="2026-03-01T09:00:00Z")
    alive = patient(HOSPITAL, "A1", ANN, deceasedBoolean=False)
    events = [said("person-died-1", "death", minutes, who=dead) for minutes in (0, 10, 20)]
    assert await titles(file_store, events) == ["Died"]
    assert await titles(file_store, [*events, said("entry-withdrawn-1", "death", 30, who=alive)]) == []


async def test_entries_of_one_instant_stand_in_one_order_however_they_arrive(file_store: Database) -> None:
    events = [
        said("encounter-discharge-planned-1", "plan", 0, number=ANN, focus=stay(), thread="visit"),
        said(
            "service-started-1", "meals", 0, source=COUNCIL, local_id="1", number=ANN, focus={"resourceType": "EpisodeOfCare"}
        ),
        admitted(),
    ]
    found = await titles(file_store, events)
    assert [title.split(" ")[0] for title in found] == ["Admitted", "Discharge", "Service"]


async def test_an_id_nobody_has_finds_nothing(file_store: Database) -> None:
    await project(file_store, [[admitted()]])
    assert await entries(file_store, person=PersonId("0" * 32)) == []
