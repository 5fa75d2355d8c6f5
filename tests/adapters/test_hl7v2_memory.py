"""What is remembered of messages is bounded, whoever sends."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import UTC, datetime
from io import BytesIO

from adapters.hl7v2.acknowledge import acknowledge
from adapters.hl7v2.text.memory import LONG_BYTES, REMEMBERED_CHARACTERS, Memory
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Arrival
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source

ARRIVAL = Arrival(
    Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS),
    datetime(2026, 3, 1, tzinfo=UTC),
    Pseudonyms(b"only for tests: 32 bytes or more"),
)
MIB = 1024 * 1024


def message(number: int, field: str) -> bytes:
    """A message whose every field says ``field``, in words no other message has."""
    said = f"{field}{number}"
    pid = "|".join(["PID", "1", "", f"NF{number}^^^RX1^MR~{said}^^^{said}^{said}", "", *[f"{said}^{said}"] * 25])
    pv1 = "|".join(["PV1", "1", "I", *[f"{said}^{said}^{said}"] * 42])
    head = f"MSH|^~\\&|PAS|RX1|B|C|20260203||ADT^A01|{number}|P|{said}"
    return "\r".join([head, "EVN|A01|20260203", pid, f"PD1||||{said}^{said}", pv1, ""]).encode()


def test_long_messages_leave_nothing_behind() -> None:
    translator, field = Hl7v2Translator(), "x" * 10_000

    def send(number: int) -> None:
        raw = message(number, field)
        assert len(raw) > LONG_BYTES
        (item,) = translator.translate(BytesIO(raw), ARRIVAL)
        assert item.events or item.rejection
        acknowledge(raw, "AA")

    send(0)
    tracemalloc.start()
    try:
        send(1)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in (2, 3, 4):
            send(number)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MIB, "three messages of more than a MiB"


def test_a_memory_forgets_when_its_words_are_too_many() -> None:
    memory: Memory[int] = Memory()
    reads: list[str] = []

    def recall(word: str) -> int:
        return memory.recall((word,), [], lambda: reads.append(word[:1]) or len(word))

    half = REMEMBERED_CHARACTERS // 2
    for word in ("a" * half, "b" * half, "a" * half, "c" * half, "c" * half, "a" * half):
        assert recall(word) == half
    assert reads == ["a", "b", "c", "a"], "the third one made it forget the first two, and is remembered itself"
