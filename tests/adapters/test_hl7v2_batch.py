"""Files of many messages: one item each; a batch that was cut short is refused before anything of it is taken in."""

from __future__ import annotations

import io

import pytest

from adapters.hl7v2.text.batch import CHUNK_BYTES, MESSAGE_MOST_BYTES
from adapters.hl7v2.translate import Hl7v2Translator
from tests.samples.hl7v2.northfield import ARRIVAL, items, message

ONE, TWO = message("A01"), message("A03", {"MSH-10": "NF00000002"})
FHS, BHS = b"FHS|^~\\&|PAS\r", b"BHS|^~\\&|PAS\r"

WHOLE = [
    ("two messages in a row", ONE + TWO, 2),
    ("a batch in a file", FHS + BHS + ONE + TWO + b"BTS|2\rFTS|1\r", 2),
    ("a batch without counts", BHS + ONE + TWO + b"BTS\r", 2),
    ("two batches", FHS + BHS + ONE + b"BTS|1\r" + BHS + TWO + b"BTS|1\rFTS|2\r", 2),
    ("a file without a batch", FHS + ONE + TWO + b"FTS\r", 2),
    ("an empty batch", BHS + b"BTS|0\r", 0),
    ("line feeds", (BHS + ONE + TWO + b"BTS|2\r").replace(b"\r", b"\n"), 2),
    ("blank lines between", ONE + b"\r\r" + TWO + b"\r\n", 2),
    ("MLLP frames in a file", b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r", 2),
    ("a byte order mark", b"\xef\xbb\xbf" + BHS + ONE + b"BTS|1\r", 1),
]


@pytest.mark.parametrize(("_", "raw", "count"), WHOLE)
def test_each_message_is_an_item(_: str, raw: bytes, count: int) -> None:
    made = items(raw)
    assert [len(one.events) for one in made] == [1] * count
    assert [one.position for one in made] == (["message"] if count == 1 else [f"message {n}" for n in range(1, count + 1)])


CUT = [
    ("no end of the batch", BHS + ONE + TWO, "BTS"),
    ("no end of the file", FHS + BHS + ONE + b"BTS|1\r", "FTS"),
    ("fewer messages than it says", BHS + ONE + b"BTS|2\r", "BTS-1"),
    ("more messages than it says", BHS + ONE + TWO + b"BTS|1\r", "BTS-1"),
    ("fewer batches than it says", FHS + BHS + ONE + b"BTS|1\rFTS|3\r", "FTS-1"),
    ("an end without a beginning", ONE + b"BTS|1\r", "BTS"),
    ("a beginning and nothing else", BHS, "BTS"),
]


@pytest.mark.parametrize(("_", "raw", "where"), CUT)
def test_a_batch_that_is_not_whole_is_refused_whole(_: str, raw: bytes, where: str) -> None:
    (refused,) = items(raw)
    assert refused.rejection is not None
    assert refused.rejection.whole
    assert (refused.rejection.error.code, refused.rejection.error.where) == ("unreadable", where)


def test_one_bad_message_does_not_hold_up_the_others() -> None:
    bad = message("A99")
    made = items(ONE + bad + TWO)
    assert [one.rejection is None for one in made] == [True, False, True]
    assert made[1].rejection is not None
    assert made[1].rejection.content == bad


def test_what_stands_before_the_first_message_is_rejected_and_the_message_taken_in() -> None:
    rubbish, good = items(b"what is this\r" + ONE)
    assert rubbish.rejection is not None
    assert rubbish.rejection.content == b"what is this\r"
    assert good.rejection is None


@pytest.mark.parametrize("enveloped", [False, True])
def test_a_file_longer_than_one_reading_gives_every_message_once(enveloped: bool) -> None:
    one = message("A08", {"OBX-5": "x" * 3000})
    count = 3 * CHUNK_BYTES // len(one)
    raw = b"".join(message("A08", {"OBX-5": "x" * 3000, "MSH-10": f"{number:08d}"}) for number in range(count))
    if enveloped:
        raw = BHS + raw + f"BTS|{count}\r".encode()
    made = items(raw)
    assert len(made) == count
    assert len({one.events[0].id for one in made}) == count


def test_a_message_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    (refused,) = Hl7v2Translator().translate(io.BytesIO(ONE + b"x" * (MESSAGE_MOST_BYTES + CHUNK_BYTES)), ARRIVAL)
    assert refused.rejection is not None
    assert (refused.rejection.error.code, refused.rejection.whole) == ("too-large", True)
