"""The envelope: what stands in the log, and that a foreign reader of CloudEvents reads the same."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import CONTENT_TYPE, Event, Precision, Sensitivity, decode, encode, event_id, instant, payload

BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Patient"}}]}
LEAST: dict[str, Any] = {
    "id": "5b0fbc7e-9a0c-5c52-8a0b-6c1f4a1b2c3d",
    "source": "urn:care-backbone:source:northfield-pas",
    "type": "encounter-discharged-1",
    "subject": "0123456789abcdef0123456789abcdef",
    "time": "2026-02-03T15:30:00.000Z",
    "recordedtime": "2026-02-03T15:31:02.250Z",
    "partitionkey": "fedcba9876543210fedcba9876543210",
    "dataschema": "urn:care-backbone:schema:encounter-discharged-1",
    "datacontenttype": "application/fhir+json",
    "specversion": "1.0",
}
FULL = LEAST | {
    "dataclassification": Sensitivity.VERY_RESTRICTED,
    "timeprecision": Precision.DAY,
    "sequence": "0007",
    "correlationid": "00112233445566778899aabbccddeeff",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def made(attributes: dict[str, Any]) -> Event:
    return Event(**attributes, data=msgspec.Raw(orjson.dumps(BUNDLE)))


@pytest.mark.parametrize("attributes", [LEAST, FULL], ids=["least", "full"])
def test_an_event_is_read_back_as_it_was_written(attributes: dict[str, Any]) -> None:
    event = made(attributes)
    assert encode(decode(encode(event))) == encode(event)
    assert payload(decode(encode(event))) == BUNDLE
    assert {name: getattr(decode(encode(event)), name) for name in attributes} == attributes


def test_an_event_always_says_how_guarded_it_is_and_one_of_an_older_log_that_does_not_is_normal() -> None:
    written = orjson.loads(encode(made(LEAST)))
    assert written.pop("dataclassification") == "N"
    assert decode(orjson.dumps(written)).dataclassification is Sensitivity.NORMAL


@pytest.mark.parametrize("attributes", [LEAST, FULL], ids=["least", "full"])
def test_a_foreign_reader_of_cloudevents_reads_the_same(attributes: dict[str, Any]) -> None:
    read: Any = from_structured(HTTPMessage({"content-type": CONTENT_TYPE}, encode(made(attributes))), JSONFormat(), CloudEvent)
    assert read.get_id() == attributes["id"]
    assert read.get_source() == attributes["source"]
    assert read.get_type() == attributes["type"]
    assert read.get_subject() == attributes["subject"]
    assert read.get_specversion() == "1.0"
    assert read.get_time() == datetime(2026, 2, 3, 15, 30, tzinfo=UTC)
    assert read.get_datacontenttype() == "application/fhir+json"
    assert read.get_dataschema() == attributes["dataschema"]
    assert read.get_data() == BUNDLE
    extensions = set(attributes) - {"id", "source", "type", "subject", "specversion", "time", "datacontenttype", "dataschema"}
    assert {name: read.get_extension(name) for name in extensions} == {name: attributes[name] for name in extensions}


def test_attributes_without_a_value_are_left_out() -> None:
    assert set(orjson.loads(encode(made(LEAST)))) == {*LEAST, "dataclassification", "data"}


def test_attribute_names_are_lower_case_letters_and_digits_of_at_most_twenty() -> None:
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in Event.__struct_fields__)


@pytest.mark.parametrize("name", [*LEAST, "data"])
def test_an_event_without_a_required_attribute_is_refused_by_its_name(name: str) -> None:
    attributes = orjson.loads(encode(made(LEAST)))
    del attributes[name]
    with pytest.raises(msgspec.ValidationError, match=f"`{name}`"):
        decode(orjson.dumps(attributes))


@pytest.mark.parametrize(("name", "value"), [("specversion", "0.3"), ("id", 1), ("timeprecision", "week"), ("time", None)])
def test_an_attribute_of_another_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(orjson.dumps(orjson.loads(encode(made(LEAST))) | {name: value}))


def test_the_data_stays_byte_for_byte_as_it_was() -> None:
    raw = b'{"resourceType" : "Bundle",  "total":1.50}'
    assert bytes(decode(encode(Event(**LEAST, data=msgspec.Raw(raw)))).data) == raw


NAMESPACE = uuid.UUID("6a0c3f0e-3f3e-5c1d-9f43-0d2b6f1f7c11")
PARTS = ("northfield-pas", "fact", "encounter-discharged-1", b"0" * 32, "hl7v2-1")


def test_an_id_is_the_uuid5_of_what_makes_the_event_that_event() -> None:
    source, fact, part, content, translation = PARTS
    name = "\x1f".join([source, fact, part, translation, content.decode()])
    assert event_id(*PARTS) == str(uuid.uuid5(NAMESPACE, name))


@given(st.text(), st.text(), st.text(), st.binary(min_size=32, max_size=32), st.text())
def test_an_id_is_deterministic_and_a_uuid_of_version_five(
    source: str, fact: str, part: str, content: bytes, version: str
) -> None:
    first = event_id(source, fact, part, content, version)
    assert first == event_id(source, fact, part, content, version)
    assert str(uuid.UUID(first)) == first
    assert (uuid.UUID(first).version, uuid.UUID(first).variant) == (5, uuid.RFC_4122)


@pytest.mark.parametrize("place", range(len(PARTS)))
def test_each_part_makes_another_event(place: int) -> None:
    other = list(PARTS)
    other[place] = b"1" * 32 if isinstance(other[place], bytes) else f"{other[place]}x"
    assert event_id(*other) != event_id(*PARTS)  # type: ignore[arg-type] # one part of each type was changed within its type


INSTANTS = [
    (datetime(2026, 2, 3, 15, 30, tzinfo=UTC), "2026-02-03T15:30:00.000Z"),
    (datetime(2026, 7, 3, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-07-02T23:30:00.000Z"),
    (datetime(2026, 2, 3, 15, 30, 1, 999999, tzinfo=UTC), "2026-02-03T15:30:01.999Z"),
    (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59.000Z"),
]


@pytest.mark.parametrize(("moment", "text"), INSTANTS)
def test_an_instant_is_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert instant(moment) == text


AWARE = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())


@given(AWARE, AWARE)
def test_the_order_of_the_texts_is_the_order_of_the_times(one: datetime, other: datetime) -> None:
    milliseconds = [int(moment.timestamp() * 1000 // 1) for moment in (one, other)]
    if abs(milliseconds[0] - milliseconds[1]) > 1:
        assert (instant(one) < instant(other)) is (milliseconds[0] < milliseconds[1])
    assert len(instant(one)) == len(instant(other))


def test_versions_are_ordered_by_the_sources_sequence_else_by_time() -> None:
    assert made(LEAST).order == LEAST["time"]
    assert made(FULL).order == "0007"
