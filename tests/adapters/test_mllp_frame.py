"""MLLP framing: what is a message, what is a fault, in whatever pieces the bytes come."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.mllp_frame import DRAIN_TIMES, HEAD_BYTES, STRAY_MOST_BYTES, Frame, FrameFault, FrameFaultKind, Framer

ADMITTED = b"MSH|^~\\&|PAS|RX1|||20260203||ADT^A01|1|P|2.4\rPID|1\r"
DISCHARGED = b"MSH|^~\\&|PAS|RX1|||20260204||ADT^A03|2|P|2.4\rPID|1\r"


def framed(content: bytes) -> bytes:
    return b"\x0b" + content + b"\x1c\r"


def read(stream: bytes, piece: int, most: int = 10_000) -> list[Frame | FrameFault]:
    framer = Framer(most)
    found = [one for start in range(0, len(stream), piece) for one in framer.feed(stream[start : start + piece])]
    return found + framer.ended()


STREAMS = [
    ("one message", framed(ADMITTED), [Frame(ADMITTED)]),
    ("two in one segment", framed(ADMITTED) + framed(DISCHARGED), [Frame(ADMITTED), Frame(DISCHARGED)]),
    ("nothing", b"", []),
    ("an empty frame", framed(b""), [Frame(b"")]),
    ("a lone VT and a lone FS are content", framed(b"MSH|a\x0bb\x1cc"), [Frame(b"MSH|a\x0bb\x1cc")]),
    ("FS at the very end of the content", framed(b"MSH|a\x1c"), [Frame(b"MSH|a\x1c")]),
    ("any byte is content", framed(bytes(range(256)) * 2), [Frame(bytes(range(256)) * 2)]),
    ("a stub before a message", b"\x0bMSH|broken" + framed(ADMITTED), [FrameFault(FrameFaultKind.HALF, 10), Frame(ADMITTED)]),
    ("two stubs", b"\x0bMSH|a\x0bMSH|b" + framed(ADMITTED), [FrameFault(FrameFaultKind.HALF, 11), Frame(ADMITTED)]),
    ("a stub at the end", framed(ADMITTED) + b"\x0bMSH|half", [Frame(ADMITTED), FrameFault(FrameFaultKind.HALF, 8)]),
    ("an end without a start", b"PID|1\x1c\r" + framed(ADMITTED), [FrameFault(FrameFaultKind.STRAY, 7), Frame(ADMITTED)]),
]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize(("stream", "expected"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_a_stream_is_cut_the_same_in_whatever_pieces_it_comes(
    stream: bytes, expected: list[Frame | FrameFault], piece: int
) -> None:
    found = read(stream, piece)
    strays = sum(one.size_bytes for one in found if isinstance(one, FrameFault) and one.trouble is FrameFaultKind.STRAY)
    others = [one for one in found if not (isinstance(one, FrameFault) and one.trouble is FrameFaultKind.STRAY)]
    assert others == [one for one in expected if not (isinstance(one, FrameFault) and one.trouble is FrameFaultKind.STRAY)]
    assert strays == sum(
        one.size_bytes for one in expected if isinstance(one, FrameFault) and one.trouble is FrameFaultKind.STRAY
    )


def is_framable(content: bytes) -> bool:
    """Neither the end of a frame nor the start of another message is in it."""
    return b"\x1c\r" not in content + b"\x1c" and b"\x0bMSH" not in content


@given(st.lists(st.binary(max_size=40).filter(is_framable)), st.integers(1, 50))
def test_whatever_was_framed_is_read_back_byte_for_byte(contents: list[bytes], piece: int) -> None:
    stream = b"".join(framed(content) for content in contents)
    assert [one.content for one in read(stream, piece) if isinstance(one, Frame)] == contents


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_rubbish_never_raises_and_never_grows(pieces: list[bytes]) -> None:
    framer = Framer(100)
    for piece in pieces:
        framer.feed(piece)
        assert framer.held_bytes <= 100 + 300


@pytest.mark.parametrize("piece", [1, 999, 1_000_000])
def test_line_ends_and_blanks_between_messages_are_skipped_and_counted(piece: int) -> None:
    found = read(b"\r\n" + framed(ADMITTED) + b"\n" + framed(DISCHARGED) + b"  ", piece)
    assert [one for one in found if isinstance(one, Frame)] == [Frame(ADMITTED), Frame(DISCHARGED)]
    assert sum(one.size_bytes for one in found if isinstance(one, FrameFault)) == 5


@pytest.mark.parametrize("piece", [1, 10, 100_000])
@pytest.mark.parametrize("size", [999, 1000])
def test_a_message_of_up_to_the_limit_is_whole(piece: int, size: int) -> None:
    assert read(framed(b"x" * size), piece, most=1000) == [Frame(b"x" * size)]


@pytest.mark.parametrize("piece", [1, 10, 100_000])
@pytest.mark.parametrize("size", [1001, 1002, 3999])
def test_a_message_over_the_limit_is_read_to_its_end_and_known_by_its_head_size_and_hash(piece: int, size: int) -> None:
    content = (ADMITTED * 100)[:size]
    found = read(framed(content) + framed(b"next"), piece, most=1000)
    assert found == [
        FrameFault(FrameFaultKind.TOO_LARGE, size, found[0].head, hashlib.sha256(content).hexdigest()),  # type: ignore[union-attr]
        Frame(b"next"),
    ]
    head = found[0].head  # type: ignore[union-attr]
    assert content.startswith(head)
    assert 1000 <= len(head) <= HEAD_BYTES


@pytest.mark.parametrize("piece", [1000, 1_000_000])
def test_a_frame_without_an_end_is_given_up(piece: int) -> None:
    framer = Framer(1000)
    stream = b"\x0b" + b"x" * (1000 * DRAIN_TIMES + 2)
    found = [one for start in range(0, len(stream), piece) for one in framer.feed(stream[start : start + piece])]
    assert [one.trouble for one in found if isinstance(one, FrameFault)] == [FrameFaultKind.NOT_MLLP]
    assert framer.dead
    assert framer.feed(framed(ADMITTED)) == []
    assert framer.held_bytes == 0


@pytest.mark.parametrize("piece", [1000, 1_000_000])
def test_a_stream_that_is_not_mllp_at_all_is_given_up(piece: int) -> None:
    stream = b"GET / HTTP/1.1\r\n" * (STRAY_MOST_BYTES // 16 + 1)
    found = read(stream, piece)
    assert isinstance(found[-1], FrameFault)
    assert found[-1].trouble is FrameFaultKind.NOT_MLLP


def test_stray_bytes_are_counted_anew_after_each_message() -> None:
    framer = Framer(1000)
    for _ in range(10):
        framer.feed(b" " * (STRAY_MOST_BYTES // 2))
        assert framer.feed(framed(ADMITTED)) == [Frame(ADMITTED)]


def test_it_says_whether_a_message_has_begun_and_how_much_of_it_is_there() -> None:
    framer = Framer(1000)
    assert (framer.inside, framer.pending_bytes) == (False, 0)
    framer.feed(b"\x0bMSH")
    assert (framer.inside, framer.pending_bytes) == (True, 3)
    framer.feed(b"|\x1c\r")
    assert (framer.inside, framer.pending_bytes) == (False, 0)
