"""What a row becomes: identity, times, FHIR, rejections that name the place and never the value."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from adapters.compose import content_hash
from adapters.tabular.mapping.complete import FOCUS_RULES, PERSON_IN
from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.translate import TabularTranslator
from adapters.translator import Arrival, Item
from schemas.catalogue import CATALOGUE
from schemas.event import Precision, Sensitivity, event_id
from schemas.fhir.check import definitions, faults_in
from schemas.identifiers import NHS_NUMBER_UNCHECKED, LocalId, NhsNumber
from schemas.resources.person import verified_number
from tests.tabular_rows import (
    ARRIVAL,
    HEADER,
    PSEUDONYMS,
    RECEIVED_AT,
    ROW,
    SERVICES,
    SOURCE,
    STATED,
    items_of,
    one_event,
    resources,
)


def rejected(content: str, mapping: str = SERVICES) -> Item:
    """The only item of ``content``, which is rejected alone."""
    (item,) = items_of(content, mapping)
    assert item.rejection is not None and not item.rejection.whole and not item.events
    return item


def with_row(**cells: str) -> str:
    """The content with one row, in which these cells are others."""
    names = HEADER.strip().split(",")
    row = dict(zip(names, ROW.strip().split(","), strict=True)) | {name.replace("_", " "): cell for name, cell in cells.items()}
    return HEADER + ",".join(row[name] for name in names) + "\n"


def test_the_row_of_the_front_door_is_this_event() -> None:
    event = one_event(HEADER + ROW)
    fact = PSEUDONYMS.fact(SOURCE.id, "service-started", "1001", "Meals", "03/02/2026")
    assert (event.type, event.subject, event.source) == ("service-started-1", fact, SOURCE.urn)
    assert (event.time, event.timeprecision) == ("2026-02-03T00:00:00.000Z", Precision.DAY)
    assert event.recordedtime == "2026-06-01T09:00:00.000Z"
    assert event.partitionkey == PSEUDONYMS.record(SOURCE.id, LocalId("1001"))
    focus, patient = resources(event)
    assert focus == {
        "resourceType": "EpisodeOfCare",
        "type": [{"text": "Meals"}],
        "status": "active",
        "patient": {"reference": f"urn:care-backbone:record:{event.partitionkey}"},
        "period": {"start": "2026-02-03"},
    }
    assert verified_number(patient) == "9990000018"


def test_the_id_is_of_the_cells_that_the_mapping_reads_by_column() -> None:
    event = one_event(HEADER + ROW)
    cells = (
        '{"Event Start Date":"03/02/2026","Event Type":"Service","NHS Number":"9990000018","Person Id":"1001",'
        '"Service Type":"Meals"}'
    )
    version = load_mapping(SERVICES, "x").version
    assert event.id == event_id(SOURCE.id, event.subject, event.type, content_hash(cells.encode()), version)


@pytest.mark.parametrize(
    ("other", "same_id", "same_fact"),
    [
        (HEADER + ROW + "1002,,Service,Meals,03/02/2026\n", True, True),
        (HEADER + "1002,,Service,Meals,03/02/2026\n" + ROW, True, True),
        (HEADER.strip() + ",Notes\n" + ROW.strip() + ",seen\n", True, True),
        (with_row(NHS_Number=""), False, True),
        (with_row(Service_Type="Laundry"), False, False),
    ],
    ids=["among others", "later", "with a note", "corrected", "another fact"],
)
def test_the_same_row_elsewhere_is_the_same_event_and_a_correction_another_of_the_same_fact(
    other: str, same_id: bool, same_fact: bool
) -> None:
    first = one_event(HEADER + ROW)
    events = [event for item in items_of(other) for event in item.events]
    assert (first.id in [event.id for event in events]) is same_id
    assert (first.subject in [event.subject for event in events]) is same_fact


def test_another_mapping_makes_other_ids_of_the_same_facts() -> None:
    other = one_event(HEADER + ROW, SERVICES.replace("'`Service Type`'", "'`Service Type` & \"!\"'"))
    assert other.id != one_event(HEADER + ROW).id and other.subject == one_event(HEADER + ROW).subject


def test_a_row_that_nothing_wants_says_nothing_or_is_rejected_as_the_mapping_says() -> None:
    (item,) = items_of(with_row(Event_Type="Lunch"))
    assert not item.events and item.rejection is None
    strict = SERVICES.replace("reads: csv", "reads: csv\nunmatched: reject")
    error = rejected(with_row(Event_Type="Lunch"), strict).rejection
    assert error is not None and error.error.where == 'line 2, column "Event Type"'


# whose it is


def test_a_number_that_cannot_be_one_is_kept_flagged_and_never_verified() -> None:
    (item,) = items_of(with_row(NHS_Number="9990000019"))
    assert item.flags == ('nhs-number-invalid at column "NHS Number"',)
    patient = resources(item.events[0])[1]
    assert verified_number(patient) is None
    assert {"system": NHS_NUMBER_UNCHECKED, "value": "9990000019"} in patient["identifier"]


def test_what_a_number_is_worth_is_for_the_source_to_declare() -> None:
    stated = ARRIVAL._replace(source=STATED)
    assert verified_number(resources(one_event(HEADER + ROW, arrival=stated))[1]) is None


def test_without_a_local_identifier_the_number_says_whose_it_is() -> None:
    event = one_event(with_row(Person_Id=""))
    assert event.partitionkey == PSEUDONYMS.record_by_number(SOURCE.id, NhsNumber("9990000018"))


@pytest.mark.parametrize("number", ["", "9990000019"])
def test_with_neither_the_row_is_rejected(number: str) -> None:
    rejection = rejected(with_row(Person_Id="", NHS_Number=number)).rejection
    assert rejection is not None and rejection.error.code == "missing-identifier"
    assert rejection.error.where == 'line 2, columns "Person Id" and "NHS Number"'
    assert ("fails its own check" in rejection.error.message) is bool(number), "who sent one is not told that there is none"


def test_an_identifier_of_several_columns_needs_them_all() -> None:
    mapping = SERVICES.replace("record: [Person Id]", "record: [Person Id, Service Type]").replace(
        "nhs_number: NHS Number\n", ""
    )
    event = one_event(HEADER + ROW, mapping)
    assert event.partitionkey == PSEUDONYMS.record(SOURCE.id, LocalId("1001|Meals"))
    piped = [
        one_event(with_row(Person_Id=one, Service_Type=other), mapping).partitionkey
        for one, other in [("a|b", "c"), ("a", "b|c")]
    ]
    assert piped[0] != piped[1]
    assert rejected(with_row(Service_Type=""), mapping).rejection is not None


def test_an_event_may_be_about_another_record_that_the_row_names() -> None:
    mapping = """
