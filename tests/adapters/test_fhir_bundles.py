"""Bundles whose entries each speak for themselves: what is an item, what comes along, what is refused."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest

from adapters.fhir.document import MOST_BYTES
from adapters.translator import Item
from schemas.event import payload
from tests.adapters.fhir_cases import (
    ARRIVAL,
    LOCAL,
    PATIENT,
    STATED,
    SUBJECT,
    TRANSLATOR,
    Resource,
    at,
    bundle,
    event,
    only,
    refusal,
    resource,
    translated,
)

FLAG = resource("Flag", id="f1", status="active", period={"start": "2026-02-01"})
PLAN = resource("CarePlan", id="c1", status="active", created="2026-02-02")
STAY = resource(
    "Encounter",
    id="e1",
    status="finished",
    period={"end": "2026-02-03"},
    location=[{"location": {"reference": "Location/l1"}}],
    serviceProvider={"reference": "urn:uuid:org"},
)
WARD = resource("Location", id="l1", name="Kingsmill Ward", managingOrganization={"reference": "urn:uuid:org"})
HOSPITAL = at("urn:uuid:org", resource("Organization", name="Northfield Hospital"))
WEIGHT = resource("Observation", status="final", code={"text": "weight"}, encounter={"reference": "Encounter/e1"})
ALONE = resource("Observation", status="final", code={"text": "weight"})
DELETE = {"request": {"method": "DELETE", "url": "Flag/1"}, "resource": None}


def said(document: Any) -> list[tuple[str, str]]:
    """Each item's position with what became of it: event types, or the code of the error."""
    items = translated(document)
    return [(one.position, one.rejection.error.code if one.rejection else types(one)) for one in items]


def types(item: Item) -> str:
    return " ".join(made.type for made in item.events)


CASES: list[tuple[str, Resource, list[tuple[str, str]]]] = [
    ("each that states something", bundle(FLAG, PLAN, PATIENT), [("entry 1", "alert-raised-1"), ("entry 2", "plan-agreed-1")]),
    ("the patient alone", bundle(PATIENT), [("entry 1", "person-changed-1")]),
    (
        "the patient beside others when they died",
        bundle(FLAG, PATIENT | {"deceasedBoolean": True}),
        [("entry 1", "alert-raised-1"), ("entry 2", "person-changed-1 person-died-1")],
    ),
    ("what belongs to a stay", bundle(STAY, WARD, HOSPITAL, WEIGHT, PATIENT), [("entry 1", "encounter-discharged-1")]),
    ("what belongs to nothing", bundle(FLAG, ALONE, PATIENT), [("entry 1", "alert-raised-1"), ("entry 2", "unsupported")]),
    ("nothing that states anything", bundle(WARD, HOSPITAL), [("entry 1", "unsupported"), ("entry 2", "unsupported")]),
    (
        "a fault holds up its own entry alone",
        bundle(FLAG | {"status": "Zebedee"}, PLAN, PATIENT),
        [("entry 1", "invalid-value"), ("entry 2", "plan-agreed-1")],
    ),
    (
        "a fault in the patient holds up all who are about them",
        bundle(FLAG, PLAN, PATIENT | {"gender": "F"}),
        [("entry 1", "invalid-value"), ("entry 2", "invalid-value")],
    ),
    (
        "a fault in what comes along holds up whom it comes along with",
        bundle(STAY, WARD | {"status": "x"}, FLAG, PATIENT, HOSPITAL),
        [("entry 1", "invalid-value"), ("entry 3", "alert-raised-1")],
    ),
    (
        "an unknown resource type",
        bundle(FLAG, {"resourceType": "Basic"}, PATIENT),
        [("entry 1", "alert-raised-1"), ("entry 2", "unsupported")],
    ),
    ("a state that says nothing", bundle(resource("Task", status="draft"), PATIENT), [("entry 1", "unsupported")]),
    ("an empty Bundle", bundle(), []),
]


