"""Canaries through everything: a name, a number and a postcode appear nowhere but where they were asked for (P12)."""

from __future__ import annotations

import asyncio

import pytest

from adapters.eventlog.connect import connect
from schemas.log import TOPICS
from tests.journeys.harness import PARTITIONS, SAMPLES, Backbone, hospital_messages
from tests.patience import eventually

CANARIES = (b"Ellis-Whitmore", b"9990000018", b"NF4 2QZ", b"NF204417", b"19410309", b"1941-03-09")

BAD_INPUT = {
    "a message without a patient": hospital_messages()[0].replace(b"\rPID|", b"\rZID|"),
    "a trigger nobody knows": hospital_messages()[0].replace(b"ADT^A01^ADT_A01", b"ADT^A77^ADT_A77"),
    "an impossible date of birth": hospital_messages()[0].replace(b"|19410309|", b"|19411399|"),
    "a wrong NHS number": hospital_messages()[0].replace(b"9990000018", b"9990000019"),
    "rubbish": b"Ellis-Whitmore 9990000018 NF4 2QZ",
    "half a message": hospital_messages()[0][:300],
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_a_refusal_names_fields_never_their_content(embedded: Backbone, kind: str) -> None:
    backbone = embedded
    media_type = {"Content-Type": "application/hl7-v2"}
    answer = backbone.http.post("/intake/northfield-pas", content=BAD_INPUT[kind], headers=media_type)
    assert answer.status_code in (200, 207, 422)
    assert [canary for canary in CANARIES if canary in answer.content] == []
    [reply] = backbone.mllp(BAD_INPUT[kind].replace(b"NF00000001", b"NF00000077")) or [b""]
    assert [canary for canary in CANARIES if canary in reply] == []


def test_nothing_personal_in_logs_metrics_keys_or_listings(backbone: Backbone) -> None:
    backbone.mllp(*hospital_messages(), *BAD_INPUT.values())
    for name, source, kind in (
        ("riverside-services.csv", "riverside-adult-care", "text/csv"),
        ("willow-contacts.csv", "willow-contacts", "text/csv"),
    ):
        sheet = (SAMPLES / name).read_bytes()
        backbone.http.post(f"/intake/{source}", content=sheet, headers={"Content-Type": kind})
        backbone.http.post(f"/intake/{source}", content=sheet.replace(b",", b";", 3), headers={"Content-Type": kind})
    eventually(lambda: len(backbone.timeline()) >= 6)
    backbone.http.get("/people/Ellis-Whitmore/timeline", params={"since": "1941-03-09"})
    texts = {
        "metrics": backbone.http.get("/metrics").content,
        "readiness": backbone.http.get("/health/ready").content,
        "quarantine": backbone.http.get("/quarantine").content,
        "log file": backbone.output.encode(),
        "doctor": backbone.run("doctor").stdout.encode(),
        "quarantine list": backbone.run("quarantine", "list").stdout.encode(),
    }
    found = {(where, canary) for where, text in texts.items() for canary in CANARIES if canary in text}
    assert found == set()


async def _keys(url: str) -> list[bytes]:
    log = await connect(url, partitions=PARTITIONS)
    try:
        return [
            record.key.encode()
            for topic in TOPICS
            for partition, end in (await log.ends(topic)).items()
            if end
            for record in await log.read(topic, partition, 0, 1000)
        ]
    finally:
        await log.close()


def test_keys_of_the_log_are_opaque(backbone: Backbone) -> None:
    backbone.mllp(*hospital_messages())
    eventually(lambda: len(backbone.timeline()) >= 4)
    assert backbone.end() == 0
    keys = asyncio.run(_keys(backbone.log_url))
    assert len(keys) >= 8
    assert [key for key in keys for canary in CANARIES if canary in key] == []
