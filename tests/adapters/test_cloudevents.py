"""CloudEvents of the catalogue's types: taken in, made anew, refused by attribute."""

from __future__ import annotations

import base64
import io
from datetime import datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from adapters.cloudevents import CloudEventsTranslator
from adapters.translator import Arrival, Item
from schemas.catalogue import CATALOGUE
from schemas.event import Event, Precision, encode, payload
from schemas.fhir.bundle import focus_of
from schemas.identifiers import LocalId, NhsNumber
from tests.adapters.fhir_cases import ARRIVAL, KEYS, LOCAL, NHS, NUMBER, PATIENT, SOURCE, STATED, at, bundle, resource

TRANSLATOR = CloudEventsTranslator()
FLAG = resource("Flag", id="f1", status="active", subject={"reference": "urn:uuid:p"})
WARD = resource("Location", name="Kingsmill Ward")
DATA = bundle(at("urn:uuid:f", FLAG), at("urn:uuid:p", PATIENT), at("urn:uuid:w", WARD))
SENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "5b0fbc7e",
    "source": SOURCE.urn,
    "type": "alert-raised-1",
    "time": "2026-02-03T15:30:00+01:00",
    "datacontenttype": "application/fhir+json",
    "data": DATA,
}


def translated(document: Any, arrival: Arrival = ARRIVAL) -> list[Item]:
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    return list(TRANSLATOR.translate(io.BytesIO(raw), arrival))


def made(arrival: Arrival = ARRIVAL, **changes: Any) -> Event:
    (item,) = translated(SENT | changes, arrival)
    assert item.rejection is None, item.rejection and str(item.rejection.error)
    return item.events[0]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in SENT.items() if key != name}


def test_an_event_is_made_anew_of_what_it_states() -> None:
    event = made()
    assert event.type == "alert-raised-1"
    assert event.source == SOURCE.urn
    assert event.time == "2026-02-03T14:30:00.000Z"
    assert event.timeprecision is Precision.SECOND
    assert event.recordedtime == "2026-02-10T09:00:00.000Z"
    assert event.partitionkey == KEYS.record(SOURCE.id, LocalId("N4411"))
    assert event.id not in (SENT["id"], made(id="other").id)
    assert payload(event) == DATA


def test_the_senders_id_names_the_fact_and_nothing_else_of_the_envelope_does() -> None:
    assert made().subject == made(subject="x", partitionkey="y", dataschema="z", data=DATA | {"id": "b"}).subject
    assert made().subject != made(id="other").subject


def test_the_same_event_again_is_the_same_and_changed_it_is_another_version() -> None:
    assert made().id == made().id
    other = made(data=bundle(at("urn:uuid:f", FLAG | {"code": {"text": "b"}}), at("urn:uuid:p", PATIENT)))
    assert (other.subject, other.id == made().id) == (made().subject, False)


SAME: list[tuple[str, bytes]] = [
    ("its members in another order", orjson.dumps(SENT, option=orjson.OPT_SORT_KEYS)),
    ("indented", orjson.dumps(SENT, option=orjson.OPT_INDENT_2)),
    ("with escapes", orjson.dumps(SENT).replace(b"Kingsmill", b"\\u004bingsmill")),
    ("its data in base64", orjson.dumps({**SENT, "data": None, "data_base64": base64.b64encode(orjson.dumps(DATA)).decode()})),
    ("its data called JSON", orjson.dumps(SENT | {"datacontenttype": "application/json"})),
    ("its time in another zone", orjson.dumps(SENT | {"time": "2026-02-03T14:30:00.000Z"})),
    ("with attributes that are not read", orjson.dumps(SENT | {"traceparent": "x", "tracestate": "y", "partitionkey": "z"})),
    ("with attributes that say what goes without saying", orjson.dumps(SENT | {"dataclassification": "N", "sequence": None})),
]


@pytest.mark.parametrize("raw", [row[1] for row in SAME], ids=[row[0] for row in SAME])
def test_the_same_event_is_the_same_however_it_is_written(raw: bytes) -> None:
    (item,) = translated(raw)
    assert item.rejection is None
    assert item.events[0].id == made().id
    assert translated(b"[ " + raw + b" ]")[0].events[0].id == made().id, "in a batch"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "alert-cleared-1"},
        {"time": "2026-02-03T15:30:01+01:00"},
        {"time": None},
        {"timeprecision": "day"},
        {"sequence": "1"},
        {"correlationid": "visit 1"},
        {"dataclassification": "R"},
        {"data": bundle(at("urn:uuid:f", FLAG), at("urn:uuid:p", PATIENT), at("urn:uuid:w", WARD | {"name": "A"}))},
    ],
)
def test_an_event_that_states_something_else_under_its_id_is_another(change: dict[str, Any]) -> None:
    other = made(**change)
    assert (other.subject, other.id == made().id) == (made().subject, False)


