"""Message Bundles: what the Booking and Referral Standard's messages mean, and those that name an event type themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.fhir.message import EVENT_SYSTEM, MEANINGS
from schemas.catalogue import CATALOGUE
from schemas.event import payload
from schemas.fhir.bundle import focus_of
from schemas.sentence import title
from tests.adapters.fhir_cases import (
    NUMBER,
    PATIENT,
    SOURCE,
    SUBJECT,
    Resource,
    at,
    bundle,
    event,
    only,
    refusal,
    resource,
)

BARS = "https://fhir.nhs.uk/CodeSystem/message-events-bars"
OLDER = "https://fhir.nhs.uk/CodeSystem/message-event-servicerequest"
STAMP = "2026-02-06T07:00:00+00:00"
ORGANISATION = at("urn:uuid:org", resource("Organization", name="Willow Befriending"))
REQUEST = resource(
    "ServiceRequest",
    id="s1",
    identifier=[{"system": "https://fhir.nhs.uk/Id/UBRN", "value": "000049700010"}],
    authoredOn="2026-02-05T09:00:00Z",
    code={"text": "befriending"},
    performer=[{"reference": "urn:uuid:org"}],
)
VISIT = resource("Appointment", id="a1", start="2026-03-01T10:00:00Z", end="2026-03-01T10:20:00Z")
STAY = resource("Encounter", id="e1", class_={"code": "EMER"})
TASK = resource("Task", id="t1", focus={"reference": "urn:uuid:s"}, owner={"display": "Willow Befriending"})


def header(event_code: str, reason: str = "", focus: str = "urn:uuid:focus", **elements: Any) -> Resource:
    """A MessageHeader of BaRS."""
    said: Resource = {"eventCoding": {"system": BARS, "code": event_code}, "source": {"endpoint": "urn:x"}}
    if reason:
        said["reason"] = {"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/message-reason-bars", "code": reason}]}
    return resource("MessageHeader", id="m1", focus=[{"reference": focus}], **(said | elements))


def message(head: Resource, focus: Resource, *others: Resource) -> Resource:
    """A message Bundle."""
    return bundle(head, at("urn:uuid:focus", focus), *others, ORGANISATION, PATIENT, kind="message", timestamp=STAMP)


REQUEST_, RESPONSE = "servicerequest-request", "servicerequest-response"
BOOKING, BOOKED = "booking-request", "booking-response"

MEANS: list[tuple[str, str, Resource, str, str, str]] = [
    (REQUEST_, "new", REQUEST, "active", "referral-requested-1", "Referred for befriending to Willow Befriending"),
    (REQUEST_, "", REQUEST, "active", "referral-requested-1", "Referred for befriending to Willow Befriending"),
    (REQUEST_, "update", REQUEST, "active", "referral-changed-1", "Referral for befriending updated"),
    (REQUEST_, "update", REQUEST, "on-hold", "referral-changed-1", "Referral for befriending updated"),
    (REQUEST_, "update", REQUEST, "revoked", "referral-cancelled-1", "Referral for befriending cancelled"),
    (REQUEST_, "update", REQUEST, "entered-in-error", "referral-cancelled-1", "Referral for befriending cancelled"),
    (REQUEST_, "delete", REQUEST, "active", "referral-cancelled-1", "Referral for befriending cancelled"),
    (RESPONSE, "new", REQUEST, "active", "referral-accepted-1", "Referral accepted by Willow Befriending"),
    (RESPONSE, "update", REQUEST, "on-hold", "referral-accepted-1", "Referral accepted by Willow Befriending"),
    (RESPONSE, "new", REQUEST, "revoked", "referral-declined-1", "Referral declined by Willow Befriending"),
    (RESPONSE, "new", REQUEST, "completed", "referral-completed-1", "Referral completed by Willow Befriending"),
    (RESPONSE, "new", TASK, "accepted", "referral-accepted-1", "Referral accepted by Willow Befriending"),
    (RESPONSE, "new", TASK, "rejected", "referral-declined-1", "Referral declined by Willow Befriending"),
    (RESPONSE, "new", TASK, "failed", "referral-declined-1", "Referral declined by Willow Befriending"),
    (RESPONSE, "new", TASK, "completed", "referral-completed-1", "Referral completed by Willow Befriending"),
    (BOOKING, "new", VISIT, "booked", "encounter-planned-1", "Appointment planned for 1 March 2026"),
    (BOOKING, "new", VISIT, "proposed", "encounter-planned-1", "Appointment planned for 1 March 2026"),
    (BOOKING, "update", VISIT, "booked", "encounter-planned-1", "Appointment planned for 1 March 2026"),
    (BOOKING, "update", VISIT, "cancelled", "encounter-cancelled-1", "Appointment cancelled"),
    (BOOKING, "update", VISIT, "entered-in-error", "encounter-cancelled-1", "Appointment cancelled"),
    (BOOKING, "delete", VISIT, "booked", "encounter-cancelled-1", "Appointment cancelled"),
    (BOOKING, "update", VISIT, "noshow", "contact-missed-1", "Missed appointment by Northfield Hospital"),
    (BOOKING, "update", VISIT, "fulfilled", "encounter-attended-1", "Seen by Northfield Hospital"),
    (BOOKED, "new", VISIT, "booked", "encounter-planned-1", "Appointment planned for 1 March 2026"),
    (BOOKED, "new", VISIT, "cancelled", "encounter-cancelled-1", "Appointment cancelled"),
]


@pytest.mark.parametrize(("code", "reason", "focus", "status", "makes", "sentence"), MEANS)
def test_a_message_means(code: str, reason: str, focus: Resource, status: str, makes: str, sentence: str) -> None:
    made = event(message(header(code, reason), focus | {"status": status}))
    assert made.type == makes
    told = focus_of(payload(made))
    assert told["resourceType"] == CATALOGUE[makes].focus
    assert title(CATALOGUE[makes].title, told, SOURCE.name, payload(made)["entry"]) == sentence


ANSWERED_BY_STAY = [
    ("triaged", "referral-accepted-1"),
    ("in-progress", "referral-accepted-1"),
    ("cancelled", "referral-declined-1"),
    ("finished", "referral-completed-1"),
]


@pytest.mark.parametrize(("status", "makes"), ANSWERED_BY_STAY)
def test_an_answer_is_given_by_the_encounter_before_the_request(status: str, makes: str) -> None:
    answered = message(header(RESPONSE), REQUEST | {"status": "active"}, at("urn:uuid:e", STAY | {"status": status}))
    made = event(answered)
    assert made.type == makes
    assert focus_of(payload(made))["focus"] == {"type": "ServiceRequest", "reference": "urn:uuid:focus"}
    assert focus_of(payload(made))["for"] == SUBJECT


def test_every_row_of_the_table_is_tried_above() -> None:
    tried = {(code, makes) for code, _, _, _, makes, _ in MEANS}
    assert {(row.event, row.makes.name) for row in MEANINGS} - tried == {
        ("booking-response", "contact-missed-1"),
        ("booking-response", "encounter-attended-1"),
    }


def test_a_referral_and_its_answers_are_one_conversation() -> None:
    requested = event(message(header(REQUEST_, "new"), REQUEST | {"status": "active"}))
    accepted = event(message(header(RESPONSE), REQUEST | {"status": "active"}))
    task = event(message(header(RESPONSE), TASK | {"status": "rejected"}, at("urn:uuid:s", REQUEST | {"status": "active"})))
    assert requested.correlationid == accepted.correlationid == task.correlationid != ""
    assert len({requested.subject, accepted.subject, task.subject}) == 3


def test_an_update_is_a_fact_of_its_own_and_a_cancelled_booking_is_not() -> None:
    planned = event(message(header(BOOKING, "new"), VISIT | {"status": "booked"}))
    cancelled = event(message(header(BOOKING, "update"), VISIT | {"status": "cancelled"}))
    assert planned.subject == cancelled.subject


def test_everything_in_the_message_is_kept_under_the_url_it_came_with() -> None:
    entries = payload(event(message(header(REQUEST_, "new"), REQUEST | {"status": "active"})))["entry"]
    assert [entry["resource"]["resourceType"] for entry in entries] == [
        "ServiceRequest",
        "Patient",
        "MessageHeader",
        "Organization",
    ]
    assert [entries[0]["fullUrl"], entries[3]["fullUrl"]] == ["urn:uuid:focus", "urn:uuid:org"]
    assert entries[0]["resource"] == REQUEST | {"status": "active"}


def test_the_messages_time_orders_what_has_no_version() -> None:
    assert event(message(header(REQUEST_, "new"), REQUEST | {"status": "active"})).sequence == "2026-02-06T07:00:00.000Z"


OTHER_SPELLINGS = [
    {"eventCoding": {"system": OLDER, "code": REQUEST_}},
    {"eventCoding": {"system": BARS.replace("https", "http"), "code": REQUEST_}},
    {"eventUri": f"{BARS}#{REQUEST_}"},
]


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_the_event_is_known_in_older_spellings(spelling: Resource) -> None:
    head = header(REQUEST_, "new")
    del head["eventCoding"]
    assert event(message(head | spelling, REQUEST | {"status": "active"})).type == "referral-requested-1"


NAMED = [
    {"eventCoding": {"system": EVENT_SYSTEM, "code": "alert-raised-1"}},
    {"eventUri": f"{EVENT_SYSTEM}:alert-raised-1"},
]


@pytest.mark.parametrize("spelling", NAMED)
def test_an_event_type_of_the_catalogue_may_be_named(spelling: Resource) -> None:
    head = header("")
    del head["eventCoding"]
    flag = resource("Flag", id="f1", status="active")
    made = event(message(head | spelling, flag))
    assert made.type == "alert-raised-1"
    assert made.subject == event(bundle(flag, PATIENT)).subject, "the same fact as when it says so by its status"
    assert refusal(message(head | spelling, VISIT | {"status": "booked"})) == ("invalid-value", "MessageHeader.focus")


HEAD = header(REQUEST_, "new")
REFUSED: list[tuple[str, Resource, tuple[str, str]]] = [
    (
        "an event that is not known",
        message(header("admin-notify"), REQUEST | {"status": "active"}),
        ("unsupported", "MessageHeader.event[x]"),
    ),
    (
        "an event of another system",
        message(HEAD | {"eventCoding": {"system": "urn:x", "code": REQUEST_}}, REQUEST | {"status": "active"}),
        ("unsupported", "MessageHeader.event[x]"),
    ),
    (
        "an event type that the catalogue does not have",
        message(HEAD | {"eventCoding": {"system": EVENT_SYSTEM, "code": "x-y-1"}}, REQUEST | {"status": "active"}),
        ("unsupported", "MessageHeader.event[x]"),
    ),
    ("a state that says nothing", message(HEAD, REQUEST | {"status": "draft"}), ("unsupported", "MessageHeader.focus")),
    ("nothing that decides", message(HEAD, VISIT | {"status": "booked"}), ("unsupported", "MessageHeader.focus")),
    (
        "an answer about no request",
        message(header(RESPONSE), STAY | {"status": "finished"}),
        ("unsupported", "MessageHeader.focus"),
    ),
    (
        "word that an earlier message failed",
        message(header(RESPONSE, response={"identifier": "m0", "code": "fatal-error"}), REQUEST | {"status": "active"}),
        ("unsupported", "MessageHeader.response.code"),
    ),
    (
        "no header",
        bundle(REQUEST | {"status": "active"}, PATIENT, kind="message"),
        ("invalid-value", "Bundle.entry[0].resource"),
    ),
    ("a header in the second place", bundle(PATIENT, HEAD, kind="message"), ("invalid-value", "Bundle.entry[0].resource")),
    ("nothing at all", bundle(kind="message"), ("invalid-value", "Bundle.entry[0].resource")),
    ("a fault anywhere", message(HEAD, REQUEST | {"status": "x"}), ("invalid-value", "Bundle.entry[1].resource.status")),
    (
        "no patient",
        bundle(HEAD, REQUEST | {"status": "active"}, kind="message"),
        ("missing-identifier", "ServiceRequest.subject"),
    ),
]


@pytest.mark.parametrize(("document", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_message_is_refused_whole_and_kept_as_it_came(document: Resource, expected: tuple[str, str]) -> None:
    raw = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    assert refusal(raw) == expected
    item = only(raw)
    assert item.rejection is not None
    assert (item.position, item.rejection.content, item.rejection.whole) == ("message", raw, False)


def test_an_empty_response_code_is_ok() -> None:
    answered = message(header(RESPONSE, response={"identifier": "m0", "code": "ok"}), REQUEST | {"status": "active"})
    assert event(answered).type == "referral-accepted-1"


PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "bars"
needs_samples = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published samples are not beside this checkout")


@needs_samples
def test_a_published_booking_is_planned() -> None:
    made = event((PUBLISHED / "process-message-request.json").read_bytes())
    assert (made.type, made.time) == ("encounter-planned-1", "2021-10-12T12:30:30.000Z")
    told = focus_of(payload(made))
    sentence = title(CATALOGUE[made.type].title, told, SOURCE.name, payload(made)["entry"])
    assert sentence == "Appointment planned at Healthcare Service Location, for 12 October 2021"


@needs_samples
def test_a_published_request_for_validation_names_nobody_until_its_number_can_be_one() -> None:
    raw = (PUBLISHED / "validation-request.json").read_bytes()
    assert refusal(raw) == ("missing-identifier", "Patient.identifier")
    patient = next(one for one in json.loads(raw)["entry"] if one["resource"]["resourceType"] == "Patient")
    sent = patient["resource"]["identifier"][0]["value"].encode()
    assert event(raw.replace(sent, NUMBER.encode())).type == "referral-requested-1"


@needs_samples
def test_a_published_message_that_is_not_fhir_is_refused() -> None:
    assert refusal((PUBLISHED / "process-message-success.json").read_bytes())[0] == "invalid-value"
