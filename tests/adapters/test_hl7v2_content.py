"""What a message says of a person and a stay: everything it states, nothing it omits, and what it deletes by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from schemas.fhir.codes import DISCHARGE_DESTINATION, GMC_NUMBER, GMP_NUMBER, TREATMENT_FUNCTION
from schemas.identifiers import ODS_ORGANIZATION
from schemas.resources.encounter import ADMISSION_METHOD_URL, DISCHARGE_METHOD_URL
from schemas.resources.person import ETHNIC_CATEGORY, deleted_elements
from tests.samples.hl7v2.northfield import ARRIVAL, RECORD, SOURCE, events, focus, item, items, message, patient

PERSON = [
    (
        "PID-5",
        "Ellis^Ada^Mary Jane^Jr^Dr",
        "name",
        [{"family": "Ellis", "given": ["Ada", "Mary", "Jane"], "prefix": ["Dr"], "suffix": ["Jr"]}],
    ),
    (
        "PID-5",
        "Ellis^Ada^^^^^L~Old^Ada^^^^^M~Addie^^^^^^A",
        "name",
        [
            {"use": "official", "family": "Ellis", "given": ["Ada"]},
            {"use": "maiden", "family": "Old", "given": ["Ada"]},
            {"use": "nickname", "family": "Addie"},
        ],
    ),
    ("PID-5", "van der Berg&van der&Berg^Ada", "name", [{"family": "van der Berg", "given": ["Ada"]}]),
    ("PID-5", "Ellis \\T\\ Whitmore^Ada", "name", [{"family": "Ellis & Whitmore", "given": ["Ada"]}]),
    ("PID-7", "19410309", "birthDate", "1941-03-09"),
    ("PID-8", "1", "gender", "male"),
    (
        "PID-11",
        "Flat 2&High Street&14^Northgate^Northfield^Westshire^nf42qz^GBR^C",
        "address",
        [
            {
                "use": "temp",
                "line": ["Flat 2", "Northgate"],
                "city": "Northfield",
                "district": "Westshire",
                "postalCode": "NF4 2QZ",
                "country": "GBR",
            },
        ],
    ),
    (
        "PID-11",
        "1 Rue X^^Lyon^^69001^FRA",
        "address",
        [{"line": ["1 Rue X"], "city": "Lyon", "postalCode": "69001", "country": "FRA"}],
    ),
    ("PID-13", "07700900321^PRN^CP", "telecom", [{"system": "phone", "value": "07700900321", "use": "mobile"}]),
    ("PID-13", "^NET^Internet^ada@example.org", "telecom", [{"system": "email", "value": "ada@example.org", "use": "home"}]),
    (
        "PID-13",
        "01632960123^PRN^PH^ada@example.org~07700900321^PRN^CP^ada@example.org",
        "telecom",
        [
            {"system": "phone", "value": "01632960123", "use": "home"},
            {"system": "email", "value": "ada@example.org", "use": "home"},
            {"system": "phone", "value": "07700900321", "use": "mobile"},
            {"system": "email", "value": "ada@example.org", "use": "home"},
        ],
    ),
    (
        "PID-13",
        "01632960123^NET^Internet^ada@example.org",
        "telecom",
        [
            {"system": "phone", "value": "01632960123", "use": "home"},
            {"system": "email", "value": "ada@example.org", "use": "home"},
        ],
    ),
    (
        "PID-14",
        "01632960999^WPN^FX",
        "telecom",
        [
            {"system": "phone", "value": "01632960114", "use": "home"},
            {"system": "fax", "value": "01632960999", "use": "work"},
        ],
    ),
    (
        "PID-15",
        "EN",
        "communication",
        [
            {"language": {"coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-HumanLanguage", "code": "en"}]}},
        ],
    ),
    ("PID-15", "Romani", "communication", [{"language": {"text": "Romani"}}]),
    (
        "PD1-3",
        "Orchard Surgery^^C81999",
        "generalPractitioner",
        [
            {"identifier": {"system": ODS_ORGANIZATION, "value": "C81999"}, "display": "Orchard Surgery"},
            {"identifier": {"system": GMP_NUMBER, "value": "G9999981"}, "display": "Dr Ada Okafor"},
        ],
    ),
    ("PID-30", "N", "deceasedBoolean", False),
    ("PID-29", "20260209", "deceasedDateTime", "2026-02-09"),
]


@pytest.mark.parametrize(("field", "sent", "element", "value"), PERSON)
def test_what_is_said_of_a_person(field: str, sent: str, element: str, value: object) -> None:
    assert patient(message(changes={field: sent}))[element] == value


def test_ethnic_category_is_uk_cores() -> None:
    (extension,) = patient(message(changes={"PID-22": "C"}))["extension"]
    assert extension["url"] == ETHNIC_CATEGORY
    assert extension["valueCodeableConcept"]["coding"][0]["code"] == "C"


def test_a_contact_has_name_relationship_address_and_numbers() -> None:
    (contact,) = patient(
        message(
            changes={
                "NK1-2": "Whitmore^Daniel",
                "NK1-3": "SON",
                "NK1-4": "22 Mill Lane^^Northfield^^NF4 7RT",
                "NK1-5": "07700900321",
                "NK1-6": "01632960222",
            }
        )
    )["contact"]
    assert contact["name"] == {"family": "Whitmore", "given": ["Daniel"]}
    assert contact["relationship"][0]["text"] == "son"
    assert contact["address"]["postalCode"] == "NF4 7RT"
    assert [line["use"] for line in contact["telecom"]] == ["home", "work"]


DELETED = [
    ("PID-5", "name"),
    ("PID-7", "birthDate"),
    ("PID-8", "gender"),
    ("PID-11", "address"),
    ("PID-13", "telecom"),
    ("PID-15", "communication"),
    ("PID-16", "maritalStatus"),
    ("PID-22", "ethnicCategory"),
    ("PID-29", "deceased"),
    ("NK1-2", "contact"),
]


@pytest.mark.parametrize(("field", "element"), DELETED)
def test_a_deleted_field_is_named_and_an_omitted_one_is_not(field: str, element: str) -> None:
    deleted = patient(message(changes={field: '""'}))
    omitted = patient(message(without=[field]))
    assert deleted_elements(deleted) == [element]
    assert deleted_elements(omitted) == []
    assert element not in deleted
    assert element not in omitted


def test_the_gp_is_deleted_when_both_of_its_fields_are() -> None:
    assert deleted_elements(patient(message(changes={"PD1-3": '""', "PD1-4": '""'}))) == ["generalPractitioner"]
    assert deleted_elements(patient(message(changes={"PD1-3": '""'}))) == [], "the doctor is still there"


def test_a_telephone_that_is_left_is_not_deleted_with_the_other() -> None:
    made = patient(message(changes={"PID-13": '""', "PID-14": "01632960222"}))
    assert [line["use"] for line in made["telecom"]] == ["work"]
    assert deleted_elements(made) == []


STAY: list[tuple[str, Mapping[str, str], str, object]] = [
    ("class", {"PV1-2": "E"}, "class", "EMER"),
    ("class of a waiting list", {"PV1-2": "W"}, "class", "PRENC"),
    ("unknown class", {"PV1-2": "N"}, "class", "UNK"),
    ("status before", {"PV1-2": "P"}, "status", "planned"),
    ("status within", {}, "status", "in-progress"),
    ("status after", {"PV1-45": "20260210"}, "status", "finished"),
    ("status unknown", {"PV1-44": ""}, "status", "unknown"),
    ("period", {"PV1-45": "20260210"}, "period", {"start": "2026-02-02T21:40:00+00:00", "end": "2026-02-10"}),
    ("reason", {"PV2-3": "Fall"}, "reasonCode", [{"text": "Fall"}]),
    ("treatment function", {"PV1-10": "430"}, "serviceType", {"coding": [{"system": TREATMENT_FUNCTION, "code": "430"}]}),
    ("specialty in words", {"PV1-10": "Geriatrics"}, "serviceType", {"text": "Geriatrics"}),
    (
        "provider",
        {},
        "serviceProvider",
        {"display": "Northfield Hospital", "identifier": {"system": ODS_ORGANIZATION, "value": "RX1"}},
    ),
    ("subject", {}, "subject", {"reference": f"urn:care-backbone:record:{RECORD}"}),
    ("visit", {}, "identifier", [{"system": f"{SOURCE.urn}:visit", "value": "NF-V-88120"}]),
]


@pytest.mark.parametrize(("_", "changes", "element", "value"), STAY)
def test_what_a_snapshot_says_of_a_stay(_: str, changes: Mapping[str, str], element: str, value: object) -> None:
    said = focus(message("A08", changes))[element]
    assert (said["code"] if element == "class" else said) == value


def test_a_stay_has_its_codes_where_uk_core_has_them() -> None:
    stay = focus(message("A03", {"PV1-36": "1", "PV1-37": "54"}))
    inside = stay["hospitalization"]
    assert [one["url"] for one in inside["extension"]] == [ADMISSION_METHOD_URL]
    assert inside["admitSource"]["coding"][0]["code"] == "19"
    assert inside["dischargeDisposition"]["text"] == "an NHS care home"
    assert inside["dischargeDisposition"]["coding"][0] == {"system": DISCHARGE_DESTINATION.system, "code": "54"}
    assert [one["url"] for one in stay["extension"]] == [DISCHARGE_METHOD_URL]


def test_who_takes_part_is_named_with_their_number_the_attending_first() -> None:
    people = focus(message(changes={"PV1-8": "G9999981^Okafor^Ada", "PV1-9": "c9999972^Brandt^Nils"}))["participant"]
    assert [one["type"][0]["coding"][0]["code"] for one in people] == ["ATND", "CON", "REF"]
    assert people[0]["individual"] == {
        "identifier": {"system": GMC_NUMBER, "value": "C9999971"},
        "display": "Dr Maja Lindqvist",
    }
    assert people[1]["individual"]["identifier"]["value"] == "C9999972"


def test_a_place_has_its_name_and_keeps_its_code() -> None:
    ward, bed = focus(message())["location"]
    assert ward["location"] == {"display": "Kingsmill Ward", "identifier": {"system": f"{SOURCE.urn}:place", "value": "KM"}}
    assert bed["location"] == {"display": "Bay 1, Bed 2"}


def test_a_planned_move_names_the_new_ward_first() -> None:
    places = focus(message("A15", {"PV1-3": "AMU", "PV1-42": "KM"}))["location"]
    assert [(one["location"]["display"], one["status"]) for one in places] == [
        ("Kingsmill Ward", "planned"),
        ("Acute Medical Unit", "active"),
    ]


GONE = [
    ("PV1-3", "location"),
    ("PV1-4", "hospitalization.admissionMethod"),
    ("PV1-7", "participant.attender"),
    ("PV1-10", "serviceType"),
    ("PV1-14", "hospitalization.admitSource"),
    ("PV1-37", "hospitalization.dischargeDisposition"),
    ("PV1-45", "period.end"),
    ("PV2-3", "reasonCode"),
]


@pytest.mark.parametrize(("field", "element"), GONE)
def test_what_is_deleted_of_a_stay_is_named(field: str, element: str) -> None:
    assert deleted_elements(focus(message("A08", {field: '""'}))) == [element]
    assert deleted_elements(focus(message("A08", without=[field]))) == []


def test_a_deletion_in_one_message_leaves_no_mark_on_the_next() -> None:
    """What is remembered of codes and people is shared between messages."""
    first = message("A08", {"PV1-36": "1", "PV1-37": '""'})
    second = message("A08", {"PV1-36": "1"})
    made = [item(raw) for raw in (first, second)]
    assert all(one.rejection is None for one in made)
    assert deleted_elements(focus(first)) == ["hospitalization.dischargeDisposition"]
    both = first + second
    stays = [one.events[0] for one in items(both)]
    assert b"deleted-element" in bytes(stays[0].data)
    assert b"deleted-element" not in bytes(stays[1].data)


def test_a_death_or_a_merge_in_one_message_leaves_no_mark_on_the_next() -> None:
    dead = message("A03", {"PV1-36": "4"})
    merged = message("A40", {"MRG-1": "NF9^^^RX1^MR"}, ["PV1", "PV2"])
    after = message("A08")
    *_, last = items(dead + merged + after)
    assert b"deceased" not in bytes(last.events[0].data)
    assert b"replaces" not in bytes(last.events[0].data)


def test_a_person_whose_words_were_read_before_is_the_same_and_flagged_the_same() -> None:
    raw = message(changes={"PID-8": "Q", "PID-3": "NF204417^^^RX1^MR~9990000019^^^NHS"})
    first, second = items(raw + raw)
    assert first.flags == second.flags == ("nhs-number-invalid at PID-3", "code-unknown at PID-8")
    assert first.events == second.events


def test_what_was_in_the_future_yesterday_is_not_remembered_as_that() -> None:
    born = message("A31", {"PID-7": "20260214"})
    assert "birthDate" not in patient(born)
    assert patient(born, ARRIVAL._replace(received_at=datetime(2026, 2, 15, tzinfo=UTC)))["birthDate"] == "2026-02-14"


def test_hidden_details_are_only_classified() -> None:
    made = events(message(changes={"PV1-16": "S", "PID-11": "", "PID-13": ""}))
    assert [one.dataclassification for one in made] == ["V"]
