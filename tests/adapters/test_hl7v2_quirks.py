"""What the NHS's systems write where the standard says something else: one row a quirk, each seen in real samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.event import payload
from schemas.fhir.bundle import focus_of
from schemas.identifiers import NHS_NUMBER, NHS_NUMBER_UNCHECKED, LocalId, NhsNumber
from schemas.resources.person import local_ids, verified_number
from tests.samples.hl7v2.northfield import ARRIVAL, PSEUDONYMS, RECORD, SOURCE, event, focus, item, message, patient, sentence

NUMBER = "9990000018"
OTHER = "9990000026"


def number_status(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The NHS numbers with their verification status."""
    return [
        (one["value"], one["extension"][0]["valueCodeableConcept"]["coding"][0]["code"])
        for one in made["identifier"]
        if one.get("system") == NHS_NUMBER
    ]


def happened(raw: bytes) -> str:
    return event(raw).time


def kind(raw: bytes) -> str:
    return event(raw).type


def verified(raw: bytes) -> str | None:
    return verified_number(patient(raw))


def numbers(raw: bytes) -> list[tuple[str, str]]:
    """The NHS numbers with their verification status."""
    return number_status(patient(raw))


def title(raw: bytes) -> str:
    return sentence(event(raw))


def of_patient(element: str) -> Callable[[bytes], Any]:
    """Reads an element of the Patient."""
    return lambda raw: patient(raw).get(element)


def gp_codes(raw: bytes) -> list[str]:
    return [one["identifier"]["value"] for one in patient(raw)["generalPractitioner"]]


def visit_number(raw: bytes) -> str:
    return str(focus(raw)["identifier"][0]["value"])


def merged(raw: bytes) -> list[tuple[str, str]]:
    """System and value of what was merged away."""
    links = focus_of(payload(event(raw)))["link"]
    return [(link["other"]["identifier"]["system"], link["other"]["identifier"]["value"]) for link in links]


OWN = "NF204417^^^RX1^MR"
HOME_PHONE = {"system": "phone", "value": "01632960123", "use": "home"}
ADDRESS = {"line": ["1 High Street"], "city": "Town", "postalCode": "NF4 2QZ", "country": "UK"}
NAME = {"family": "Ellis", "given": ["Ada"], "prefix": ["Mrs"]}

