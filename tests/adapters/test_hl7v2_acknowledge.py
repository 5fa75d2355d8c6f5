"""The answer to a message: in original mode, to whatever came, with nothing of the person in it."""

from __future__ import annotations

from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.acknowledge import ACCEPT, CONDITIONS, ERROR, REJECT, acknowledge
from adapters.hl7v2.text.header import Header, header
from adapters.hl7v2.text.message import parse
from schemas.errors import (
    BackboneError,
    InvalidValue,
    LogUnavailable,
    MissingIdentifier,
    RejectedInput,
    UnknownSender,
    Unreadable,
    Unsupported,
)
from tests.samples.hl7v2.northfield import item, message

AT = datetime(2026, 7, 10, 14, 33, 6, tzinfo=UTC)


def segments(ack: bytes) -> dict[str, list[str]]:
    """The segments of an ACK by name, field *n* at *n* (of MSH one less)."""
    assert ack.endswith(b"\r")
    return {line.split("|")[0]: line.split("|") for line in ack.decode("latin-1").split("\r")[:-1]}


def test_an_acceptance_goes_back_to_the_sender_and_names_its_message() -> None:
    ack = segments(acknowledge(message("A03", {"MSH-9": "ADT^A03^ADT_A03"}), ACCEPT, at=AT))
    assert ack["MSH"][1:6] == ["^~\\&", "ROUTE", "ROUTE", "PAS", "RX1"]
    assert ack["MSH"][6] == "20260710153306+0100"
    assert ack["MSH"][8] == "ACK^A03^ACK"
    assert ack["MSH"][10:12] == ["P", "2.4"]
    assert ack["MSH"][17] == "UNICODE UTF-8"
    assert ack["MSA"] == ["MSA", "AA", "NF00000001"]
    assert "ERR" not in ack


@pytest.mark.parametrize(
    ("version", "kind"),
    [("2.1", "ACK"), ("2.3", "ACK"), ("2.3.1", "ACK"), ("2.4", "ACK^A01^ACK"), ("2.5.1", "ACK^A01^ACK"), ("", "ACK^A01^ACK")],
)
def test_the_type_is_as_the_version_writes_it(version: str, kind: str) -> None:
    assert segments(acknowledge(message(changes={"MSH-12": version}), ACCEPT))["MSH"][8] == kind


def test_the_same_message_gets_the_same_answer_and_another_another() -> None:
    one, other = message(), message(changes={"PID-8": "1"})
    assert acknowledge(one, ACCEPT, at=AT) == acknowledge(one, ACCEPT, at=AT)
    ids = {segments(acknowledge(raw, code))["MSH"][9] for raw in (one, other) for code in (ACCEPT, ERROR, REJECT)}
    assert len(ids) == 6
    assert all(0 < len(own) <= 20 for own in ids)


def test_the_control_id_comes_back_exactly_as_sent() -> None:
    for control in ("  padded ", "with^parts", "esc\\F\\aped", "Größe", "x" * 300, ""):
        raw = message(changes={"MSH-10": control, "MSH-18": ""})
        back = acknowledge(raw, ACCEPT).split(b"\r")[1].split(b"|")
        assert (back[2] if len(back) > 2 else b"") == control.encode()


def test_an_accept_or_application_acknowledgement_asked_for_is_still_of_the_original_mode() -> None:
    ack = segments(acknowledge(message(changes={"MSH-15": "AL", "MSH-16": "NE"}), ACCEPT))
    assert ack["MSA"][1] == "AA"
    assert ack["MSH"][14:16] == ["", ""]


def test_the_answer_is_in_the_senders_delimiters() -> None:
    raw = b"MSH#*@!%#PAS#RX1#ROUTE#ROUTE#20260210##ADT*A01#id1#P#2.4\r"
    assert acknowledge(raw, REJECT, "a # b * c", at=AT).split(b"\r")[1] == b"MSA#AR#id1#a !F! b !S! c"


ERRORS = [
    (MissingIdentifier("nothing", where="PID-3"), "2.4", "ERR|PID^1^3^101&Required field missing&HL70357"),
    (Unsupported("nothing", where="MSH-9.2"), "2.3.1", "ERR|MSH^1^9^201&Unsupported event code&HL70357"),
    (Unsupported("nothing", where="MSH-9.1"), "2.4", "ERR|MSH^1^9^200&Unsupported message type&HL70357"),
    (Unreadable("nothing", where="PID"), "2.4", "ERR|PID^1^^100&Segment sequence error&HL70357"),
    (InvalidValue("nothing", where="Bundle.entry[0]"), "2.4", "ERR|^^^102&Data type error&HL70357"),
    (UnknownSender("nothing"), "2.4", "ERR|^^^103&Table value not found&HL70357"),
    (LogUnavailable("nothing"), "2.4", "ERR|^^^207&Application internal error&HL70357"),
    (
        Unsupported("nothing", where="MSH-9.2"),
        "2.5",
        "ERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E||||nothing at MSH-9.2. ",
    ),
    (MissingIdentifier("nothing"), "2.5.1", "ERR|||101^Required field missing^HL70357|E||||nothing. "),
]


