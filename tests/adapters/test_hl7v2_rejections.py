"""Bad input gets a clear answer, is kept whole, and never shows what stands in it."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Item
from schemas.errors import RejectedInput
from tests.samples.hl7v2.northfield import ARRIVAL, item, items, message

REJECTED: list[tuple[str, bytes, str, str]] = [
    ("an empty file", b"", "unreadable", "the empty content"),
    ("binary rubbish", bytes(range(256)), "unreadable", "MSH"),
    ("another format", b'{"resourceType": "Patient"}', "unreadable", "MSH"),
    ("UTF-16", message().decode().encode("utf-16"), "unreadable", "MSH-18"),
    ("UTF-16 without its mark", message().decode().encode("utf-16-le"), "unreadable", "MSH-18"),
    ("UTF-16 without its mark, the other way round", message().decode().encode("utf-16-be"), "unreadable", "MSH-18"),
    ("delimiters that are none", b"MSH||||||||", "unreadable", "MSH-2"),
    ("a header and nothing else", b"MSH|^~\\&|PAS|RX1|||||ADT^A01|1|P|2.4\r", "unreadable", "PID"),
    ("cut off before the PID", message()[:80], "unreadable", "PID"),
    ("no PID", message("A01", without=["PID"]), "unreadable", "PID"),
    ("no stay", message("A01", without=["PV1"]), "unreadable", "PV1"),
    ("no identifier", message(changes={"PID-3": ""}), "missing-identifier", "PID-3"),
    ("only an NHS number that is none", message(changes={"PID-3": "9990000019^^^NHS"}), "missing-identifier", "PID-3"),
    ("two NHS numbers alone", message(changes={"PID-3": "9990000018^^^NHS~9990000026^^^NHS"}), "missing-identifier", "PID-3"),
    ("no MRG", message("A40", without=["PV1"]), "missing-identifier", "MRG-1"),
    ("MRG that names nobody", message("A40", {"MRG-3": "x"}), "missing-identifier", "MRG-1"),
    ("an unknown trigger", message("A17"), "unsupported", "MSH-9.2"),
    ("no trigger at all", message(changes={"MSH-9": "ADT"}), "unsupported", "MSH-9.2"),
    ("a result", message(changes={"MSH-9": "ORU^R01"}), "unsupported", "MSH-9.1"),
    ("an acknowledgement", b"MSH|^~\\&|A|B|C|D|||ACK^A01^ACK|1|P|2.4\rMSA|AA|1\r", "unsupported", "MSH-9.1"),
    ("nothing that says when", message("A02", without=["EVN", "MSH-7"]), "invalid-value", "EVN-6"),
    ("an impossible time", message("A02", {"EVN-6": "20260231"}), "invalid-value", "EVN-6"),
]


@pytest.mark.parametrize(("_", "raw", "code", "where"), REJECTED, ids=[row[0] for row in REJECTED])
def test_what_cannot_be_translated_is_kept_whole_with_a_reason(_: str, raw: bytes, code: str, where: str) -> None:
    rejection = item(raw).rejection
    assert rejection is not None
    assert (rejection.error.code, rejection.error.where) == (code, where)
    assert rejection.content == raw
    assert rejection.error.cure


@pytest.mark.parametrize(
    ("sent", "wrong"), [("9990000019^^^NHS", True), ("", False), ("9990000018^^^NHS~9990000026^^^NHS", False)]
)
def test_who_sent_a_wrong_nhs_number_alone_is_not_told_that_there_is_none(sent: str, wrong: bool) -> None:
    rejection = item(message(changes={"PID-3": sent})).rejection
    assert rejection is not None
    assert ("fails its own check" in rejection.error.message) is wrong


def test_a_rejected_message_translated_again_by_itself_gets_the_same_verdict() -> None:
    for _, raw, code, _ in REJECTED[1:]:
        first = item(raw).rejection
        assert first is not None
        again = item(first.content).rejection
        assert again is not None
        assert again.error.code == code


CANARY = "Zyxcanary"
FIELDS = [
    f"{segment}-{field}" for segment, last in (("PID", 35), ("PV1", 46), ("MSH", 20), ("EVN", 7)) for field in range(1, last)
]


@pytest.mark.parametrize("trigger", ["A01", "A40"])
def test_no_message_shows_what_stands_in_a_field(trigger: str) -> None:
    for field in FIELDS:
        if field not in ("MSH-1", "MSH-2"):
            _assert_hidden(item(message(trigger, {field: f"{CANARY}^{CANARY}~{CANARY}&{CANARY}"})))
    _assert_hidden(item(CANARY.encode()))
    _assert_hidden(item(f"MSH|{CANARY}|{CANARY}".encode()))


def _assert_hidden(one: Item) -> None:
    said = [str(one.rejection.error), one.rejection.error.where] if one.rejection else []
    assert CANARY.lower() not in " ".join([one.position, *one.flags, *said]).lower()


def _understood_or_rejected(raw: bytes) -> None:
    for one in items(raw):
        assert isinstance(one.position, str)
        if one.rejection is None:
            assert one.events
        else:
            assert isinstance(one.rejection.error, RejectedInput)
            assert one.events == ()


@given(st.binary(max_size=400))
def test_no_bytes_break_it(raw: bytes) -> None:
    _understood_or_rejected(raw)


@given(st.binary(max_size=100), st.integers(0, 800), st.sampled_from(["A01", "A03", "A08", "A16", "A31", "A40"]))
def test_no_damage_to_a_message_breaks_it(noise: bytes, place: int, trigger: str) -> None:
    raw = message(trigger, {"MRG-1": "NF9", "ZU1-24": "20260209", "PID-29": "20260209"})
    _understood_or_rejected(raw[:place] + noise + raw[place:])
    _understood_or_rejected(raw[:place] + noise + raw[place + len(noise) :])
    _understood_or_rejected(raw[:place])


NASTY = [
    "",
    '""',
    "^",
    "~",
    "&",
    "\\",
    "|",
    '""^""',
    "^^^^^^^^^^^^",
    "~~~",
    "\\X00\\",
    "\x00",
    "\ud7ff",
    "é",
    "20260231",
    "9" * 40,
    " ",
    "a&b&c",
]
SEGMENTS = {"PID": 40, "PV1": 52, "PV2": 12, "PD1": 6, "NK1": 8, "EVN": 8, "MRG": 5, "ZU1": 28, "ZU3": 5, "ZU8": 5}
EVERY = [f"{segment}-{field}" for segment, last in SEGMENTS.items() for field in range(1, last)]
TEXTS = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.dictionaries(st.sampled_from(EVERY), TEXTS, max_size=12),
    st.sampled_from(["A01", "A02", "A03", "A04", "A05", "A08", "A13", "A15", "A16", "A21", "A28", "A31", "A40"]),
)
def test_no_content_of_fields_breaks_it(changes: Mapping[str, str], trigger: str) -> None:
    _understood_or_rejected(message(trigger, changes))


def test_a_long_field_of_delimiters_takes_no_long_time() -> None:
    """Linear: twenty thousand of each, which a quadratic reader would take minutes for."""
    for hostile in ("^", "~", "&", "\\", "a^b~", '""~', "9990000018^^^NHS~"):
        many = hostile * 20_000
        _understood_or_rejected(message(changes={"PID-3": "NF1~" + many, "PID-5": many, "PV1-7": many}))


def test_an_oversized_field_is_taken_in() -> None:
    note = "x" * 1_000_000
    assert item(message(changes={"OBX-5": note})).rejection is None


def test_the_translator_reads_content_as_a_stream_and_gives_out_as_it_goes() -> None:
    content = io.BytesIO(b"".join(message(changes={"MSH-10": str(number)}) for number in range(5)))
    positions = [one.position for one in Hl7v2Translator().translate(content, ARRIVAL)]
    assert positions == [f"message {number}" for number in range(1, 6)]


def test_an_order_of_messages_does_not_change_what_one_of_them_makes() -> None:
    raws = [
        message(trigger, {"PID-8": sex, "PV1-2": kind}) for trigger in ("A01", "A03", "A31") for sex in "12Q" for kind in "IOE"
    ]
    alone = {raw: items(raw)[0].events for raw in raws}
    random.Random(1).shuffle(raws)
    together = items(b"".join(raws))
    assert [one.events for one in together] == [alone[raw] for raw in raws]