QUIRKS: list[tuple[str, str, Mapping[str, str], Callable[[bytes], Any], Any]] = [
    (
        "MSH-7 with hyphens and colons",
        "A02",
        {"MSH-7": "2025-05-05 23:23:28", "EVN-2": "", "EVN-6": ""},
        happened,
        "2025-05-05T22:23:28.000Z",
    ),
    ("blanks at the end of a segment", "A03", {"EVN-6": "20260210142000    "}, happened, "2026-02-10T14:20:00.000Z"),
    ("NHS number without an authority", "A01", {"PID-3": f"{OWN}~1000000001^^^^NH"}, verified, "1000000001"),
    ("NHS number also in PID-2", "A01", {"PID-2": NUMBER}, numbers, [(NUMBER, "01")]),
    ("NHS number only in PID-2, marked", "A01", {"PID-2": f"{NUMBER}^^^NHS", "PID-3": OWN}, numbers, [(NUMBER, "01")]),
    ("NHS number only in PID-2, unmarked", "A01", {"PID-2": NUMBER, "PID-3": OWN}, numbers, [(NUMBER, "02")]),
    ("a hospital number in PID-2", "A01", {"PID-2": f"{NUMBER}^^^RX1^MR", "PID-3": OWN}, numbers, []),
    ("trace status in CX-2", "A01", {"PID-3": f"{OWN}~{NUMBER}^03^^^NI"}, numbers, [(NUMBER, "03")]),
    ("trace status in CX-2 without a number", "A01", {"PID-3": f"{OWN}~^03^^^NI"}, numbers, []),
    ("date of birth with a plus and a precision", "A01", {"PID-7": "19760121+^D"}, of_patient("birthDate"), "1976-01-21"),
    ("A40 labelled ADT_A40", "A40", {"MSH-9": "ADT^A40^ADT_A40", "MRG-1": "NF9^^^RX1^MR"}, kind, "records-merged-1"),
    ("MRG-1 bare, beside a hospital number", "A40", {"MRG-1": "NF9"}, merged, [(SOURCE.urn, "NF9")]),
    ("MRG-1 bare, beside an NHS number", "A40", {"PID-3": f"{NUMBER}^^^NHS", "MRG-1": OTHER}, merged, [(NHS_NUMBER, OTHER)]),
    ("version 2.3.1", "A01", {"MSH-12": "2.3.1"}, kind, "encounter-admitted-1"),
    ("version 2.5", "A01", {"MSH-12": "2.5"}, kind, "encounter-admitted-1"),
    ("version 2.5.1", "A01", {"MSH-12": "2.5.1^GBR"}, kind, "encounter-admitted-1"),
    ("no message structure", "A28", {"MSH-9": "ADT^A28"}, kind, "person-registered-1"),
    ("the trigger only in EVN-1", "A01", {"MSH-9": "ADT", "EVN-1": "A01"}, kind, "encounter-admitted-1"),
    (
        "lower-case GP and practice codes",
        "A01",
        {"PD1-3": "Orchard^^c81999", "PD1-4": "g9999981"},
        gp_codes,
        ["C81999", "G9999981"],
    ),
    ("practice beside the GP in PD1-4", "A01", {"PD1-3": "", "PD1-4": "G9146958~W95295"}, gp_codes, ["G9146958", "W95295"]),
    ("practice code in component 10", "A01", {"PD1-3": "ORCHARD^^^^^^^^^W98045", "PD1-4": ""}, gp_codes, ["W98045"]),
    ('"" in the parts of a name', "A01", {"PID-5": 'Ellis^Ada^""^""^Mrs^""'}, of_patient("name"), [NAME]),
    ("sex as M", "A01", {"PID-8": "M"}, of_patient("gender"), "male"),
    ("sex as F", "A01", {"PID-8": "F"}, of_patient("gender"), "female"),
    ("sex as 0", "A01", {"PID-8": "0"}, of_patient("gender"), "unknown"),
    ("sex as 1", "A01", {"PID-8": "1"}, of_patient("gender"), "male"),
    ("sex as 9", "A01", {"PID-8": "9"}, of_patient("gender"), "other"),
    ("PID-32 as 01", "A01", {"PID-32": "01"}, numbers, [(NUMBER, "01")]),
    ("PID-32 as NSTS02", "A01", {"PID-32": "NSTS02"}, numbers, [(NUMBER, "02")]),
    ("PID-32 with more than the status", "A01", {"PID-32": "UA~NSTS03"}, numbers, [(NUMBER, "03")]),
    ("an address that is a default", "A01", {"PID-32": "UA~NSTS03"}, of_patient("address"), None),
    ("a date of birth that is a default", "A01", {"PID-32": "NSTS01~UD"}, of_patient("birthDate"), None),
    ("the older tracing status in ZU1-27", "A01", {"PID-32": "", "ZU1-27": "NSTS04"}, numbers, [(NUMBER, "04")]),
    ("an offset of +0000", "A02", {"EVN-6": "20250505232328+0000"}, happened, "2025-05-05T23:23:28.000Z"),
    ("a discharge with patient class O", "A03", {"PV1-2": "O"}, kind, "encounter-discharged-1"),
    (
        "the trust's code before the ward",
        "A01",
        {"PV1-3": "RX1^KM^3^RX155"},
        title,
        "Admitted to Kingsmill Ward, Northfield Hospital",
    ),
    (
        "the ward's name in component 9",
        "A01",
        {"PV1-3": "51180^^^^^^^^Day Unit"},
        title,
        "Admitted to Day Unit, Northfield Hospital",
    ),
    ("a ward without a name", "A01", {"PV1-3": "W7^Bay 1"}, title, "Admitted to W7, Northfield Hospital"),
    ("visit number with a type", "A01", {"PV1-19": "2141^^^VISITID"}, visit_number, "2141"),
    ("visit number in PID-18", "A01", {"PV1-19": "", "PID-18": "2141"}, visit_number, "2141"),
    ("a telephone without its type", "A01", {"PID-13": "01632960123"}, of_patient("telecom"), [HOME_PHONE]),
    (
        "numbers that are empty",
        "A01",
        {"PID-13": "^PRN^PH^^^^^^Day~01632960123^PRN^PH~^PRS^CP"},
        of_patient("telecom"),
        [HOME_PHONE],
    ),
    ("an address repeated empty", "A01", {"PID-11": "1 High Street^^Town^^nf42qz^UK~"}, of_patient("address"), [ADDRESS]),
    ("an NHS number in groups", "A01", {"PID-3": f"{OWN}~999 000 0018^^^NHS"}, verified, NUMBER),
    ("an NHS number by its OID", "A01", {"PID-3": f"{OWN}~{NUMBER}^^^&2.16.840.1.113883.2.1.4.1&ISO"}, verified, NUMBER),
]


@pytest.mark.parametrize(("_", "trigger", "changes", "reads", "expected"), QUIRKS, ids=[row[0] for row in QUIRKS])
def test_a_quirk_is_understood(
    _: str, trigger: str, changes: Mapping[str, str], reads: Callable[[bytes], Any], expected: Any
) -> None:
    raw = message(trigger, changes)
    assert item(raw).rejection is None
    assert reads(raw) == expected