@pytest.mark.parametrize(("error", "version", "says"), ERRORS)
def test_a_refusal_says_where_and_why_as_its_version_writes_it(error: BackboneError, version: str, says: str) -> None:
    ack = acknowledge(message(changes={"MSH-12": version}), ERROR, str(error), error).decode()
    assert ack.split("\r")[2].startswith(says)
    assert ack.split("\r")[1].startswith("MSA|AE|NF00000001|nothing")


def test_every_refusal_of_content_has_a_code_of_its_own_or_is_internal() -> None:
    refusals = {kind.code for kind in RejectedInput.__subclasses__()}
    assert set(CONDITIONS) <= refusals


def test_a_message_that_is_refused_is_answered_without_a_word_of_its_person() -> None:
    raw = message(changes={"PID-3": "", "PID-5": "Zyxcanary^Zyxcanary", "EVN-6": "Zyxcanary", "PID-11": "Zyxcanary"})
    rejection = item(raw).rejection
    assert rejection is not None
    assert b"Zyxcanary" not in acknowledge(raw, ERROR, str(rejection.error), rejection.error)


def test_the_text_is_ascii_on_one_line_and_of_the_length_the_standard_has() -> None:
    line = acknowledge(message(), ERROR, "two\rlines – " + "word " * 40).split(b"\r")[1]
    said = line.split(b"|")[3]
    assert said.startswith(b"two lines ? word word")
    assert 75 < len(said) <= 80


_CUT_SHORT = "the message has no PID segment: it was cut short or its segments are not"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("There is no rule at MSH-9.2. It is kept: redrive it once a translator is installed.", "There is no rule at MSH-9.2."),
        (f"{_CUT_SHORT} ended by CR at PID", f"{_CUT_SHORT}..."),
        ("It is short. It is told whole.", "It is short. It is told whole."),
    ],
    ids=["after a sentence", "after a word", "not at all"],
)
def test_a_text_too_long_for_the_standard_ends_where_it_can_still_be_read(text: str, said: str) -> None:
    line = acknowledge(message(), ERROR, text).decode().split("\r")[1]
    assert line.split("|")[3] == said


GARBAGE = [
    b"",
    b"MSH",
    b"MSH|",
    b"MSH|\r",
    b"MSH|^",
    b"garbage",
    b"MSHMSHMSH",
    b"MSH|abcd|PAS",
    bytes(range(256)),
    b"\x0b" * 5000 + b"MSH|^~\\&|",
]


@pytest.mark.parametrize("raw", GARBAGE)
def test_garbage_is_answered_too(raw: bytes) -> None:
    ack = segments(acknowledge(raw, REJECT))
    assert ack["MSA"][:2] == ["MSA", "AR"]
    assert ack["MSH"][11] == "2.4"


@given(st.binary(max_size=300), st.text(max_size=100), st.sampled_from([ACCEPT, ERROR, REJECT]))
def test_nothing_breaks_it_and_the_answer_is_a_message(rest: bytes, text: str, code: str) -> None:
    for raw in (rest, b"MSH|^~\\&|" + rest, b"MSH" + rest):
        ack = acknowledge(raw, code, text, InvalidValue(text, where=text), AT)
        assert parse(ack).segment("MSA").text(1) == code
        assert isinstance(header(raw), Header)


def test_an_independent_parser_reads_the_answer() -> None:
    ack = hl7.parse(acknowledge(message("A03"), ERROR, "no such thing", at=AT).decode())
    assert str(ack["MSA.F1"]) == "AE"
    assert str(ack["MSA.F2"]) == "NF00000001"
    assert str(ack["MSH.F9.R1.C2"]) == "A03"


def test_a_header_is_read_without_the_message() -> None:
    read = header(message("A03", {"MSH-3": " PAS ^x", "MSH-12": "2.5.1^GBR"}) + b"\xff" * 100)
    assert (read.sending_application, read.sending_facility) == ("PAS", "RX1")
    assert (read.kind, read.trigger, read.version, read.control_id) == ("ADT", "A03", "2.5.1", "NF00000001")
