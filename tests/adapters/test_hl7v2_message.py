"""The parser: what a message says, in whatever delimiters, line ends and characters, and the same bytes back."""

from __future__ import annotations

import hl7
import hl7kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hl7v2.text.message import parse, write
from adapters.hl7v2.text.syntax import syntax
from schemas.errors import Unreadable
from tests.samples.hl7v2.northfield import message

ROUND = "MSH|^~\\&|PAS|RX1|ROUTE|ROUTE|20260210143305||ADT^A01|NF1|P|2.4\rPID|1||NF204417^^^RX1^MR~9990000018^^^NHS||Ellis\r"

TERMINATORS = [
    ("CR", ROUND),
    ("LF", ROUND.replace("\r", "\n")),
    ("CRLF", ROUND.replace("\r", "\r\n")),
    ("no last end", ROUND.rstrip("\r")),
    ("blank lines", ROUND.replace("\r", "\r\r")),
    ("CR and LF mixed, LF first", ROUND.replace("\r", "\n", 1)),
    ("an MLLP frame left around it", "\x0b" + ROUND + "\x1c\r"),
    ("a byte order mark", "\ufeff" + ROUND),
    ("blanks at the ends", ROUND.replace("\r", "   \r")),
]


@pytest.mark.parametrize(("_", "text"), TERMINATORS)
def test_segments_end_as_systems_end_them_and_come_back_as_they_came(_: str, text: str) -> None:
    read = parse(text.encode())
    assert read.segment("PID").text(3) == "NF204417"
    assert read.segment("PID").text(5) == "Ellis"
    assert read.segment("MSH").text(12) == "2.4"
    assert write(read) == text.encode()


@pytest.mark.parametrize(("name", "text"), TERMINATORS)
def test_a_last_segment_without_an_end_is_flagged_because_the_message_may_have_been_cut_short(name: str, text: str) -> None:
    assert parse(text.encode()).flags == (("end-missing at PID",) if name == "no last end" else ())


def test_a_line_feed_inside_a_segment_that_ends_with_cr_is_text() -> None:
    read = parse(b"MSH|^~\\&|PAS\rOBX|1|TX|note||first line\nsecond line\rPID|1\r")
    assert read.segment("OBX").text(5) == "first line\nsecond line"
    assert bool(read.segment("PID"))


def test_the_delimiters_are_those_of_the_message() -> None:
    read = parse(b"MSH#*@!%#PAS#RX1####ADT*A01#x\rPID###NF1***RX1*MR@999****NH##O!F!Neill%van*Ada!S!\r")
    pid = read.segment("PID")
    assert pid.text(3) == "NF1"
    assert pid.repetitions(3) == ["NF1***RX1*MR", "999****NH"]
    assert pid.text(5, 2) == "Ada*"
    assert pid.syntax.subs(pid.fields[5].split("*")[0]) == ["O#Neill", "van"]


ESCAPES = [
    ("A\\F\\B", "A|B"),
    ("A\\S\\B", "A^B"),
    ("A\\T\\B", "A&B"),
    ("A\\R\\B", "A~B"),
    ("A\\E\\B", "A\\B"),
    ("one\\.br\\two", "one\ntwo"),
    ("\\H\\loud\\N\\ soft", "loud soft"),
    ("caf\\XC3A9\\", "café"),
    ("caf\\XE9\\", "café"),
    ("\\X41\\\\X42\\", "AB"),
    ("kept \\Zlocal\\ here", "kept \\Zlocal\\ here"),
    ("kept \\XGG\\ here", "kept \\XGG\\ here"),
    ("kept \\C2842\\ here", "kept \\C2842\\ here"),
    ("C:\\never closed", "C:\\never closed"),
    ("no \\X00\\ nulls \\X0B\\", "no  nulls"),
]


@pytest.mark.parametrize(("sent", "says"), ESCAPES)
def test_escapes_are_resolved_and_unknown_ones_are_kept(sent: str, says: str) -> None:
    assert parse(f"MSH|^~\\&|PAS\rPID|||||{sent}^x\r".encode()).segment("PID").text(5) == says


@given(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co", "Cf"]), max_size=20)
)
def test_what_is_escaped_reads_as_it_was(text: str) -> None:
    plain = syntax("|", "^~\\&", "utf-8")
    said = plain.text(plain.escaped(text))
    assert said == ("" if text == '""' else text)


def test_omitted_and_deleted_are_told_apart() -> None:
    pid = parse(b'MSH|^~\\&|PAS\rPID||""|x^""|\r').segment("PID")
    assert (pid.text(1), pid.deleted(1)) == ("", False)
    assert (pid.text(2), pid.deleted(2)) == ("", True)
    assert (pid.text(3, 2), pid.deleted(3)) == ("", False)
    assert (pid.text(58), pid.deleted(58)) == ("", False)
    assert pid.repetitions(2) == []


def test_a_segment_that_is_not_there_is_false_and_says_nothing() -> None:
    read = parse(message())
    assert not read.segment("ZU8")
    assert (read.segment("ZU8").text(4), read.segments("ZU8"), read.alone("ZU8")) == ("", [], False)


def test_segments_of_local_making_are_kept() -> None:
    read = parse(b"MSH|^~\\&|PAS\rZU1|a\rZZZ|b^c\rZU1|d\r")
    assert [segment.text(1) for segment in read.segments("ZU1")] == ["a", "d"]
    assert read.segment("ZZZ").text(1, 2) == "c"
    assert [segment.fields[0] for segment in read.in_order("ZU1", "ZZZ")] == ["ZU1", "ZZZ", "ZU1"]