source: riverside-adult-care
reads: csv
record: [Carer]
patient: {name: ['$name(Name)']}
each:
  - event: carer-named-1
    record: [Cared for]
    key: [Carer, Cared for]
    occurred_at: '$day(Since)'
    focus: {name: ['$name(Name)']}
"""
    named, none = items_of(
        "Carer,Name,Cared for,Since\n7,Daniel Whitmore,1001,03/02/2026\n7,Daniel Whitmore,,03/02/2026\n", mapping
    )
    focus, patient = resources(named.events[0])
    assert patient == {"resourceType": "Patient", "identifier": [{"system": SOURCE.urn, "value": "1001"}]}
    assert focus["name"][0]["text"] == "Daniel Whitmore" and focus["patient"]["reference"].endswith(
        named.events[0].partitionkey
    )
    assert named.events[0].partitionkey == PSEUDONYMS.record(SOURCE.id, LocalId("1001"))
    assert none.events == () and none.rejection is None


# when it happened


@pytest.mark.parametrize(
    ("cell", "time", "precision"),
    [
        ("2026", "2026-01-01T00:00:00.000Z", Precision.YEAR),
        ("Feb 2026", "2026-02-01T00:00:00.000Z", Precision.MONTH),
        ("03/02/2026", "2026-02-03T00:00:00.000Z", Precision.DAY),
        ("46056", "2026-02-03T00:00:00.000Z", Precision.DAY),
        ("01/05/2026", "2026-04-30T23:00:00.000Z", Precision.DAY),
    ],
)
def test_a_time_keeps_its_precision(cell: str, time: str, precision: Precision) -> None:
    event = one_event(with_row(Event_Start_Date=cell))
    assert (event.time, event.timeprecision) == (time, precision)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("31/02/2026", "does not exist"),
        ("03/02/26", "two digits"),
        ("soon", "not a date"),
        ("", "does not say when it happened"),
        ("03/06/2026", "in the future"),
    ],
)
def test_an_impossible_time_is_a_fault_of_the_row_that_names_the_column_and_never_the_value(cell: str, says: str) -> None:
    rejection = rejected(with_row(Event_Start_Date=cell)).rejection
    assert rejection is not None and rejection.error.code == "invalid-value" and says in str(rejection.error)
    assert rejection.error.where == 'line 2, column "Event Start Date"'
    assert "line 10 of the mapping" in str(rejection.error)
    assert not cell or cell not in str(rejection.error)


def test_tomorrow_may_be_a_wrong_clock_and_what_is_planned_may_lie_ahead() -> None:
    assert one_event(with_row(Event_Start_Date="02/06/2026"))
    for name in ("encounter-planned-1", "encounter-discharge-planned-1"):
        planned = SERVICES.replace("service-started-1", name).replace("EpisodeOfCare", CATALOGUE[name].focus)
        assert one_event(with_row(Event_Start_Date="02/06/2027"), planned).type == name


@pytest.mark.parametrize("element", ["birthDate", "deceasedDateTime"])
def test_nobody_is_born_or_dies_in_the_future(element: str) -> None:
    mapping = SERVICES.replace("each:", f"patient: {{{element}: '$day(`Service Type`)'}}\neach:")
    assert one_event(with_row(Service_Type="01/06/2026"), mapping)
    rejection = rejected(with_row(Service_Type="02/06/2026"), mapping).rejection
    assert rejection is not None and "in the future" in str(rejection.error)
    assert rejection.error.where == 'line 2, column "Service Type"'


# what it says


def test_what_comes_to_nothing_is_left_out_with_the_constants_beside_it() -> None:
    mapping = SERVICES.replace(
        "each:",
        "patient: {address: [{use: '\"home\"', postalCode: '$postcode(`Service Type`)'}], active: true}\neach:",
    ).replace("type: [{", "period: {end: '$day(`Service Type`)'}\n      type: [{")
    focus, patient = resources(one_event(with_row(Service_Type=""), mapping))
    assert "address" not in patient and patient["active"] is True
    assert "type" not in focus and focus["period"] == {"start": "2026-02-03"}


def test_what_the_mapping_says_stands_against_what_the_type_says() -> None:
    mapping = SERVICES.replace("type: [{", "status: '\"onhold\"'\n      period: {start: '\"2025\"'}\n      type: [{")
    focus = resources(one_event(HEADER + ROW, mapping))[0]
    assert focus["status"] == "onhold" and focus["period"] == {"start": "2025"}


def test_what_would_not_be_fhir_is_a_fault_of_the_row_that_names_the_element() -> None:
    mapping = SERVICES.replace("type: [{", "status: '`Service Type`'\n      type: [{")
    rejection = rejected(HEADER + ROW, mapping).rejection
    assert rejection is not None and rejection.error.where.startswith("line 2, Bundle.entry[0].resource.status")
    assert "service-started-1" in rejection.error.where and "Meals" not in str(rejection.error)


def test_an_expression_of_any_kind_is_run_and_its_fault_named() -> None:
    mapping = SERVICES.replace("'`Service Type`'", "'$uppercase(`Service Type`) & $string($number(`Person Id`) + 1)'")
    assert resources(one_event(HEADER + ROW, mapping))[0]["type"] == [{"text": "MEALS1002"}]
    rejection = rejected(with_row(Person_Id="canary"), mapping).rejection
    assert rejection is not None and "cannot be read as a number (for focus of service-started-1.type[0].text" in str(
        rejection.error
    )
    assert rejection.error.where == 'line 2, columns "Person Id" and "Service Type"'
    assert "canary" not in str(rejection.error)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("($f := function($x){ $f($x) }; $f(1))", "busy for more than 1000 ms"),
        ("($f := function($x){ 1 + $f($x) }; $f(1))", "too deep"),
        ('$day(`Person Id` & "x")', "not a date"),
        ('$error("canary")', "the mapping requires"),
    ],
)
def test_an_expression_that_runs_away_or_gives_up_is_a_fault_of_the_row(expression: str, says: str) -> None:
    mapping = SERVICES.replace("'`Service Type`'", f"'[{expression}][0]'")
    rejection = rejected(HEADER + ROW, mapping).rejection
    assert rejection is not None and rejection.error.code == "invalid-value"
    assert says in str(rejection.error) and "canary" not in str(rejection.error)


ALL_KEYS = """
source: riverside-adult-care
reads: csv
record: [Id]
sequence: Version
thread: Case
sensitivity: '$code("guard", Restricted)'
codes: {guard: {Y: R, "*": N}}
each:
  - event: alert-raised-1
    key: [Id, '$day(When)']
    occurred_at: '$day(When)'
    focus: {code: {text: What}}
    others:
      - {resourceType: Organization, name: Team}
  - event: alert-cleared-1
    when: $exists(Cleared)
    fact: alert-raised
    key: [Id, '$day(When)']
    occurred_at: '$day(Cleared)'
    sensitivity: V
    sequence: '"9"'
    focus: {code: {text: What}}