def test_a_contacts_relationship_may_be_in_the_nhs_numbers_or_in_letters() -> None:
    for code, words in (
        ("16", "relative"),
        ("03", "parent"),
        ("SON", "son"),
        ("SON^Son-in-law", "Son-in-law"),
        ("neighbour", "neighbour"),
    ):
        (contact,) = patient(message(changes={"NK1-2": "Ellis^Ivy", "NK1-3": code}))["contact"]
        assert contact["relationship"][0]["text"] == words


def test_words_in_a_codes_place_are_words() -> None:
    made = item(message("A03", {"PV1-37": "Riverside Nursing Home"}))
    assert sentence(made.events[0]).endswith("to Riverside Nursing Home")
    assert made.flags == ("code-unknown at PV1-37",)


@pytest.mark.parametrize("kind", ["T", "D", "T^A"])
def test_a_message_of_training_or_debugging_is_taken_in_and_flagged(kind: str) -> None:
    made = item(message("A01", {"MSH-11": kind}))
    assert (len(made.events), made.flags) == (1, ("not-production at MSH-11",))


IDENTITIES = [
    ("MR before PI", "A^^^RX1^PI~B^^^RX1^MR", "B"),
    ("PI before PT", "A^^^RX1^PT~B^^^RX1^PI", "B"),
    ("PT before none", "A~B^^^^PT", "B"),
    ("of two, the organisation's own", "A^^^RY9^MR~B^^^RX1^MR", "B"),
    ("of two alike, the first", "A^^^^MR~B^^^^MR", "A"),
    ("without a type, the first that is not an NHS number", f"{NUMBER}^^^NHS~A~B", "A"),
    ("no visit, account or passport", "A^^^^VN~B^^^^AN~C^^^^PPN~D^^^^ZZ", "D"),
    ("ten digits without a mark are a hospital number", OTHER, OTHER),
]


@pytest.mark.parametrize(("_", "sent", "chosen"), IDENTITIES)
def test_which_identifier_is_the_record(_: str, sent: str, chosen: str) -> None:
    raw = message(changes={"PID-3": sent})
    assert next(iter(local_ids(patient(raw)))) == (SOURCE.id, chosen)
    assert event(raw).partitionkey == PSEUDONYMS.record(SOURCE.id, LocalId(chosen))


def test_identifiers_that_are_neither_are_kept_with_what_is_known_of_them() -> None:
    kept = patient(message(changes={"PID-3": f"NF204417^^^RX1^MR~{NUMBER}^^^NHS~4451^^^MAT^PI"}))["identifier"]
    assert kept[-1]["value"] == "4451"
    assert kept[-1]["assigner"] == {"display": "MAT"}
    assert "system" not in kept[-1], "another system's numbers are not this source's records"


def test_a_record_with_nothing_but_an_nhs_number_is_keyed_by_it() -> None:
    made = event(message(changes={"PID-3": f"{NUMBER}^^^NHS"}))
    assert made.partitionkey == PSEUDONYMS.record_by_number(SOURCE.id, NhsNumber(NUMBER)) != RECORD


@pytest.mark.parametrize("number", ["9990000019", "9999999999", "0000000000", "999000001", "UNKNOWN"])
def test_an_nhs_number_that_cannot_be_one_is_kept_flagged_and_links_nobody(number: str) -> None:
    made = item(message(changes={"PID-3": f"NF204417^^^RX1^MR~{number}^^^NHS^NH"}))
    assert made.flags == ("nhs-number-invalid at PID-3",)
    kept = patient(message(changes={"PID-3": f"NF204417^^^RX1^MR~{number}^^^NHS^NH"}))
    assert {"system": NHS_NUMBER_UNCHECKED, "value": number} in kept["identifier"]
    assert verified_number(kept) is None


def test_two_nhs_numbers_on_one_record_link_it_to_nobody() -> None:
    raw = message(changes={"PID-3": f"NF204417^^^RX1^MR~{NUMBER}^^^NHS~{OTHER}^^^NHS"})
    assert item(raw).flags == ("nhs-numbers-differ at PID-3",)
    assert number_status(patient(raw)) == [(NUMBER, "02"), (OTHER, "02")]


def test_a_source_whose_numbers_are_only_stated_links_nobody_by_them() -> None:
    stated = ARRIVAL._replace(source=type(SOURCE)(id="x", name="X", sector=SOURCE.sector, nhs_numbers="stated"))  # type: ignore[arg-type]
    assert verified_number(patient(message(without=["PID-32"]), stated)) is None


@pytest.mark.parametrize("field", ["PID-8", "PID-16", "PID-22", "PV1-4", "PV1-14", "PV1-36", "PV1-37"])
def test_a_code_that_is_in_no_list_is_flagged_and_the_message_taken_in(field: str) -> None:
    made = item(message("A03", {field: "QQ"}))
    assert made.rejection is None
    assert made.flags == (f"code-unknown at {field}",)