def test_digits_of_a_decimal_tell_events_apart() -> None:
    raw = orjson.dumps(SENT | {"data": bundle(FLAG | {"extension": [{"url": "a", "valueDecimal": 12345}]}, PATIENT)})
    ids = {translated(raw.replace(b"12345", digits))[0].events[0].id for digits in (b"72.5", b"72.50")}
    assert len(ids) == 2, "in FHIR 72.50 says more than 72.5"


def test_an_event_may_be_nested_as_deeply_as_any_payload() -> None:
    deep: dict[str, Any] = {"url": "a"}
    for _ in range(111):
        deep = {"url": "a", "extension": [deep]}
    (item,) = translated(SENT | {"data": bundle(FLAG | {"extension": [deep]}, PATIENT)})
    assert item.rejection is None or item.rejection.error.code != "translator-failed"


def test_a_version_has_a_name_by_which_another_under_it_is_found_and_a_withdrawal_has_none() -> None:
    names = [translated(SENT | change)[0].control for change in ({}, {"type": "alert-cleared-1"}, {"sequence": "2"})]
    assert names[0] == names[1] != names[2]
    assert "" not in names
    assert translated(SENT | {"type": "entry-withdrawn-1"})[0].control == ""


def test_a_withdrawal_names_what_it_withdraws_by_its_id() -> None:
    assert made(type="entry-withdrawn-1").subject == made().subject


def test_a_withdrawal_that_may_mean_its_subject_is_flagged() -> None:
    [item] = translated(SENT | {"type": "entry-withdrawn-1", "subject": "visit-7"})
    assert item.flags == ("subject-not-read at subject",)
    [stated] = translated(SENT | {"subject": "visit-7"})
    [plain] = translated(SENT | {"type": "entry-withdrawn-1", "subject": None})
    assert (stated.flags, plain.flags) == ((), ())


def test_what_the_sender_says_of_order_and_belonging_is_kept() -> None:
    event = made(sequence="0007", correlationid="visit 1", timeprecision="day", dataclassification="R")
    assert event.order == "0007"
    assert event.correlationid == KEYS.conversation(SOURCE.id, "visit 1")
    assert event.timeprecision is Precision.DAY
    assert event.dataclassification == "R"


def test_the_label_of_a_resource_is_not_lowered() -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    guarded = PATIENT | {"meta": {"security": [label]}}
    assert made(data=bundle(FLAG, guarded), dataclassification="N").dataclassification == "V"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("sent", "kept"), [(TRACE, TRACE), ("nonsense", "door"), (None, "door")])
def test_the_senders_trace_goes_on(sent: str | None, kept: str) -> None:
    assert made(ARRIVAL._replace(traceparent="door"), traceparent=sent).traceparent == kept


def test_without_a_time_the_arrival_stands_in_and_is_flagged() -> None:
    (item,) = translated(without("time"))
    assert item.events[0].time == "2026-02-10T09:00:00.000Z"
    assert item.flags == ("time-of-arrival at time",)


def test_a_time_in_the_future_is_flagged() -> None:
    for time, flags in (("2026-02-11T09:00:00Z", ()), ("2026-02-11T09:00:01Z", ("time-in-future at time",))):
        (item,) = translated(SENT | {"time": time})
        assert (len(item.events), item.flags) == (1, flags)


def test_the_patients_identity_is_read_as_everywhere() -> None:
    numbered = {"resourceType": "Patient", "identifier": [{"system": NHS, "value": NUMBER}, LOCAL | {"use": "old"}]}
    event = made(data=bundle(FLAG, numbered))
    assert event.partitionkey == KEYS.record_by_number(SOURCE.id, NhsNumber(NUMBER))
    (item,) = translated(SENT | {"data": bundle(FLAG, PATIENT | {"identifier": [LOCAL, {"system": NHS, "value": "1"}]})})
    assert item.flags == ("nhs-number-invalid at Patient.identifier[1]",)


def test_a_patient_may_be_the_focus() -> None:
    event = made(type="person-changed-1", data=bundle(at("urn:uuid:p", PATIENT), at("urn:uuid:w", WARD)))
    assert [entry["resource"]["resourceType"] for entry in payload(event)["entry"]] == ["Patient", "Location"]
    assert focus_of(payload(event)) == PATIENT


def test_null_is_an_attribute_without_a_value() -> None:
    nothing = dict.fromkeys(("sequence", "correlationid", "traceparent", "dataclassification", "timeprecision", "data_base64"))
    assert made(**nothing).sequence == ""


@pytest.mark.parametrize("kind", ["application/json", "Application/FHIR+JSON; charset=utf-8", None])
def test_the_data_may_be_called_json(kind: str | None) -> None:
    assert made(datacontenttype=kind).datacontenttype == "application/fhir+json"