@pytest.mark.parametrize(("document", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
@pytest.mark.parametrize("kind", ["collection", "batch", "transaction", "searchset"])
def test_the_items_of_a_bundle(document: Resource, expected: list[tuple[str, str]], kind: str) -> None:
    assert said(document | {"type": kind}) == expected


def test_an_entry_without_a_resource_is_refused_by_itself() -> None:
    delete = {"request": {"method": "DELETE", "url": "Flag/1"}}
    document = bundle(FLAG, PATIENT, kind="transaction")
    document["entry"].append(delete)
    assert said(document) == [("entry 1", "alert-raised-1"), ("entry 3", "invalid-value")]


def test_what_only_came_along_with_a_search_is_no_item() -> None:
    outcome = {"resource": resource("OperationOutcome", issue=[{"severity": "warning", "code": "not-found"}])}
    document = bundle(
        {"resource": FLAG, "search": {"mode": "match"}},
        {"resource": PLAN, "search": {"mode": "include"}},
        {"resource": PATIENT, "search": {"mode": "include"}},
        outcome | {"search": {"mode": "outcome"}},
        kind="searchset",
    )
    assert said(document) == [("entry 1", "alert-raised-1")]


@pytest.mark.parametrize("kind", ["history", "document", "batch-response", "transaction-response"])
def test_other_bundles_make_no_statements(kind: str) -> None:
    assert refusal(bundle(FLAG, PATIENT, kind=kind)) == ("unsupported", "Bundle.type")


def test_the_payload_holds_what_belongs_together_as_it_came() -> None:
    document = bundle(ALONE, STAY, PLAN, WARD, HOSPITAL, WEIGHT, PATIENT)
    made = [one.events[0] for one in translated(document) if one.events and one.events[0].type == "encounter-discharged-1"]
    entries = payload(made[0])["entry"]
    assert [entry["resource"] for entry in entries] == [STAY, PATIENT, WARD, HOSPITAL["resource"], WEIGHT]
    assert entries[3]["fullUrl"] == "urn:uuid:org"


def test_digits_of_decimals_stay_as_they_came() -> None:
    raw = orjson.dumps(bundle(WEIGHT | {"valueQuantity": {"value": 12345}}, STAY, PATIENT)).replace(b"12345", b"61.50")
    assert b'"value":61.50' in bytes(event(raw).data)


def test_a_made_focus_points_to_what_was_received_beside_it() -> None:
    visit = resource("Appointment", id="a1", status="booked", start="2026-03-01T10:00:00Z", reasonCode=[{"text": "a fall"}])
    entries = payload(event(bundle(at("urn:uuid:visit", visit), PATIENT)))["entry"]
    focus = entries[0]["resource"]
    assert [entry["resource"]["resourceType"] for entry in entries] == ["Encounter", "Patient", "Appointment"]
    assert entries[2] == {"fullUrl": "urn:uuid:visit", "resource": visit}
    assert focus["appointment"] == [{"reference": "urn:uuid:visit"}]
    assert focus["subject"] == SUBJECT
    assert focus["reasonCode"] == [{"text": "a fall"}]
    assert "profile" not in focus.get("meta", {})


def test_the_same_entry_in_another_bundle_is_the_same_event() -> None:
    one = translated(bundle(FLAG, PATIENT))[0].events[0]
    other = translated(bundle(PLAN, FLAG, ALONE, PATIENT))[1].events[0]
    assert one.id == other.id


def test_a_changed_entry_is_another_version_of_the_same_fact() -> None:
    one = event(bundle(FLAG, PATIENT))
    other = event(bundle(FLAG | {"code": {"text": "b"}}, PATIENT))
    assert one.id != other.id
    assert one.subject == other.subject


# --- what is rejected can be sent through again -------------------------------------------------------------------------------

FOREIGN = PATIENT | {"identifier": [{"system": STATED.urn, "value": "1"}]}
AS_STATED = ARRIVAL._replace(source=STATED)

ALARM = {"resourceType": "Communication", "status": "completed", "category": [{"text": "alarm"}]}

REDRIVEN: list[tuple[str, Resource]] = [
    ("a collection", bundle(FLAG, PLAN, FOREIGN)),
    ("with what belongs to it", bundle(ALONE, WEIGHT, WARD, STAY, FOREIGN, HOSPITAL, FLAG)),
    ("with a time", bundle(resource("Flag", status="active"), FOREIGN, timestamp="2026-02-06T07:00:00Z")),
    ("a dead patient", bundle(FOREIGN | {"deceasedDateTime": "2026-02-01"}, FLAG)),
    ("several patients", bundle(FLAG, FOREIGN, FOREIGN | {"id": "p2"})),
    ("only one patient to be meant", bundle(ALARM, FOREIGN)),
    ("a searchset", bundle(FLAG, PLAN, FOREIGN, kind="searchset")),
    ("a single resource", FOREIGN),
]


@pytest.mark.parametrize("document", [row[1] for row in REDRIVEN], ids=[row[0] for row in REDRIVEN])
def test_a_rejected_item_alone_has_the_same_verdict_and_later_the_same_events(document: Resource) -> None:
    refused = [one for one in translated(document) if one.rejection and one.rejection.error.code == "invalid-value"]
    assert refused
    events = {made.id for one in translated(document, AS_STATED) for made in one.events}
    again = set()
    for one in refused:
        assert one.rejection is not None
        same = only(one.rejection.content)
        assert same.rejection is not None
        assert str(same.rejection.error) == str(one.rejection.error)
        again |= {made.id for made in only(one.rejection.content, AS_STATED).events}
    assert again == events


# --- what cannot be read ------------------------------------------------------------------------------------------------------

WHOLE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "unreadable"),
    ("no JSON", b"MSH|^~\\&|", "unreadable"),
    ("cut short", orjson.dumps(bundle(FLAG, PATIENT))[:-20], "unreadable"),
    ("a list", b"[]", "unreadable"),
    ("a number", b"1", "unreadable"),
    ("another charset", '{"resourceType":"Patiënt"}'.encode("utf-16"), "unreadable"),
    ("bytes that are no UTF-8", b'{"a":"\xff"}', "unreadable"),
    ("half a surrogate pair", b'{"a":"\\ud800"}', "unreadable"),
    ("nested for ever", b'{"a":' * 100_000, "unreadable"),
    ("nested too deeply", b'{"a":' * 300 + b"1" + b"}" * 300, "unreadable"),
    ("a number too large", b'{"a":1e999}', "unreadable"),
    ("a number out of all bounds", b'{"a":1e-999999999999999999999}', "unreadable"),
    ("an integer of more than 64 bits", b'{"a":123456789012345678901234567890}', "unreadable"),
    ("a Bundle that is none", orjson.dumps(bundle(FLAG) | {"entry": "x"}), "invalid-value"),
    ("a Bundle with an entry that is none", orjson.dumps(bundle(FLAG) | {"entry": [1]}), "invalid-value"),
    ("a Bundle with something unknown", orjson.dumps(bundle(FLAG, PATIENT) | {"colour": "red"}), "invalid-value"),
    ("a Bundle with no time", orjson.dumps(bundle(FLAG, PATIENT, timestamp="yesterday")), "invalid-value"),
]


