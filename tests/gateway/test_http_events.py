"""``POST /events``: CloudEvents in every mode of the HTTP binding, from our own hand and from a foreign library."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.event import decode, payload
from schemas.log import EVENTS, QUARANTINE
from tests.gateway.http_rig import DOROTHY, NHS_NUMBER, Rig, rigged

URN = "urn:care-backbone:source:riverside-bars"
UNHEARD_OF = "urn:care-backbone:source:unheard-of"
FOLDER_ONLY = "urn:care-backbone:source:folder-only"
LINES = "urn:care-backbone:source:lines"
ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


def bundle() -> dict[str, Any]:
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": URN, "value": "1001"}, {"system": NHS_NUMBER, "value": DOROTHY}],
    }
    focus = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"},
        "type": [{"text": "home visit"}],
        "subject": {"reference": "urn:uuid:0e3f2504-4f89-41d3-9a0c-0305e82c3301"},
    }
    entries = [
        ("urn:uuid:1e3f2504-4f89-41d3-9a0c-0305e82c3301", focus),
        ("urn:uuid:0e3f2504-4f89-41d3-9a0c-0305e82c3301", patient),
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
    }


def event(**attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "visit-7",
        "source": URN,
        "type": "contact-made-1",
        "time": "2026-02-12T10:00:00Z",
        "datacontenttype": "application/fhir+json",
        "data": bundle(),
        **attributes,
    }


def of(source: str, **attributes: Any) -> dict[str, Any]:
    """An event of another source, about a record of its own."""
    data = bundle()
    data["entry"][1]["resource"]["identifier"][0]["system"] = source
    return event(**{"source": source, "data": data, **attributes})


def foreign(**attributes: Any) -> CloudEvent:
    """The same event as the CloudEvents library of another house makes it."""
    ours = event(**attributes)
    data = ours.pop("data")
    return CloudEvent(attributes=ours | {"time": _moment(ours["time"])}, data=data)


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


@pytest.mark.asyncio
async def test_the_event_that_the_documentation_shows_is_taken_in(rig: Rig) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sending.md").read_text()
    shown = page.partition("```json\n")[2].partition("```")[0]
    answer = await rig.client.post("/events", content=shown, headers={"content-type": ONE})
    assert (answer.status_code, answer.json()["flags"]) == (200, [])


@pytest.mark.parametrize("write", [to_structured, to_binary])
@pytest.mark.asyncio
async def test_a_foreign_librarys_event_is_taken_in(rig: Rig, write: Any) -> None:
    message = write(foreign(), JSONFormat())
    answer = await rig.client.post("/events", content=message.body, headers=message.headers)
    assert answer.status_code == 200, answer.text
    (made,) = (decode(record.value) for record in rig.log.all(EVENTS))
    assert (made.type, made.source, made.time) == ("contact-made-1", URN, "2026-02-12T10:00:00.000Z")
    assert payload(made)["entry"][0]["resource"]["type"] == [{"text": "home visit"}]
    assert answer.json()["events"] == [made.id]


@pytest.mark.asyncio
async def test_an_event_posted_again_is_the_same_event_and_has_the_same_receipt(rig: Rig) -> None:
    for write in (to_structured, to_binary):
        message = write(foreign(), JSONFormat())
        first = await rig.client.post("/events", content=message.body, headers=message.headers)
        reordered = dict(reversed(list(message.headers.items())))
        again = await rig.client.post("/events", content=message.body, headers=reordered)
        assert first.json() == again.json()


@pytest.mark.asyncio
async def test_an_event_sent_again_in_another_mode_or_form_is_one_event(rig: Rig) -> None:
    sent = event()
    turned = {name: sent[name] for name in reversed(sent)}
    bodies = [(json.dumps(sent), ONE), (json.dumps(turned, indent=2), ONE), (json.dumps([turned]), BATCH)]
    answers = [await rig.client.post("/events", content=body, headers={"content-type": kind}) for body, kind in bodies]
    binary = to_binary(foreign(), JSONFormat())
    answers.append(await rig.client.post("/events", content=binary.body, headers=binary.headers))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({tuple(answer.json()["events"]) for answer in answers}) == 1
    assert [answer.json()["flags"] for answer in answers] == [[]] * 4
    await rig.settle()
    page = (await rig.client.get(f"/people/{await rig.person(DOROTHY)}/timeline")).json()
    assert [entry["version"] for entry in page["entries"]] == [1]


@pytest.mark.asyncio
async def test_an_id_used_for_another_event_is_taken_in_and_flagged(rig: Rig) -> None:
    first = await rig.client.post("/events", json=event(), headers={"content-type": ONE})
    other = event(time="2026-02-12T11:00:00Z")
    answer = await rig.client.post("/events", json=[event(id="visit-8"), other], headers={"content-type": BATCH})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert answer.json()["flags"] == ["event-id-reused at event 2, id"]
    assert first.json()["events"][0] not in answer.json()["events"]


@pytest.mark.parametrize("change", [{"sequence": "2"}, {"type": "entry-withdrawn-1"}])
@pytest.mark.asyncio
async def test_a_later_version_and_a_withdrawal_use_the_id_rightly(rig: Rig, change: dict[str, Any]) -> None:
    for sent in (event(sequence="1"), event(**change)):
        answer = await rig.client.post("/events", json=sent, headers={"content-type": ONE})
        assert (answer.status_code, answer.json()["flags"]) == (200, [])


@pytest.mark.asyncio
async def test_a_reference_without_words_is_called_by_the_name_of_what_it_leads_to(rig: Rig) -> None:
    sent = bundle()
    sent["entry"][0]["resource"] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "befriending"},
        "subject": {"reference": sent["entry"][1]["fullUrl"]},
        "performer": [{"reference": "urn:uuid:2e3f2504-4f89-41d3-9a0c-0305e82c3301"}],
    }
    organisation = {"resourceType": "Organization", "name": "Willow Befriending"}
    sent["entry"].append({"fullUrl": "urn:uuid:2e3f2504-4f89-41d3-9a0c-0305e82c3301", "resource": organisation})
    referral = json.dumps(event(type="referral-requested-1", data=sent))
    answer = await rig.client.post("/events", content=referral, headers={"content-type": ONE})
    assert answer.status_code == 200, answer.text
    await rig.settle()
    page = (await rig.client.get(f"/people/{await rig.person(DOROTHY)}/timeline")).json()
    assert [entry["title"] for entry in page["entries"]] == ["Referred for befriending to Willow Befriending"]


@pytest.mark.asyncio
async def test_a_batch_is_taken_in_event_by_event(rig: Rig) -> None:
    batch = [event(id="visit-1"), event(id="visit-2", type="no-such-type-1"), event(id="visit-3")]
    answer = await rig.client.post("/events", content=json.dumps(batch), headers={"content-type": BATCH})
    assert answer.status_code == 207
    receipt = answer.json()
    assert (receipt["accepted"], receipt["rejected"]) == (2, 1)
    assert receipt["refusals"][0]["position"] == "event 2"
    assert len(rig.log.all(QUARANTINE)) == 1


@pytest.mark.asyncio
async def test_a_batch_of_several_sources_has_a_receipt_for_each(rig: Rig) -> None:
    batch = [event(id="1"), of(LINES, id="2"), event(id="3")]
    answer = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["received"], told["accepted"], told["rejected"]) == (3, 3, 0)
    assert [(one["source"], one["accepted"]) for one in told["receipts"]] == [("riverside-bars", 2), ("lines", 1)]
    made = [decode(record.value) for record in rig.log.all(EVENTS)]
    assert {(one.id, one.source) for one in made} == {
        (one, f"urn:care-backbone:source:{receipt['source']}") for receipt in told["receipts"] for one in receipt["events"]
    }
    again = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert again.json() == told
    assert len(rig.log.all(EVENTS)) == 3
    alone = await rig.client.post("/events", json=event(id="3"), headers={"content-type": ONE})
    assert alone.json()["events"][0] == told["receipts"][0]["events"][1]


@pytest.mark.asyncio
async def test_of_a_batch_of_several_sources_each_event_is_judged_by_itself_and_nothing_is_lost(rig: Rig) -> None:
    closed = event(id="4", source=FOLDER_ONLY)
    batch = [event(id="0", source=UNHEARD_OF), event(id="1"), 7, event(id="2", type="no-such-1"), closed]
    answer = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert answer.status_code == 207, answer.text
    told = answer.json()
    assert (told["received"], told["accepted"], told["rejected"]) == (5, 1, 4)
    refused = {refusal["position"]: refusal for receipt in told["receipts"] for refusal in receipt["refusals"]}
    assert {position: refusal["code"] for position, refusal in refused.items()} == {
        "event 1": "unknown-sender",
        "event 3": "unknown-sender",
        "event 4": "unsupported",
        "event 5": "unknown-sender",
    }
    assert [receipt["source"] for receipt in told["receipts"]] == ["riverside-bars", "unknown-http"]
    await rig.settle()
    for position, number in (("event 1", 0), ("event 3", 2), ("event 4", 3), ("event 5", 4)):
        path = f"/quarantine/{refused[position]['quarantine']}"
        kept = (await rig.client.get(f"{path}?include=content")).json()
        assert json.loads(base64.b64decode(kept["content"])) == batch[number]
        assert kept["position"] == position


@pytest.mark.asyncio
async def test_what_was_kept_of_a_batch_is_redriven_as_the_source_it_is_of(rig: Rig) -> None:
    batch = [event(id="1"), event(id="2", source=UNHEARD_OF), of(FOLDER_ONLY, id="3")]
    told = (await rig.client.post("/events", json=batch, headers={"content-type": BATCH})).json()
    item = told["receipts"][-1]["refusals"][1]["quarantine"]
    await rig.settle()
    answer = await rig.client.post(f"/quarantine/{item}/redrive?source=folder-only")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text


@pytest.mark.asyncio
async def test_of_a_batch_of_several_sources_of_which_nothing_can_be_read_all_is_kept(rig: Rig) -> None:
    batch = [event(type="no-such-1"), of(LINES, type="no-such-1")]
    answer = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert (answer.status_code, answer.json()["code"], answer.json()["rejected"]) == (422, "unsupported", 2)
    assert len(rig.log.all(QUARANTINE)) == 2


@pytest.mark.asyncio
async def test_a_batch_of_several_sources_that_the_log_takes_in_part_is_not_acknowledged(rig: Rig) -> None:
    batch = [event(id="1"), of(LINES, id="2")]
    rig.log.room = 1
    answer = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert answer.status_code == 503
    rig.log.room = math.inf
    answer = await rig.client.post("/events", json=batch, headers={"content-type": BATCH})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert len({decode(record.value).id for record in rig.log.all(EVENTS)}) == 2


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (event(source=UNHEARD_OF), {"content-type": ONE}, 404, "unknown-source"),
        (event(source="https://elsewhere.example/"), {"content-type": ONE}, 404, "unknown-source"),
        (event(source=FOLDER_ONLY), {"content-type": ONE}, 403, "door-closed"),
        (event(type="no-such-type-1"), {"content-type": ONE}, 422, "unsupported"),
        ({"specversion": "1.0"}, {"content-type": ONE}, 400, "invalid-request"),
        ([], {"content-type": ONE}, 400, "invalid-request"),
        ([], {"content-type": BATCH}, 400, "invalid-request"),
        ([event(source=UNHEARD_OF), 7], {"content-type": BATCH}, 404, "unknown-source"),
        ([{"id": "1"}, event(source=UNHEARD_OF)], {"content-type": BATCH}, 400, "invalid-request"),
        ([event(source=FOLDER_ONLY)], {"content-type": BATCH}, 403, "door-closed"),
        ({}, {"content-type": "application/json"}, 415, "wrong-media-type"),
        ({}, {"content-type": "application/json", "ce-id": "1"}, 400, "invalid-request"),
        ({}, {"content-type": "application/json", "ce-id": "1", "ce-source": URN}, 422, "invalid-value"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_no_event_of_a_declared_source_is_refused(
    rig: Rig, content: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await rig.client.post("/events", content=json.dumps(content), headers=headers)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["cure"]
    assert (len(rig.log.all(QUARANTINE)) == 1) is (status == 422), "what is kept says so, and what is not, too"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b'{"source":5}',
        b"null",
        b'{"source":' + b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)
@pytest.mark.parametrize("kind", [ONE, BATCH])
@pytest.mark.asyncio
async def test_rubbish_is_refused_and_never_an_error_of_ours(rig: Rig, content: bytes, kind: str) -> None:
    answer = await rig.client.post("/events", content=content, headers={"content-type": kind})
    assert answer.status_code == 400


@pytest.mark.parametrize("data", [b"not json at all", b"\xff\xfe", b'{"a":', b"NaN"])
@pytest.mark.asyncio
async def test_data_of_the_binary_mode_that_is_not_what_it_says_is_kept_whole(rig: Rig, data: bytes) -> None:
    headers = to_binary(foreign(), JSONFormat()).headers
    answer = await rig.client.post("/events", content=data, headers=headers)
    assert answer.status_code == 422
    item = answer.json()["refusals"][0]["quarantine"]
    await rig.settle()
    kept = (await rig.client.get(f"/quarantine/{item}?include=content")).json()
    assert kept["code"] == answer.json()["code"]


@pytest.mark.parametrize(
    ("header", "attribute"),
    [("visit-7", "visit-7"), ('"visit 7"', "visit 7"), ("visit%207", "visit 7"), ("%C3%A9", "é"), (r'"a\"b"', 'a"b')],
)
@pytest.mark.asyncio
async def test_attributes_in_headers_are_decoded_as_the_binding_says(rig: Rig, header: str, attribute: str) -> None:
    headers = to_binary(foreign(), JSONFormat()).headers | {"ce-id": header}
    data = json.dumps(bundle())
    binary = (await rig.client.post("/events", content=data, headers=headers)).json()
    structured = (
        await rig.client.post("/events", content=json.dumps(event(id=attribute)), headers={"content-type": ONE})
    ).json()
    subjects = {decode(record.value).subject for record in rig.log.all(EVENTS)}
    assert len(subjects) == 1, "both name the same fact"
    assert binary["accepted"] == structured["accepted"] == 1