CHARSETS = [
    ("UTF-8, said", "UNICODE UTF-8", "utf-8", ()),
    ("UTF-8, as the ITK says it", "UNICODE", "utf-8", ()),
    ("UTF-8, unsaid", "", "utf-8", ()),
    ("Windows, unsaid", "", "cp1252", ()),
    ("Latin 1", "8859/1", "latin-1", ()),
    ("Latin 9", "8859/15", "iso8859-15", ()),
    ("Central European", "8859/2", "iso8859-2", ()),
    ("the first of several", "8859/1~UNICODE UTF-8", "latin-1", ()),
    ("ASCII, which is not true", "ASCII", "utf-8", ("charset-wrong at MSH-18",)),
    ("UTF-8, which is not true", "UNICODE UTF-8", "cp1252", ("charset-wrong at MSH-18",)),
    ("Latin 1, which is not true", "8859/1", "utf-8", ("charset-wrong at MSH-18",)),
    ("Latin 9, which is not true", "8859/15", "utf-8", ("charset-wrong at MSH-18",)),
    ("nothing known", "KLINGON", "utf-8", ("charset-unknown at MSH-18",)),
]


@pytest.mark.parametrize(("_", "said", "encoding", "flags"), CHARSETS)
def test_characters_are_what_msh_18_says_if_that_is_true(_: str, said: str, encoding: str, flags: tuple[str, ...]) -> None:
    raw = message(changes={"MSH-18": said, "PID-5": "Ü-Özil^Zoé"}).decode().encode(encoding)
    read = parse(raw)
    assert read.segment("PID").text(5) == "Ü-Özil"
    assert read.segment("PID").text(5, 2) == "Zoé"
    assert read.flags == flags
    assert write(read) == raw


def test_bytes_that_no_character_set_has_still_come_back() -> None:
    raw = message().replace(b"Margaret", b"Marg\x81ret")
    assert write(parse(raw)) == raw


UNREADABLE = [
    b"",
    b"MSH",
    b"MSH|",
    b"PID|1||x",
    b"MSH|^~\\",
    b"MSHA^~\\&APAS",
    b"MSH |||||||",
    b"MSH||||||||",
    b"MSH|^^^^|PAS",
    b"MSH|abcd|PAS",
    b"MSH|^~\\&#!%|PAS|RX1",
    "MSH|^~\\&|PAS|RX1".encode("utf-16"),
    "MSH|^~\\&|PAS|RX1|Ü".encode("utf-16-le"),
    bytes(range(256)),
]


@pytest.mark.parametrize("raw", UNREADABLE)
def test_what_is_no_message_is_refused_with_a_position(raw: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(raw)
    assert refused.value.where


@given(st.binary(max_size=200))
def test_any_bytes_after_a_header_come_back(rest: bytes) -> None:
    raw = b"MSH|^~\\&|PAS|RX1|" + rest
    assert write(parse(raw)) == raw


@given(st.text(st.sampled_from('MSHPID|^~\\&"\r\n Aé0123456789.brXFTSRE'), max_size=200))
def test_any_text_after_a_header_is_read_without_a_fault(rest: str) -> None:
    read = parse(("MSH|^~\\&|PAS|RX1|" + rest).encode())
    assert write(read).decode() == "MSH|^~\\&|PAS|RX1|" + rest
    for name in ("MSH", "PID"):
        segment = read.segment(name)
        assert all(isinstance(segment.text(field, component), str) for field in range(1, 20) for component in range(1, 5))


ORACLE = [
    message("A01"),
    message("A40", {"MRG-1": "NF1^^^RX1^MR~999"}, ["PV1"]),
    message("A08", {"PID-5": "O\\T\\Neill^Ada\\S\\x^\\E\\", "ZU1-22": "Y", "PID-11": "1 High St&High St&1^^Town"}),
    message("A03", {"PID-3": "A^^^B^MR~C^^^D^PI~E^^^NHS^NH", "PV1-9": "C1^X~C2^Y"}),
    message("A31", {"MSH-2": "*@!%", "PID-3": "A***B*MR@C***D*PI", "PID-5": "Ellis*Ada"}),
]
READ = [
    ("PID", 3, 1),
    ("PID", 3, 4),
    ("PID", 5, 1),
    ("PID", 5, 2),
    ("PID", 7, 1),
    ("PV1", 19, 1),
    ("EVN", 6, 1),
    ("MSH", 10, 1),
]


@pytest.mark.parametrize("raw", ORACLE)
def test_two_independent_parsers_read_the_same(raw: bytes) -> None:
    ours, python_hl7, rust = parse(raw), hl7.parse(raw.decode()), hl7kit.parse(raw)
    for segment, field, component in READ:
        said = ours.segment(segment).text(field, component)
        if ours.segment(segment):
            assert said == _of_python_hl7(python_hl7, segment, field, component), (segment, field, component)
            assert said == (rust.get(f"{segment}-{field}[1].{component}") or ""), (segment, field, component)


def _of_python_hl7(read: hl7.Message, segment: str, field: int, component: int) -> str:
    try:
        found = str(read.segment(segment).extract_field(1, field, 1, component, 1))
    except (LookupError, TypeError):
        return ""
    return str(read.unescape(found))
