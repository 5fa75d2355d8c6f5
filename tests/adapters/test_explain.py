"""The dry run: where each field of the output comes from, found by leaving fields out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

import msgspec
import orjson
import pytest

from adapters.explain import Explanation, Target, explain
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import MissingIdentifier
from schemas.event import PAYLOAD_TYPE, SCHEMA_URN, Event, event_id
from schemas.fhir.bundle import collection, patient_reference
from schemas.identifiers import LocalId
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source

WILLOW = Source(id="willow-contacts", name="Willow Befriending", sector=Sector.VOLUNTARY)
ARRIVAL = Arrival(WILLOW, datetime(2026, 2, 3, tzinfo=UTC), Pseudonyms(b"only for tests: 32 bytes or more"))


class PairsTranslator:
    """Reads JSON objects: ``id`` is required, ``kind`` says what is made, ``helper`` is an optional resource."""

    version = "pairs-1"

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        for place, pairs in enumerate(orjson.loads(content.read()), 1):
            yield self._item(pairs, f"row {place}", arrival)

    def _item(self, pairs: dict[str, str], position: str, arrival: Arrival) -> Item:
        if not pairs["id"]:
            return Item(position, rejection=Rejection(MissingIdentifier(where="id"), orjson.dumps([pairs])))
        types = {"visit": ["contact-made-1"], "missed": ["contact-missed-1"], "both": ["contact-missed-1", "contact-made-1"]}
        events = tuple(self._event(pairs, kind, arrival) for kind in types.get(pairs["kind"], []))
        return Item(position, events, flags=("no name",) if not pairs["name"] else ())

    def _event(self, pairs: dict[str, str], kind: str, arrival: Arrival) -> Event:
        record = arrival.pseudonyms.record(arrival.source.id, LocalId(pairs["id"]))
        fact = arrival.pseudonyms.fact(arrival.source.id, pairs["id"], pairs["day"])
        focus = {
            "resourceType": "Encounter",
            "status": "finished",
            "period": {"start": pairs["day"]},
            "subject": patient_reference(record),
        }
        patient = {"resourceType": "Patient", "name": [{"text": pairs["name"]}] if pairs["name"] else []}
        helper = ({"resourceType": "Practitioner", "name": [{"text": pairs["helper"]}]},) if pairs["helper"] else ()
        place = ({"resourceType": "Location", "name": pairs["place"] or pairs["venue"]},)
        bundle = collection(focus, fact, patient, record, helper + place)
        return Event(
            id=event_id(arrival.source.id, fact, kind, orjson.dumps(pairs), self.version),
            source=arrival.source.urn,
            specversion="1.0",
            type=kind,
            subject=fact,
            time=pairs["day"] + "T00:00:00.000Z",
            recordedtime="2026-02-03T00:00:00.000Z",
            partitionkey=record,
            dataschema=SCHEMA_URN + kind,
            datacontenttype=PAYLOAD_TYPE,
            data=msgspec.Raw(orjson.dumps(bundle)),
        )

    def fields(self, content: bytes) -> Iterator[Field]:
        rows = orjson.loads(content)
        for name, value in rows[0].items():
            with_value = partial(_with_value, rows, name)
            yield Field(name, with_value(""), value, with_value)


def _with_value(rows: list[dict[str, str]], name: str, text: str) -> bytes:
    return orjson.dumps([rows[0] | {name: text}, *rows[1:]])


ROW = {
    "id": "7",
    "kind": "visit",
    "day": "2026-02-01",
    "name": "A. Person",
    "helper": "B. Helper",
    "place": "Hall",
    "venue": "",
    "note": "unused",
}


def explained(*rows: dict[str, str]) -> Explanation:
    return explain(PairsTranslator(), orjson.dumps(rows), ARRIVAL)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("type", ("id", "kind")),
        ("time", ("day",)),
        ("subject", ("id", "day")),
        ("partitionkey", ("id",)),
        ("entry[0].resource.period.start", ("day",)),
        ("entry[0].resource.status", ()),
        ("entry[1].resource.name[0].text", ("name",)),
        ("entry[2].resource.name[0].text", ("helper",)),
        ("entry[2].resource.resourceType", ("helper",)),
        ("entry[3].resource.name", ("place",)),
    ],
)
def test_each_field_of_the_output_names_the_fields_it_came_from(path: str, fields: tuple[str, ...]) -> None:
    assert explained(ROW).provenance[Target(0, path)] == fields


def test_what_only_moved_up_because_something_before_it_is_gone_is_not_owed_to_it() -> None:
    provenance = explained(ROW).provenance
    assert "helper" not in provenance[Target(0, "entry[3].resource.name")]
    assert "helper" not in provenance[Target(0, "entry[3].resource.resourceType")]


def test_references_that_only_repeat_the_key_are_not_listed() -> None:
    assert not [target.path for target in explained(ROW).provenance if "reference" in target.path or "fullUrl" in target.path]


def test_a_field_without_which_the_item_is_rejected_is_required() -> None:
    assert explained(ROW).required == {"id": "missing-identifier"}


class SayingTranslator(PairsTranslator):
    """Makes a missed contact of a row with a note that says so, and takes every other note for the person's name."""

    def _item(self, pairs: dict[str, str], position: str, arrival: Arrival) -> Item:
        missed = pairs["note"] in ("", "no answer")
        return super()._item(pairs | {"kind": "missed" if missed else "visit", "name": pairs["note"]}, position, arrival)


