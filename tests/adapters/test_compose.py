"""Making an event of a statement: identity, check, envelope."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from adapters.compose import Origin, Statement, compose, content_hash
from adapters.translator import Arrival
from schemas.catalogue import CATALOGUE
from schemas.errors import InvalidValue
from schemas.event import Event, Precision, Sensitivity, payload
from schemas.fhir.bundle import patient_reference
from schemas.identifiers import LocalId
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import local_identifier
from schemas.source import NumbersAre, Sector, Source

KEYS = Pseudonyms(b"0123456789abcdef0123456789abcdef")
SOURCE = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
RECORD = KEYS.record(SOURCE.id, LocalId("N4411"))
PATIENT: dict[str, Any] = {"resourceType": "Patient", "identifier": [local_identifier(SOURCE, LocalId("N4411"))]}
FLAG = {"resourceType": "Flag", "status": "active", "code": {"text": "a"}, "subject": patient_reference(RECORD)}
STATEMENT = Statement(
    type=CATALOGUE["alert-raised-1"],
    record=RECORD,
    natural_key=("Flag", "1", "alert-raised"),
    happened_at=datetime(2026, 2, 3, 15, 30, tzinfo=UTC),
    focus=FLAG,
    patient=PATIENT,
)
ARRIVAL = Arrival(
    SOURCE, datetime(2026, 2, 3, 15, 31, tzinfo=UTC), KEYS, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)
ORIGIN = Origin(ARRIVAL, content_hash(b"content"), "1")


def made(**changes: Any) -> Event:
    return compose(STATEMENT._replace(**changes), ORIGIN)


def test_an_event_says_who_stated_what_of_whom_and_when() -> None:
    event = made(precision=Precision.MINUTE, sequence="7", thread="visit 1")
    assert event.type == "alert-raised-1"
    assert event.source == "urn:care-backbone:source:northfield-pas"
    assert event.partitionkey == RECORD
    assert event.subject == KEYS.fact(SOURCE.id, "Flag", "1", "alert-raised")
    assert (event.time, event.timeprecision) == ("2026-02-03T15:30:00.000Z", Precision.MINUTE)
    assert event.recordedtime == "2026-02-03T15:31:00.000Z"
    assert event.correlationid == KEYS.conversation(SOURCE.id, "visit 1")
    assert event.traceparent == ARRIVAL.traceparent
    assert event.order == "7"
    assert [entry["resource"] for entry in payload(event)["entry"]] == [FLAG, PATIENT]


def test_nothing_that_names_the_person_stands_in_the_envelope() -> None:
    event = made(thread="N4411")
    attributes = [getattr(event, name) for name in Event.__struct_fields__ if name != "data"]
    assert not any("N4411" in str(value) for value in attributes)


def test_without_a_thread_there_is_no_correlation() -> None:
    assert made().correlationid == ""


def test_the_same_statement_from_the_same_content_is_the_same_event() -> None:
    later = Origin(ARRIVAL._replace(received_at=ARRIVAL.received_at + timedelta(days=1)), ORIGIN.content_hash, ORIGIN.version)
    assert compose(STATEMENT, later).id == made().id


ANOTHER_EVENT: list[tuple[str, Statement, Origin]] = [
    ("other content", STATEMENT, ORIGIN._replace(content_hash=content_hash(b"other"))),
    ("another translation", STATEMENT, ORIGIN._replace(version="2")),
    ("another fact", STATEMENT._replace(natural_key=("Flag", "2", "alert-raised")), ORIGIN),
    ("another type", STATEMENT._replace(type=CATALOGUE["alert-cleared-1"]), ORIGIN),
    (
        "another source",
        STATEMENT,
        ORIGIN._replace(arrival=ARRIVAL._replace(source=Source(id="b", name="B", sector=Sector.NHS))),
    ),
]


@pytest.mark.parametrize(("statement", "origin"), [row[1:] for row in ANOTHER_EVENT], ids=[row[0] for row in ANOTHER_EVENT])
def test_anything_else_is_another_event(statement: Statement, origin: Origin) -> None:
    assert compose(statement, origin).id != made().id


def test_how_far_the_numbers_of_a_source_are_trusted_is_part_of_an_events_id() -> None:
    typed = msgspec.structs.replace(ORIGIN.arrival.source, nhs_numbers=NumbersAre.STATED)
    other = compose(STATEMENT, ORIGIN._replace(arrival=ORIGIN.arrival._replace(source=typed)))
    assert (other.subject, other.id == made().id) == (made().subject, False)


def test_versions_of_a_fact_share_its_subject() -> None:
    other = compose(STATEMENT, ORIGIN._replace(content_hash=content_hash(b"other")))
    assert other.subject == made().subject


GUARDED = [
    ("alert-raised-1", Sensitivity.NORMAL, Sensitivity.NORMAL, Sensitivity.NORMAL),
    ("alert-raised-1", Sensitivity.NORMAL, Sensitivity.RESTRICTED, Sensitivity.RESTRICTED),
    ("alert-raised-1", Sensitivity.RESTRICTED, Sensitivity.NORMAL, Sensitivity.RESTRICTED),
    ("alert-raised-1", Sensitivity.RESTRICTED, Sensitivity.VERY_RESTRICTED, Sensitivity.VERY_RESTRICTED),
]


@pytest.mark.parametrize(("name", "least", "stated", "expected"), GUARDED)
def test_the_stricter_classification_holds(name: str, least: Sensitivity, stated: Sensitivity, expected: Sensitivity) -> None:
    row = CATALOGUE[name]._replace(sensitivity=least)
    assert made(type=row, sensitivity=stated).dataclassification is expected


def test_a_payload_that_is_not_fhir_is_refused_by_its_element() -> None:
    with pytest.raises(InvalidValue, match="FHIR R4: it is not one of its codes") as caught:
        made(focus=FLAG | {"status": "Zebedee"})
    assert caught.value.where == "Bundle.entry[0].resource.status"
    assert "Zebedee" not in str(caught.value)


def nested(depth: int) -> dict[str, Any]:
    extension: dict[str, Any] = {"url": "a", "valueString": "x"}
    for _ in range(depth):
        extension = {"url": "a", "extension": [extension]}
    return FLAG | {"extension": [extension]}


UNWRITABLE = [
    ("nested too deeply", nested(300)),
    ("a number of more than 64 bits", FLAG | {"extension": [{"url": "a", "valueDecimal": 10**30}]}),
]


@pytest.mark.parametrize("focus", [row[1] for row in UNWRITABLE], ids=[row[0] for row in UNWRITABLE])
def test_a_payload_that_cannot_be_written_is_refused(focus: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        made(focus=focus)


@pytest.mark.parametrize("hours", [14, -14])
def test_a_time_outside_the_calendar_is_refused(hours: int) -> None:
    moment = datetime(1, 1, 1) if hours > 0 else datetime(9999, 12, 31, 23)
    with pytest.raises(InvalidValue, match="outside the years"):
        made(happened_at=moment.replace(tzinfo=timezone(timedelta(hours=hours))))


def test_a_decimal_keeps_its_digits() -> None:
    event = made(focus=FLAG | {"extension": [{"url": "a", "valueDecimal": Decimal("72.50")}]})
    assert b'"valueDecimal":72.50}' in bytes(event.data)


def test_urls_that_were_received_are_kept() -> None:
    event = made(urls=("urn:uuid:a", "urn:uuid:b"))
    assert [entry["fullUrl"] for entry in payload(event)["entry"]] == ["urn:uuid:a", "urn:uuid:b"]