def test_data_in_base64_is_the_same_data() -> None:
    encoded = without("data") | {"data_base64": base64.b64encode(orjson.dumps(DATA)).decode()}
    (item,) = translated(encoded)
    assert payload(item.events[0]) == DATA


def test_digits_of_decimals_stay_as_they_came() -> None:
    raw = orjson.dumps(SENT | {"data": bundle(FLAG | {"extension": [{"url": "a", "valueDecimal": 12345}]}, PATIENT)})
    (item,) = translated(raw.replace(b"12345", b"72.50"))
    assert b'"valueDecimal":72.50' in bytes(item.events[0].data)


def test_an_event_of_ours_may_be_sent_to_another_backbone() -> None:
    again = orjson.loads(encode(made())) | {"source": SOURCE.urn}
    assert translated(again)[0].rejection is None


def test_a_foreign_writer_of_cloudevents_is_understood() -> None:
    attributes = {key: value for key, value in SENT.items() if key != "data"} | {"time": datetime.fromisoformat(SENT["time"])}
    (item,) = translated(JSONFormat().write(CloudEvent(attributes, DATA)))
    assert item.events[0].subject == made().subject


def test_a_batch_has_an_item_for_each_event_and_one_fault_holds_up_none() -> None:
    items = translated([SENT, SENT | {"type": "x-y-1"}, 7, SENT | {"id": "2"}])
    assert [item.position for item in items] == ["event 1", "event 2", "event 3", "event 4"]
    assert [item.rejection.error.code if item.rejection else "" for item in items] == ["", "unsupported", "invalid-value", ""]
    assert items[0].events[0].id == made().id, "the same event alone"


def test_an_empty_batch_has_no_items() -> None:
    assert translated([]) == []


def test_a_rejected_event_alone_has_the_same_verdict() -> None:
    refused = translated([SENT, SENT | {"id": ""}])[1].rejection
    assert refused is not None
    (again,) = translated(refused.content)
    assert again.rejection is not None
    assert str(again.rejection.error) == str(refused.error)


UNREAD, UNREAD_AT = {"resourceType": "Basic"}, "Bundle.entry[2].resource.resourceType"
FAULTY = FLAG | {"status": "Zebedee"}
NOBODY = {"resourceType": "Patient"}
NO_PATIENT = bundle(FLAG | {"subject": {"display": "a"}}, WARD)
REFUSED: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("a type of somebody else", SENT | {"type": "pds-change-of-gp-2"}, ("unsupported", "type")),
    ("another version", SENT | {"specversion": "0.3"}, ("unsupported", "specversion")),
    ("another source", SENT | {"source": STATED.urn}, ("invalid-value", "source")),
    ("no id", without("id"), ("invalid-value", "id")),
    ("an empty id", SENT | {"id": ""}, ("invalid-value", "id")),
    ("an endless id", SENT | {"id": "x" * 201}, ("invalid-value", "id")),
    ("an id that is a number", SENT | {"id": 7}, ("invalid-value", "id")),
    ("no type", without("type"), ("invalid-value", "type")),
    ("no source", without("source"), ("invalid-value", "source")),
    ("no version", without("specversion"), ("invalid-value", "specversion")),
    ("an empty sequence", SENT | {"sequence": ""}, ("invalid-value", "sequence")),
    ("a precision that is none", SENT | {"timeprecision": "Zebedee"}, ("invalid-value", "timeprecision")),
    ("a classification that is none", SENT | {"dataclassification": "Zebedee"}, ("invalid-value", "dataclassification")),
    ("a day for a time", SENT | {"time": "2026-02-03"}, ("invalid-value", "time")),
    ("a time without a zone", SENT | {"time": "2026-02-03T15:30:00"}, ("invalid-value", "time")),
    ("a day that is none", SENT | {"time": "2026-02-31T15:30:00Z"}, ("invalid-value", "time")),
    ("an hour that is none", SENT | {"time": "2026-02-03T25:30:00Z"}, ("invalid-value", "time")),
    ("a zone that is none", SENT | {"time": "2026-02-03T15:30:00+99:00"}, ("invalid-value", "time")),
    ("a time outside the calendar", SENT | {"time": "0001-01-01T00:00:00+14:00"}, ("invalid-value", "")),
    ("data of another type", SENT | {"datacontenttype": "text/csv"}, ("unsupported", "datacontenttype")),
    ("no data", without("data"), ("unsupported", "data")),
    ("a pointer to the data", without("data") | {"dataref": "https://x.example"}, ("unsupported", "data")),
    ("data that is no base64", without("data") | {"data_base64": "???"}, ("unreadable", "data_base64")),
    ("base64 that is no JSON", without("data") | {"data_base64": "AAAA"}, ("unreadable", "")),
    ("data that is text", SENT | {"data": "x"}, ("unreadable", "")),
    ("data that is null", SENT | {"data": None}, ("unreadable", "")),
    ("a single resource", SENT | {"data": FLAG}, ("invalid-value", "data")),
    ("a message", SENT | {"data": DATA | {"type": "message"}}, ("invalid-value", "data")),
    ("no entries", SENT | {"data": bundle()}, ("invalid-value", "data.entry")),
    ("another focus", SENT | {"data": bundle(PATIENT, FLAG)}, ("invalid-value", "data.entry[0].resource")),
    ("no patient", SENT | {"data": NO_PATIENT}, ("missing-identifier", "data.entry")),
    ("two patients", SENT | {"data": bundle(FLAG, PATIENT, PATIENT)}, ("missing-identifier", "data.entry")),
    ("somebody unnamed", SENT | {"data": bundle(FLAG, NOBODY)}, ("missing-identifier", "Patient.identifier")),
    ("a fault", SENT | {"data": bundle(FAULTY, PATIENT)}, ("invalid-value", "Bundle.entry[0].resource.status")),
    ("a type that is not read", SENT | {"data": bundle(FLAG, PATIENT, UNREAD)}, ("unsupported", UNREAD_AT)),
    ("a modifier", SENT | {"data": bundle(FLAG | {"implicitRules": "urn:x"}, PATIENT)}, ("unsupported", "Flag.implicitRules")),
]


