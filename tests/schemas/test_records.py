"""Receipts and kept items: read back as they were written, in the log's JSON."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from schemas.arrival import quarantine, receipt
from schemas.arrival.quarantine import CHUNK_BYTES, KeptPart, Tried
from schemas.arrival.receipt import Receipt, Refusal
from schemas.log import EVENTS, PARTITIONS, QUARANTINE, RECEIPTS, TOPICS

RECEIPT = Receipt(
    id="5b0fbc7e-9a0c-5c52-8a0b-6c1f4a1b2c3d",
    source="northfield-pas",
    door="mllp",
    received_at="2026-02-03T15:31:02.250Z",
    sha256="0" * 64,
    size_bytes=812,
)
FULL = msgspec.structs.replace(
    RECEIPT,
    received=3,
    accepted=2,
    rejected=1,
    events=["e1", "e2"],
    refusals=[Refusal(position="line 12", code="invalid-value", reason="The date cannot be.", quarantine="q1")],
    flags=["nhs-number-invalid at PID-3"],
    control="c",
    part=1,
    name="extract.csv",
)
KEPT = KeptPart(
    id="q1",
    source="northfield-pas",
    door="folder",
    media_type="text/csv",
    code="invalid-value",
    reason="The date cannot be.",
    position="line 12",
    receipt=RECEIPT.id,
    received_at=RECEIPT.received_at,
    part=0,
    parts=1,
    content=bytes(range(256)),
    name="extract.csv",
)
TRIED = Tried(id="q1", at="2026-02-04T09:00:00.000Z", accepted=False, receipt="r2", code="unsupported", reason="Not known.")


@pytest.mark.parametrize("record", [RECEIPT, FULL], ids=["least", "full"])
def test_a_receipt_is_read_back_as_it_was_written(record: Receipt) -> None:
    assert receipt.decode(receipt.encode(record)) == record


def test_a_receipt_leaves_out_what_it_has_nothing_to_say_of() -> None:
    assert set(orjson.loads(receipt.encode(RECEIPT))) == {"id", "source", "door", "received_at", "sha256", "size_bytes"}


@pytest.mark.parametrize("record", [KEPT, TRIED], ids=["kept", "tried"])
def test_a_record_of_the_quarantine_is_read_back_as_it_was_written(record: KeptPart | Tried) -> None:
    assert quarantine.decode(quarantine.encode(record)) == record


@pytest.mark.parametrize("content", [b"{}", b'{"type":"lost"}', b"[]", b"", b"\xff", b'{"type":"tried","id":1}'])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        quarantine.decode(content)
    with pytest.raises(msgspec.DecodeError):
        receipt.decode(content)


def test_a_kept_chunk_stays_below_the_least_record_limit_when_it_is_text() -> None:
    chunk = msgspec.structs.replace(KEPT, content=b"\xff" * CHUNK_BYTES)
    assert len(quarantine.encode(chunk)) < 8 * 1024 * 1024


def test_the_topics_have_names_of_their_own() -> None:
    assert TOPICS == (EVENTS, RECEIPTS, QUARANTINE)
    assert len(set(TOPICS)) == len(TOPICS)
    assert all(topic.startswith("backbone.") for topic in TOPICS)


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6, 8, 12, 24])
def test_the_partitions_divide_evenly_over_processes(processes: int) -> None:
    assert PARTITIONS % processes == 0
