"""The documents for machines: valid by their own standards, and true of every event."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from adapters.compose import Origin, Statement, compose
from adapters.translator import Arrival
from schemas.asyncapi import DIALECT, asyncapi, event_schema
from schemas.catalogue import CATALOGUE, EventType
from schemas.errors import NotFound
from schemas.event import encode
from schemas.identifiers import LocalId
from schemas.log import TOPICS
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import local_identifier
from schemas.source import Sector, Source
from tests.engines.npm import ASYNCAPI_3, available, fetch

EXAMPLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fhir_examples.json").read_text(encoding="utf-8"))
KEYS = Pseudonyms(b"0123456789abcdef0123456789abcdef")
SOURCE = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
ARRIVAL = Arrival(SOURCE, datetime(2026, 2, 3, 15, 31, tzinfo=UTC), KEYS)
RECORD = KEYS.record(SOURCE.id, LocalId("N4411"))
PATIENT = {"resourceType": "Patient", "identifier": [local_identifier(SOURCE, LocalId("N4411"))]}


def event(row: EventType) -> dict[str, Any]:
    """An event of the type as it stands in the log."""
    focus = PATIENT if row.focus == "Patient" else EXAMPLES["Flag" if row.focus == "Resource" else row.focus]
    statement = Statement(row, RECORD, ("a", "b"), datetime(2026, 2, 3, tzinfo=UTC), focus, PATIENT, thread="visit 1")
    made: dict[str, Any] = orjson.loads(encode(compose(statement, Origin(ARRIVAL, hashlib.sha256(b"a").digest(), "1"))))
    return made


@pytest.mark.skipif(not available(ASYNCAPI_3), reason="npm is not installed, and the official AsyncAPI schema is not in .cache")
def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    official = jsonschema_rs.validator_for(json.loads(fetch(ASYNCAPI_3).read_text(encoding="utf-8")))
    document = json.loads(orjson.dumps(asyncapi()))
    assert [error.message for error in official.iter_errors(document)] == []
    document["operations"]["tellEvents"]["action"] = "publish"
    assert not official.is_valid(document), "the schema finds a wrong action"


def test_every_topic_is_a_channel_and_every_event_type_a_message() -> None:
    document = asyncapi()
    assert sorted(channel["address"] for channel in document["channels"].values()) == sorted(TOPICS)
    assert list(document["channels"]["events"]["messages"]) == list(CATALOGUE)


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        if reference.startswith("#/"):
            target: Any = document
            for step in reference[2:].split("/"):
                target = target[step]
        else:
            assert event_schema(reference.removeprefix("schemas/").removesuffix(".json"))


@pytest.fixture(params=CATALOGUE)
def row(request: pytest.FixtureRequest) -> EventType:
    return CATALOGUE[request.param]


def test_the_schema_of_a_type_accepts_its_events(row: EventType) -> None:
    schema = event_schema(row.name)
    assert schema["$id"] == event(row)["dataschema"]
    assert schema["$schema"] == DIALECT
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(event(row))


def test_the_schema_of_a_type_refuses_the_events_of_another(row: EventType) -> None:
    validator = jsonschema_rs.Draft202012Validator(event_schema(row.name))
    assert not any(validator.is_valid(event(other)) for other in CATALOGUE.values() if other is not row)


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("another version of CloudEvents", {"specversion": "0.3"}),
    ("an id that is no UUID", {"id": "1"}),
    ("a source that is not ours", {"source": "https://example.org"}),
    ("a key that is not opaque", {"partitionkey": "9990000018"}),
    ("a time without a zone", {"time": "2026-02-03T15:30:00"}),
    ("an attribute with a capital letter", {"myExtension": "a"}),
    ("an unknown classification", {"dataclassification": "SECRET"}),
    ("a payload that is no collection", {"data": {"resourceType": "Bundle", "type": "message"}}),
    ("a payload without a focus", {"data": {"resourceType": "Bundle", "type": "collection"}}),
    ("a payload that is no Bundle", {"data": PATIENT}),
]


@pytest.mark.parametrize("change", [row[1] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_the_schema_refuses_what_no_event_of_ours_is(change: dict[str, Any]) -> None:
    row = CATALOGUE["alert-raised-1"]
    validator = jsonschema_rs.Draft202012Validator(event_schema(row.name), validate_formats=True)
    assert validator.is_valid(event(row))
    assert not validator.is_valid(event(row) | change)


def test_the_schema_refuses_a_payload_without_a_patient() -> None:
    row = CATALOGUE["alert-raised-1"]
    lonely = event(row)
    lonely["data"]["entry"].pop()
    assert not jsonschema_rs.Draft202012Validator(event_schema(row.name)).is_valid(lonely)


def test_a_further_extension_attribute_is_allowed() -> None:
    row = CATALOGUE["alert-raised-1"]
    assert jsonschema_rs.Draft202012Validator(event_schema(row.name)).is_valid(event(row) | {"comexampleother": "a"})


def test_a_type_that_the_catalogue_does_not_have_is_not_found() -> None:
    with pytest.raises(NotFound):
        event_schema("encounter-vanished-1")