@pytest.mark.parametrize(("document", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_event_is_refused_by_its_attribute_and_kept_as_it_came(document: dict[str, Any], expected: tuple[str, str]) -> None:
    raw = orjson.dumps(document)
    (item,) = translated(raw)
    assert item.rejection is not None
    assert (item.rejection.error.code, item.rejection.error.where) == expected
    assert (item.position, item.rejection.content, item.rejection.whole) == ("event", raw, False)
    assert "Zebedee" not in str(item.rejection.error)


@pytest.mark.parametrize(
    ("document", "cure"),
    [
        (SENT | {"type": "pds-change-of-gp-2"}, "GET /catalogue"),
        (SENT | {"specversion": "0.3"}, "Write 1.0"),
        (SENT | {"datacontenttype": "text/csv"}, "FHIR Bundle of type collection"),
        (without("data"), "FHIR Bundle of type collection"),
    ],
    ids=["type", "version", "kind of data", "no data"],
)
def test_what_no_translator_will_ever_read_says_what_to_send_instead(document: dict[str, Any], cure: str) -> None:
    [item] = translated(document)
    assert item.rejection is not None
    assert cure in item.rejection.error.cure


def test_an_entry_without_a_resource_is_refused() -> None:
    data = bundle(FLAG, PATIENT)
    data["entry"].append({"fullUrl": "urn:x"})
    (item,) = translated(SENT | {"data": data})
    assert item.rejection is not None
    assert item.rejection.error.where == "data.entry"


UNREADABLE = [b"", b"{", b"\xff", b"specversion", '{"id":"é"}'.encode("latin-1"), b'{"a":' * 100_000]


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_is_no_event_is_unreadable(raw: bytes) -> None:
    (item,) = translated(raw)
    assert item.rejection is not None
    assert item.rejection.error.code == "unreadable"


@pytest.mark.parametrize("raw", [b"[", b"[{]", b"[\xff]", b" [1,", b"[" * 100_000], ids=range(5))
def test_a_batch_that_is_cut_short_is_refused_whole(raw: bytes) -> None:
    (item,) = translated(raw)
    assert item.rejection is not None
    assert (item.rejection.error.code, item.rejection.whole) == ("unreadable", True)


@pytest.mark.parametrize("name", [row.name for row in CATALOGUE.values() if row.focus == "Encounter"])
def test_every_type_of_a_focus_can_be_sent(name: str) -> None:
    stay = resource("Encounter", id="e1", status="finished")
    assert made(type=name, data=bundle(stay, PATIENT)).type == name


def test_the_attributes_and_elements_of_the_first_event_are_its_fields() -> None:
    for document in (SENT, [SENT, SENT | {"sequence": "1"}]):
        fields = {field.name: field.without for field in TRANSLATOR.fields(orjson.dumps(document))}
        assert {"id", "time", "data.entry[0].resource.status", "data.entry[1].resource.identifier[0].value"} <= set(fields)
        assert "sequence" not in fields
        (item,) = translated(fields["time"])
        assert item.flags == ("time-of-arrival at time",)


@pytest.mark.parametrize("raw", [b"", b"[", b"[]", b"[1]", b"7", b"\xff"])
def test_what_cannot_be_read_has_no_fields(raw: bytes) -> None:
    assert list(TRANSLATOR.fields(raw)) == []
