"""Messages as large as they may be, and one byte larger, from the sender's line to the page."""

from __future__ import annotations

import base64

from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually

MOST_BYTES = 16 * 1024 * 1024
"""``limits.mllp_frame`` unless set."""


def padded(message: bytes, place: bytes, size: int = MOST_BYTES) -> bytes:
    """``message`` with so much in ``place`` that it is ``size`` bytes long."""
    assert message.count(place) == 1
    before, after = message.split(place)
    return before + place + b"x" * (size - len(message)) + after


PLACES = {
    "a document that is not read": b"OBX|1|ED|letter||^application^pdf^Base64^",
    "a street": b"14 Orchard Rise",
    "a relative's street": b"22 Mill Lane",
    "a surname": b"Ellis-Whitmore",
    "a ward": b"AMU",
}


def admissions() -> list[bytes]:
    """One for each of `PLACES`, of as many stays."""
    admission, *_ = hospital_messages()
    whole = admission.rstrip(b"\r") + b"\rOBX|1|ED|letter||^application^pdf^Base64^\r"
    own = [whole.replace(b"NF00000001", b"NF1000000%d" % n).replace(b"NF-V-88120", b"NF-V-9000%d" % n) for n in range(5)]
    return [padded(message, place) for message, place in zip(own, PLACES.values(), strict=True)]


def test_messages_of_16_mebibytes_are_acknowledged_and_their_events_are_on_the_page(backbone: Backbone) -> None:
    large = admissions()
    assert {len(message) for message in large} == {MOST_BYTES}
    assert [b"MSA|AA|NF1000000%d" % n in answer for n, answer in enumerate(backbone.mllp(*large))] == [True] * len(large)
    entries = eventually(lambda: len(found := backbone.timeline()) == len(large) and found)
    assert all(entry["title"].startswith("Admitted to ") for entry in entries)
    assert all(len(entry["title"]) < 200 for entry in entries), "a title is one plain sentence"


def test_a_message_one_byte_too_large_is_refused_with_the_limit_and_the_next_one_is_taken(backbone: Backbone) -> None:
    admission, *_ = hospital_messages()
    (answer,) = backbone.mllp(padded(admission, b"22 Mill Lane", MOST_BYTES + 1))
    assert b"MSA|AR|NF00000001" in answer
    assert b"16777216 bytes" in answer
    assert b"MSA|AA|" in backbone.mllp(admission)[0]
    eventually(lambda: len(backbone.timeline()) == 1)


def test_a_message_of_16_mebibytes_that_cannot_be_read_is_kept_whole(backbone: Backbone) -> None:
    admission, *_ = hospital_messages()
    strange = padded(admission.replace(b"ADT^A01^ADT_A01", b"XYZ^X99"), b"22 Mill Lane")
    (answer,) = backbone.mllp(strange)
    assert b"MSA|AR|" in answer
    (item,) = eventually(lambda: backbone.http.get("/quarantine").json().get("items"))
    kept = backbone.http.get(f"/quarantine/{item['id']}", params={"include": "content"}).json()
    assert base64.b64decode(kept["content"]) == strange