@pytest.mark.parametrize(("raw", "code"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_what_cannot_be_read_is_refused_whole(raw: bytes, code: str) -> None:
    item = only(raw)
    assert item.rejection is not None
    assert (item.rejection.error.code, item.rejection.whole, item.rejection.content) == (code, True, b"")


class Endless(io.RawIOBase):
    """More content than there may be, without holding it."""

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= MOST_BYTES + 1, "what is too large is not read to its end"
        return b" " * size


def test_what_is_too_large_is_refused_without_being_read_to_its_end() -> None:
    item = next(iter(TRANSLATOR.translate(Endless(), ARRIVAL)))  # type: ignore[arg-type] # a reader, as far as is needed
    assert item.rejection is not None
    assert (item.rejection.error.code, item.rejection.whole) == ("too-large", True)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert event(b"\xef\xbb\xbf" + orjson.dumps(PATIENT)).type == "person-changed-1"


ALONE_REFUSED: list[tuple[str, Resource, tuple[str, str]]] = [
    ("no resource", {"a": 1}, ("invalid-value", "Resource")),
    ("a type that is not read", {"resourceType": "Basic"}, ("unsupported", "Resource.resourceType")),
    ("a type that says nothing alone", resource("Organization", name="a"), ("unsupported", "Organization")),
    ("an element that is wrong", PATIENT | {"birthDate": "31/02/1941"}, ("invalid-value", "Patient.birthDate")),
]


@pytest.mark.parametrize(("document", "expected"), [row[1:] for row in ALONE_REFUSED], ids=[row[0] for row in ALONE_REFUSED])
def test_a_single_resource_is_refused_by_its_element(document: Resource, expected: tuple[str, str]) -> None:
    assert refusal(document) == expected
    item = only(document)
    assert item.rejection is not None
    assert orjson.loads(item.rejection.content) == document


def test_a_thousand_entries_that_share_one_hospital_take_time_in_proportion() -> None:
    there = {"reference": "urn:uuid:org"}
    stays = [resource("Encounter", id=f"e{number}", status="finished", serviceProvider=there) for number in range(1000)]
    items = translated(bundle(*stays, HOSPITAL, PATIENT))
    assert [len(one.events) for one in items] == [1] * 1000


# --- the dry run --------------------------------------------------------------------------------------------------------------


def test_every_element_of_the_first_item_is_a_field() -> None:
    document = bundle(ALONE, FLAG, PATIENT)
    fields = {field.name: field.without for field in TRANSLATOR.fields(orjson.dumps(bundle(FLAG, PLAN, PATIENT)))}
    assert "Bundle.entry[0].resource.status" in fields
    assert "Bundle.entry[1].resource.identifier[0].value" in fields
    assert not any("created" in name for name in fields), "the second item's are not"
    assert TRANSLATOR.fields(orjson.dumps(document))


def test_a_field_left_out_takes_what_was_owed_to_it_along() -> None:
    document = bundle(FLAG, PATIENT)
    fields = {field.name: field.without for field in TRANSLATOR.fields(orjson.dumps(document))}
    assert event(fields["Bundle.entry[0].resource.period.start"]).time == "2026-02-10T09:00:00.000Z"
    assert refusal(fields["Bundle.entry[0].resource.status"])[0] == "invalid-value"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", orjson.dumps(bundle(FLAG) | {"entry": 1})])
def test_what_cannot_be_read_has_no_fields(raw: bytes) -> None:
    assert list(TRANSLATOR.fields(raw)) == []


def test_a_single_resource_has_its_elements_as_fields() -> None:
    names = [field.name for field in TRANSLATOR.fields(orjson.dumps({"resourceType": "Patient", "identifier": [LOCAL]}))]
    assert names == ["Patient.identifier[0].system", "Patient.identifier[0].value"]


@pytest.mark.parametrize("start", [b"<?xml version='1.0'?>", b"\xef\xbb\xbf\n", b""])
def test_fhir_in_xml_is_called_so(start: bytes) -> None:
    item = only(start + b'<Patient xmlns="http://hl7.org/fhir"/>')
    assert item.rejection is not None
    assert (item.rejection.error.code, item.rejection.whole) == ("unreadable", True)
    assert "XML" in item.rejection.error.message and "application/fhir+json" in item.rejection.error.cure
