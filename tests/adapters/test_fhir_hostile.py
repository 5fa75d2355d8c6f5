"""Whatever comes in: items and rejections come out, and nothing that was sent stands in what is said about it."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.cloudevents import CloudEventsTranslator
from adapters.fhir.translate import FhirTranslator
from adapters.translator import Item, Translator
from schemas.catalogue import CATALOGUE
from schemas.errors import RejectedInput
from schemas.event import payload
from schemas.fhir.check import faults_in
from tests.adapters.fhir_cases import ARRIVAL, LEAST, LOCAL, PATIENT, SOURCE, Resource, at, bundle, resource

EXAMPLES: dict[str, Resource] = json.loads((Path(__file__).parents[1] / "schemas" / "fhir_examples.json").read_text("utf-8"))
FHIR, CLOUDEVENTS = FhirTranslator(), CloudEventsTranslator()
ORDINARY = ["active", "planned", "finished", "completed", "accepted", "cancelled", "booked", "entered-in-error", "current", ""]


def items(translator: Translator, raw: bytes) -> list[Item]:
    return list(translator.translate(io.BytesIO(raw), ARRIVAL))


def check(translator: Translator, raw: bytes) -> None:
    """What every translator promises of any content."""
    for item in items(translator, raw):
        assert item.position
        if item.rejection is not None:
            assert isinstance(item.rejection.error, RejectedInput)
            assert item.events == ()
            assert item.rejection.whole is not bool(item.rejection.content) or item.rejection.content == raw
        for event in item.events:
            assert event.type in CATALOGUE
            assert faults_in(payload(event)) == []
    assert list(translator.fields(raw)) is not None


BOTH = pytest.mark.parametrize("translator", [FHIR, CLOUDEVENTS], ids=["fhir", "cloudevents"])


@BOTH
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_answered(translator: Translator, raw: bytes) -> None:
    check(translator, raw)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
NAMES = st.sampled_from(
    ["resourceType", "type", "entry", "resource", "status", "identifier", "id", "fullUrl", "search", "meta", "subject", "data"]
) | st.text(max_size=5)
WORDS = st.sampled_from(["Bundle", "Patient", "Flag", "message", "collection", "searchset", "include", "MessageHeader"])
ANY_JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@BOTH
@settings(max_examples=200)
@given(value=ANY_JSON)
def test_any_json_is_answered(translator: Translator, value: Any) -> None:
    check(translator, json.dumps(value).encode())


def flag() -> Resource:
    return bundle(at("urn:uuid:f", resource("Flag", id="f1", status="active")), at("urn:uuid:p", PATIENT))


def message() -> Resource:
    head = resource(
        "MessageHeader",
        id="m1",
        eventCoding={"system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": "booking-request"},
        source={"endpoint": "urn:x"},
        reason={"coding": [{"code": "new"}]},
        focus=[{"reference": "urn:uuid:a"}],
    )
    visit = at("urn:uuid:a", resource("Appointment", id="a1", status="booked", start="2026-03-01T10:00:00Z"))
    return bundle(head, visit, at("urn:uuid:p", PATIENT), kind="message", timestamp="2026-02-06T07:00:00Z")


def sent() -> Resource:
    envelope = {"specversion": "1.0", "id": "1", "source": SOURCE.urn, "type": "alert-raised-1", "time": "2026-02-03T15:30:00Z"}
    return envelope | {"data": flag()}


def of_all() -> Resource:
    states = [resource(name, id=name, status="active") for name in LEAST if name not in ("Goal", "RelatedPerson", "Task")]
    return bundle(*states, resource("Task", id="t", status="accepted"), PATIENT)


WELL_FORMED: dict[str, tuple[Translator, Callable[[], Resource]]] = {
    "a collection": (FHIR, flag),
    "a message": (FHIR, message),
    "a Bundle of every type": (FHIR, of_all),
    "a patient": (FHIR, lambda: EXAMPLES["Patient"] | {"identifier": [LOCAL]}),
    "an event": (CLOUDEVENTS, sent),
}
REPLACEMENTS = [
    *[None, "", [], {}, 0, -1, 2**70, 1.5, True, "text", "a b", "2026-02-31", "0001-01-01T00:00:00+14:00", "2026", "1" * 300],
    *[["a"], [None], [{}], {"a": 1}, {"reference": "#f1"}, {"reference": "Patient/p1"}, {"reference": 7}, {"coding": [{}]}],
    *[
        "Patient",
        "Flag",
        "Group",
        "message",
        "searchset",
        {"identifier": LOCAL},
        {"identifier": {}},
        "urn:uuid:p",
        "urn:uuid:f",
    ],
    *ORDINARY,
]


def paths(value: Any, so_far: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inside: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (*so_far, step)
        yield from paths(inner, (*so_far, step))


@st.composite
def damaged(draw: st.DrawFn, value: Resource) -> Resource:
    """A document with a few things changed, removed or added."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(value))))
        parent: Any = value
        for step in path[:-1]:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add", "double"]))
        if change == "remove":
            del parent[path[-1]]
        elif change == "add" and isinstance(parent, dict):
            name = draw(st.sampled_from(["subject", "patient", "focus", "contained", "meta", "link", "x", "encounter"]))
            parent[name] = copy.deepcopy(draw(st.sampled_from(REPLACEMENTS)))
        elif change == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[int(path[-1])]))
        else:
            parent[path[-1]] = copy.deepcopy(draw(st.sampled_from(REPLACEMENTS)))
        if not value:
            break
    return value


@pytest.mark.parametrize("name", WELL_FORMED)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_is_answered(name: str, data: st.DataObject) -> None:
    translator, fresh = WELL_FORMED[name]
    check(translator, json.dumps(data.draw(damaged(copy.deepcopy(fresh())))).encode())


@pytest.mark.parametrize("name", WELL_FORMED)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_document_cut_short_anywhere_is_answered(name: str, data: st.DataObject) -> None:
    translator, fresh = WELL_FORMED[name]
    raw = orjson.dumps(fresh())
    end = data.draw(st.integers(0, len(raw) - 1))
    assert all(item.rejection and item.rejection.error.code == "unreadable" for item in items(translator, raw[:end]))


CANARY = "Zebedee9990000018"


@pytest.mark.parametrize("name", WELL_FORMED)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_nothing_that_was_sent_stands_in_what_is_said_about_it(name: str, data: st.DataObject) -> None:
    translator, fresh = WELL_FORMED[name]
    document = copy.deepcopy(fresh())
    path = data.draw(st.sampled_from(list(paths(document))))
    parent: Any = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = data.draw(st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}, {"reference": CANARY}, {"code": CANARY}]))
    for item in items(translator, orjson.dumps(document)):
        told = [item.position, *item.flags, *([str(item.rejection.error)] if item.rejection else [])]
        for event in item.events:
            told += [event.id, event.source, event.type, event.subject, event.partitionkey, event.correlationid]
        assert not any(CANARY in text for text in told)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_valid_resource_is_answered(name: str) -> None:
    check(FHIR, orjson.dumps(EXAMPLES[name]))
    check(FHIR, orjson.dumps(bundle(EXAMPLES[name], PATIENT)))