"""


def test_a_row_may_make_several_events_with_all_that_belongs_to_them() -> None:
    header = "Id,When,Cleared,What,Version,Case,Restricted,Team\n"
    (item,) = items_of(header + "1,3 Feb 2026,03/03/2026,Key safe,7,C1,Y,East\n", ALL_KEYS)
    raised, cleared = item.events
    assert (raised.sequence, cleared.sequence) == ("7", "9")
    assert raised.correlationid == cleared.correlationid == PSEUDONYMS.conversation(SOURCE.id, "C1")
    assert (raised.dataclassification, cleared.dataclassification) == (Sensitivity.RESTRICTED, Sensitivity.VERY_RESTRICTED)
    assert raised.subject == cleared.subject == PSEUDONYMS.fact(SOURCE.id, "alert-raised", "1", "2026-02-03")
    assert [resource["resourceType"] for resource in resources(raised)] == ["Flag", "Patient", "Organization"]
    assert resources(raised)[2]["name"] == "East"
    (plain,) = items_of(header + "1,2026-02-03,,Key safe,7,,N,East\n", ALL_KEYS)
    assert plain.events[0].subject == raised.subject, "a key may be an expression, so that another spelling is the same fact"
    assert plain.events[0].dataclassification is Sensitivity.NORMAL and plain.events[0].correlationid == ""


def test_a_sensitivity_that_is_none_is_a_fault_of_the_row() -> None:
    mapping = ALL_KEYS.replace('"*": N', '"*": X')
    rejection = rejected("Id,When,Cleared,What,Version,Case,Restricted,Team\n1,3 Feb 2026,,Key,7,,N,East\n", mapping).rejection
    assert rejection is not None and "is not N, R or V" in str(rejection.error)


def test_a_fact_without_a_name_is_a_fault_of_the_row() -> None:
    mapping = SERVICES.replace("key: [Person Id, Service Type, Event Start Date]", "key: [Service Type]")
    rejection = rejected(with_row(Service_Type=""), mapping).rejection
    assert rejection is not None and rejection.error.where == 'line 2, column "Service Type"'


def test_an_event_about_the_person_has_the_patient_as_its_focus() -> None:
    mapping = """