def test_a_field_that_decides_which_event_there_is_is_named_where_else_it_is_read() -> None:
    provenance = explain(SayingTranslator(), orjson.dumps([ROW | {"note": "hot meal"}]), ARRIVAL).provenance
    assert provenance[Target(0, "type")] == ("id", "note")
    assert provenance[Target(0, "entry[1].resource.name[0].text")] == ("note",)


def test_fields_nobody_reads_are_named() -> None:
    assert explained(ROW).unread == ("note",)


def test_fields_that_can_stand_in_for_each_other_are_both_named_although_neither_is_missed_alone() -> None:
    explanation = explained(ROW | {"venue": "Hall"})
    assert explanation.provenance[Target(0, "entry[3].resource.name")] == ("venue", "place")
    assert explanation.unread == ("note",)


def test_of_a_field_that_is_empty_it_is_not_said_that_nobody_reads_it() -> None:
    assert "venue" not in explained(ROW).unread


def test_a_field_that_changes_only_a_flag_is_read() -> None:
    assert "name" not in explained(ROW | {"kind": "none"}).unread


def test_of_several_events_each_has_its_own_fields() -> None:
    provenance = explained(ROW | {"kind": "both"}).provenance
    assert provenance[Target(0, "type")] == ("id", "kind")
    assert provenance[Target(1, "time")] == ("day",)
    assert [target.event for target in provenance] == sorted(target.event for target in provenance)


def test_all_items_are_shown_and_the_first_is_explained() -> None:
    explanation = explained(ROW, ROW | {"id": ""}, ROW | {"day": "2026-02-02"})
    assert [bool(item.events) for item in explanation.items] == [True, False, True]
    assert explanation.unread == ("note",)


def test_a_rejected_item_has_no_provenance() -> None:
    explanation = explained(ROW | {"id": ""})
    assert explanation.items[0].rejection is not None
    assert (explanation.provenance, explanation.required, explanation.unread) == ({}, {}, ())


def test_content_without_any_item_explains_nothing() -> None:
    class Nothing(PairsTranslator):
        def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
            return iter(())

        def fields(self, content: bytes) -> Iterator[Field]:
            return iter(())

    assert explain(Nothing(), b"[]", ARRIVAL) == Explanation((), {}, {}, ())


def test_a_time_said_three_times_in_one_message_still_comes_from_the_field_that_is_believed() -> None:
    moment = "20260110110000"
    patient = "1||Q1^^^RX1^MR||Testcase^Ann"
    message = f"MSH|^~\\&|PAS|RX1|R|R|{moment}||ADT^A31|C1|P|2.4\rEVN||{moment}||||{moment}\rPID|{patient}\r"
    provenance = explain(Hl7v2Translator(), message.encode(), ARRIVAL).provenance
    assert "EVN-6" in provenance[Target(0, "time")]
