"""Whose records are whose after events, and what is said of them: read through the queries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from consumers.database.database import Database
from consumers.people.project import PeopleProjection
from consumers.people.query import PeopleQuery
from schemas.event import Event
from schemas.fhir.bundle import Resource
from schemas.identifiers import LocalId, NhsNumber, PersonId
from schemas.resources.person import local_identifier, mark_deleted
from tests.consumers.build import (
    ANN,
    BOB,
    CHARITY,
    COUNCIL,
    HOSPITAL,
    PSEUDONYMS,
    SOURCES,
    logged,
    merged,
    patient,
    record_key,
    said,
)
from tests.stores import clear

pytestmark = pytest.mark.asyncio


def registered(local_id: str, minutes: float = 0, number: NhsNumber | None = None, **more: Any) -> Event:
    return said("person-registered-1", f"registered {local_id}", minutes, local_id=local_id, number=number, **more)


async def project(store: Database, events: Sequence[Event]) -> PeopleQuery:
    """One event a transaction."""
    await clear(store)
    for record in logged(events):
        async with store.writing() as connection:
            await PeopleProjection(PSEUDONYMS).apply([record], connection)
    return PeopleQuery(store, PSEUDONYMS, SOURCES)


async def of(people: PeopleQuery, local_id: str) -> PersonId | None:
    return await people.by_local_id("northfield-pas", LocalId(local_id))


def alone(local_id: str) -> PersonId:
    return PSEUDONYMS.person_by_record(record_key(HOSPITAL, local_id))


async def test_records_with_one_verified_number_are_one_person(file_store: Database) -> None:
    events = [
        registered("A1", number=ANN),
        registered("1001", number=ANN, source=COUNCIL),
        registered("W7", number=BOB, source=CHARITY),
    ]
    people = await project(file_store, events)
    assert await of(people, "A1") == await people.by_number(ANN) == PSEUDONYMS.person_by_number(ANN)
    assert await people.by_local_id("riverside-adult-care", LocalId("1001")) == PSEUDONYMS.person_by_number(ANN)
    assert await people.by_local_id("willow-contacts", LocalId("W7")) == PSEUDONYMS.person_by_number(BOB)


@pytest.mark.parametrize(
    "who",
    [
        patient(HOSPITAL, "A1", ANN, status="02"),
        patient(HOSPITAL, "A1"),
        patient(HOSPITAL, "A1", ANN)
        | {"identifier": [*patient(HOSPITAL, "A1", ANN)["identifier"], *patient(HOSPITAL, "A1", BOB)["identifier"]]},
    ],
    ids=["not verified", "none", "two that contradict each other"],
)
async def test_nobody_is_linked_on_a_number_in_doubt(file_store: Database, who: Resource) -> None:
    people = await project(file_store, [registered("A1", who=who)])
    assert await people.by_number(ANN) is None
    assert await of(people, "A1") == alone("A1")


async def test_a_record_that_gets_its_number_later_moves_and_its_old_id_keeps_resolving(file_store: Database) -> None:
    events = [registered("A1"), registered("A1", 10, ANN, nonce="later")]
    for order in permutations(events):
        people = await project(file_store, list(order))
        assert await of(people, "A1") == PSEUDONYMS.person_by_number(ANN)
        assert await people.current(alone("A1")) == PSEUDONYMS.person_by_number(ANN)
        found = await people.person(alone("A1"))
        assert found is not None and found["former"] == [alone("A1")]


async def test_a_message_without_the_number_does_not_take_it_away(file_store: Database) -> None:
    people = await project(file_store, [registered("A1", number=ANN), registered("A1", 10, nonce="later")])
    assert await of(people, "A1") == PSEUDONYMS.person_by_number(ANN)


async def test_a_corrected_number_moves_the_record_and_the_contradiction_is_shown(file_store: Database) -> None:
    wrong, right = registered("A1", number=BOB), registered("A1", 10, ANN, nonce="corrected")
    for order in ([wrong, right], [right, wrong]):
        people = await project(file_store, order)
        assert await of(people, "A1") == PSEUDONYMS.person_by_number(ANN)
        assert await people.by_number(BOB) is None
        assert await people.current(PSEUDONYMS.person_by_number(BOB)) == PSEUDONYMS.person_by_number(ANN)
        found = await people.person(PSEUDONYMS.person_by_number(ANN))
        assert found is not None
        both = sorted([PSEUDONYMS.person_by_number(ANN), PSEUDONYMS.person_by_number(BOB)])
        assert found["contradictions"] == [
            {"code": "verified-number-changed", "people": both, "records": [record_key(HOSPITAL, "A1")]}
        ]


async def test_a_merged_record_belongs_to_the_one_that_replaces_it(file_store: Database) -> None:
    events = [registered("A1", number=ANN), registered("B1"), merged(5, "A1", "B1"), merged(6, "C1", "A1")]
    for order in permutations(events):
        people = await project(file_store, list(order))
        assert {await of(people, one) for one in ("A1", "B1", "C1")} == {PSEUDONYMS.person_by_number(ANN)}
        found = await people.person(PSEUDONYMS.person_by_number(ANN))
        assert found is not None
        linked = {row["record"]: (row["rule"], row["merged_into"]) for row in found["records"]}
        assert linked == {
            record_key(HOSPITAL, "B1"): ("merged-by-source", record_key(HOSPITAL, "A1")),
            record_key(HOSPITAL, "A1"): ("merged-by-source", record_key(HOSPITAL, "C1")),
            record_key(HOSPITAL, "C1"): ("verified-nhs-number-of-merged-record", None),
        }
        assert await people.by_number(ANN) == PSEUDONYMS.person_by_number(ANN)


async def test_a_survivor_that_gains_a_number_takes_its_whole_chain_along(file_store: Database) -> None:
    events = [merged(5, "B1", "A1"), merged(6, "C1", "B1"), registered("C1", 10, BOB)]
    for order in permutations(events):
        people = await project(file_store, list(order))
        assert {await of(people, one) for one in ("A1", "B1", "C1")} == {PSEUDONYMS.person_by_number(BOB)}


async def test_a_record_known_only_by_its_replacement_is_found_and_shown(file_store: Database) -> None:
    people = await project(file_store, [merged(5, "A1", "A0")])
    found = await people.person(alone("A1"))
    assert found is not None
    [replaced] = [row for row in found["records"] if row["merged_into"]]
    assert replaced["identifiers"] == [local_identifier(HOSPITAL, LocalId("A0"))]
    assert (replaced["first_at"], replaced["last_at"]) == (None, None)


async def test_two_numbers_in_one_chain_are_shown_as_a_contradiction(file_store: Database) -> None:
    people = await project(file_store, [registered("A1", number=ANN), registered("B1", number=BOB), merged(5, "A1", "B1")])
    found = await people.person(PSEUDONYMS.person_by_number(ANN))
    assert found is not None
    assert [one["code"] for one in found["contradictions"]] == ["verified-numbers-differ"]
    assert await people.by_number(BOB) == PSEUDONYMS.person_by_number(ANN)


async def test_a_withdrawn_merge_is_as_if_it_had_not_been(file_store: Database) -> None:
    events = [registered("A1", number=ANN), registered("B1", number=BOB)]
    mistake = [merged(5, "A1", "B1", fact="mistake"), said("entry-withdrawn-1", "mistake", 9, local_id="A1", number=ANN)]
    for order in permutations([*events, *mistake]):
        people = await project(file_store, list(order))
        assert await of(people, "A1") == PSEUDONYMS.person_by_number(ANN)
        assert await of(people, "B1") == PSEUDONYMS.person_by_number(BOB)


async def test_one_local_identifier_among_several_finds_the_record(file_store: Database) -> None:
    who = patient(HOSPITAL, "A1")
    who["identifier"].append(local_identifier(HOSPITAL, LocalId("A1-old")))
    people = await project(file_store, [registered("A1", who=who)])
    assert await of(people, "A1-old") == await of(people, "A1") == alone("A1")
    assert await of(people, "A2") is None


async def test_the_patient_is_what_was_said_last_of_each_element(file_store: Database) -> None:
    first = patient(HOSPITAL, "A1", ANN, birthDate="1940-01-01", telecom=[{"value": "1"}], deceasedBoolean=False)
    second = patient(HOSPITAL, "A1", name=[{"family": "Okafor"}], telecom=[{"value": "2"}])
    third = patient(HOSPITAL, "A1", deceasedDateTime="2026-03-01")
    mark_deleted(third, ["telecom", "ethnicCategory"])
    events = [registered("A1", minutes, who=who) for minutes, who in ((0, first), (10, second), (20, third))]
    for order in permutations(events):
        people = await project(file_store, list(order))
        [known] = await people.patients(PSEUDONYMS.person_by_number(ANN))
        assert (known.source, known.sector, known.record) == ("northfield-pas", "nhs", record_key(HOSPITAL, "A1"))
        assert {key: value for key, value in known.patient.items() if key != "identifier"} == {
            "resourceType": "Patient",
            "birthDate": "1940-01-01",
            "name": [{"family": "Okafor"}],
            "deceasedDateTime": "2026-03-01",
        }
        assert len(known.patient["identifier"]) == 2


async def test_a_snapshot_with_the_times_of_a_movement_shows_what_came_after_it(file_store: Database) -> None:
    before, after = ([{"city": city}] for city in ("Northfield", "Riverside"))
    admitted = said(
        "encounter-attended-1",
        "visit",
        0,
        who=patient(HOSPITAL, "A1", address=before),
        sequence="2026-03-01T10:00:00Z/2026-03-01T09:00:00Z",
        focus={"resourceType": "Encounter"},
    )
    shown = said(
        "encounter-changed-1",
        "changes",
        0,
        who=patient(HOSPITAL, "A1", address=after),
        sequence="2026-03-01T09:00:00Z/2026-03-01T10:00:00Z",
        focus={"resourceType": "Encounter"},
    )
    for order in permutations([admitted, shown]):
        people = await project(file_store, list(order))
        [known] = await people.patients(alone("A1"))
        assert known.patient["address"] == after


async def test_nobody_is_found_under_an_id_that_was_never_given_out(file_store: Database) -> None:
    people = await project(file_store, [registered("A1")])
    unknown = PersonId("0" * 32)
    assert await people.current(unknown) is None
    assert await people.person(unknown) is None
    assert await people.patients(unknown) == []