source: riverside-adult-care
reads: csv
record: [Id]
patient: {deceasedDateTime: '$day(Died)'}
each:
  - {event: person-died-1, key: [Id], occurred_at: $day(Died)}
"""
    (patient,) = resources(one_event("Id,Died\n1,03/02/2026\n", mapping))
    assert patient["resourceType"] == "Patient" and patient["deceasedDateTime"] == "2026-02-03"


@pytest.mark.parametrize("name", [name for name, rule in FOCUS_RULES.items() if rule.elements])
def test_what_a_type_says_is_fhir(name: str) -> None:
    kind, said = CATALOGUE[name].focus, FOCUS_RULES[name]
    properties = definitions()[kind]["properties"]
    assert {*said.elements, *said.time[:1], PERSON_IN[kind]} <= set(properties)
    made = {"resourceType": kind, PERSON_IN[kind]: {"reference": "urn:x"}} | dict(said.elements)
    wrong = [fault for fault in faults_in(made) if not fault.reason.startswith("lacks")]
    assert wrong == []


@pytest.mark.parametrize("kind", PERSON_IN)
def test_the_element_that_says_whose_it_is_exists(kind: str) -> None:
    assert PERSON_IN[kind] in definitions()[kind]["properties"]


# promises of every translator


def test_no_message_and_no_key_holds_what_a_cell_holds() -> None:
    canaries = {"Person Id": "CANARY1", "NHS Number": "9990000018", "Service Type": "CANARY2", "Event Start Date": "CANARY3"}
    content = ",".join(canaries) + ",Event Type\n" + ",".join(canaries.values()) + ",Service\n"
    for mapping in (SERVICES, SERVICES.replace("$day(`Event Start Date`)", "$number(`Event Start Date`)")):
        (item,) = items_of(content, mapping)
        assert item.rejection is not None
        assert not [value for value in canaries.values() if value in str(item.rejection.error) or value in item.position]
    event = one_event(with_row(Person_Id="CANARY1", Service_Type="CANARY2"))
    envelope = (event.id, event.subject, event.partitionkey, event.correlationid, event.sequence)
    assert not [value for value in canaries.values() for attribute in envelope if value in attribute]


def test_what_is_refused_because_it_has_no_header_is_not_quoted() -> None:
    (item,) = items_of("Margaret,Ellis-Whitmore,9990000018\nAnn,Lee,9990000026\n")
    assert item.rejection is not None and item.rejection.whole
    assert "Margaret" not in str(item.rejection.error) and "999" not in str(item.rejection.error)


def test_a_translator_may_be_used_by_several_threads() -> None:
    mapping = SERVICES.replace("'`Service Type`'", "'$uppercase(`Service Type`)'")
    translator = TabularTranslator(load_mapping(mapping, "x.yaml"))
    expected = one_event(HEADER + ROW, mapping)
    found: list[Any] = []

    def work() -> None:
        for _ in range(20):
            found.extend(item.events for item in translator.translate(io.BytesIO((HEADER + ROW).encode()), ARRIVAL))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(expected,)] * 60


def test_the_fields_of_the_first_row_are_those_with_anything_in_them() -> None:
    translator = TabularTranslator(load_mapping(SERVICES, "x.yaml"))
    content = (HEADER.strip() + ",Notes\n" + ROW.replace("9990000018", "").strip() + ",seen\n" + ROW.strip() + ",\n").encode()
    fields = {field.name: field.without for field in translator.fields(content)}
    assert set(fields) == {
        'column "Person Id"',
        'column "Event Type"',
        'column "Service Type"',
        'column "Event Start Date"',
        'column "Notes"',
    }
    (without,) = items_of(fields['column "Service Type"'])
    assert "type" not in resources(without.events[0])[0]
    assert [item.rejection.error.code for item in items_of(fields['column "Person Id"']) if item.rejection] == [
        "missing-identifier"
    ]


@pytest.mark.parametrize(
    ("kind", "content", "name"),
    [("json", b'[{"Person Id": "1001"}]', 'field "Person Id"'), ("form", b"Person+Id=1001", 'field "Person Id"')],
)
def test_fields_of_other_kinds(kind: str, content: bytes, name: str) -> None:
    mapping = SERVICES.replace("reads: csv", f"reads: {kind}")
    translator = TabularTranslator(load_mapping(mapping, "x.yaml"))
    (field,) = translator.fields(content)
    assert field.name == name
    (item,) = items_of(field.without, mapping)
    assert not item.events


@pytest.mark.parametrize("content", [b"", b"\x00", HEADER.encode()])
def test_what_cannot_be_read_has_no_fields(content: bytes) -> None:
    assert list(TabularTranslator(load_mapping(SERVICES, "x.yaml")).fields(content)) == []


def test_the_time_it_arrived_is_no_part_of_the_id() -> None:
    later = Arrival(SOURCE, RECEIVED_AT.replace(year=2027), PSEUDONYMS)
    assert one_event(HEADER + ROW, arrival=later).id == one_event(HEADER + ROW).id


ENDS = SERVICES.replace(
    "tests:",
    """  - event: service-ended-1
    when: '$exists(`Event End Date`)'
    key: [Person Id, Service Type, Event Start Date]
    occurred_at: '$day(`Event End Date`)'
    focus:
      type: [{text: '`Service Type`'}]
tests:""",
)


@pytest.mark.parametrize(
    ("end", "makes", "flags"),
    [
        ("02/03/2026", ["service-started-1", "service-ended-1"], ()),
        ("02/03/2027", ["service-started-1"], ('end-in-future at column "Event End Date"',)),
    ],
)
def test_an_end_that_lies_ahead_is_a_plan_and_no_end(end: str, makes: list[str], flags: tuple[str, ...]) -> None:
    (item,) = items_of(HEADER.replace("\n", ",Event End Date\n") + ROW.replace("\n", f",{end}\n"), ENDS)
    assert [event.type for event in item.events] == makes
    assert item.flags == flags


def test_an_end_that_is_no_date_is_a_fault_of_the_row() -> None:
    item = rejected(HEADER.replace("\n", ",Event End Date\n") + ROW.replace("\n", ",31/02/2026\n"), ENDS)
    assert item.rejection is not None and item.rejection.error.where == 'line 2, column "Event End Date"'
