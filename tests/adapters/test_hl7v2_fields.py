"""The dry run's fields: every field and component that is there, with the message without it."""

from __future__ import annotations

import pytest

from adapters.hl7v2.text.message import parse
from adapters.hl7v2.translate import Hl7v2Translator
from tests.samples.hl7v2.northfield import NHS_NUMBER, message, patient


def without(raw: bytes) -> dict[str, bytes]:
    return {field.name: field.without for field in Hl7v2Translator().fields(raw)}


def test_every_field_is_there_by_its_name() -> None:
    named = without(message(changes={"ZU1-22": "Y", "NK1-2": "Whitmore^Daniel"}))
    for name in (
        "MSH-3",
        "MSH-10",
        "EVN-6",
        "PID-7",
        "PV1-19",
        "PV2-3",
        "ZU1-22",
        "PID-5.1",
        "PID-5.7",
        "PV1-3.2",
        "PID-3[1].1",
        "PID-3[2].4",
    ):
        assert name in named
    assert "MSH-1" not in named, "without its delimiters there is no message"
    assert "MSH-2" not in named
    assert "PID-9" not in named, "an empty field has nothing to leave out"


def test_a_field_left_out_is_the_only_thing_that_changes() -> None:
    raw = message()
    named = without(raw)
    assert named["PID-7"] == raw.replace(b"19410309", b"")
    assert named["PID-3[2].1"] == raw.replace(b"9990000018", b"")
    assert named["PID-3[1]"] == raw.replace(b"NF204417^^^RX1^MR", b"")
    assert parse(named["MSH-10"]).segment("MSH").text(10) == ""


def test_what_an_output_owes_to_a_field_shows_when_it_is_left_out() -> None:
    named = without(message())
    assert "birthDate" not in patient(named["PID-7"])
    assert NHS_NUMBER not in [one["value"] for one in patient(named["PID-3[2]"])["identifier"]]
    assert patient(named["PID-5.2"])["name"][0] == {"use": "official", "family": "Ellis-Whitmore", "prefix": ["Mrs"]}


def test_a_second_segment_of_a_name_is_told_apart() -> None:
    named = without(message() + b"ZZZ|a\rZZZ|b\r")
    assert {"ZZZ-1", "ZZZ[2]-1"} <= named.keys()


@pytest.mark.parametrize("raw", [b"", b"rubbish", b"MSH|", b"BHS|^~\\&\r"])
def test_what_cannot_be_read_has_no_fields(raw: bytes) -> None:
    assert without(raw) == {}


def test_of_a_file_the_fields_are_those_of_its_first_message() -> None:
    assert without(message("A01") + message("A03")).keys() == without(message("A01")).keys()
