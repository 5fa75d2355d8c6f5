"""Small events for tests of the consumers: a hospital, a council and a charity that state things about invented people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec
import orjson

from schemas.catalogue import CATALOGUE
from schemas.event import PAYLOAD_TYPE, SCHEMA_URN, Event, Precision, Sensitivity, encode, event_id, instant
from schemas.fhir.bundle import Resource, collection, patient_reference
from schemas.identifiers import LocalId, NhsNumber, RecordKey
from schemas.log import EVENTS, Record
from schemas.pseudonyms import Pseudonyms
from schemas.resources.person import local_identifier, merged_from, nhs_number_identifier
from schemas.source import Sector, Source

PSEUDONYMS = Pseudonyms(b"a secret that is only used in tests, and long enough")
HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS, organisation="RX1")
COUNCIL = Source(id="riverside-adult-care", name="Riverside Council, adult social care", sector=Sector.COUNCIL)
CHARITY = Source(id="willow-contacts", name="Willow Befriending", sector=Sector.VOLUNTARY)
SOURCES = {source.id: source for source in (HOSPITAL, COUNCIL, CHARITY)}
ANN, BOB = NhsNumber("9990000018"), NhsNumber("9990000026")
"""NHS numbers of the test range."""
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
PARTITIONS = 4


def at(minutes: float) -> str:
    """So many minutes after `START`, as events write it."""
    return instant(START + timedelta(minutes=minutes))


def record_key(source: Source, local_id: str) -> RecordKey:
    """Key of the record that ``source`` knows by ``local_id``."""
    return PSEUDONYMS.record(source.id, LocalId(local_id))


def patient(source: Source, local_id: str, number: NhsNumber | None = None, status: str = "01", **elements: Any) -> Resource:
    """What ``source`` says of the person it knows by ``local_id``."""
    identifiers = [local_identifier(source, LocalId(local_id))]
    if number:
        identifiers.append(nhs_number_identifier(number, status, source))
    return {"resourceType": "Patient", "identifier": identifiers, **elements}


def stay(ward: str = "Kingsmill Ward", **elements: Any) -> Resource:
    """An Encounter on a ward."""
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "location": [{"location": {"display": ward}}],
        "serviceProvider": {"display": HOSPITAL.name},
        **elements,
    }


def said(  # every part of an event may matter to some test
    type_name: str,
    fact: str,
    minutes: float = 0,
    *,
    source: Source = HOSPITAL,
    local_id: str = "A1",
    number: NhsNumber | None = None,
    focus: Resource | None = None,
    who: Resource | None = None,
    sequence: str = "",
    learned: float | None = None,
    thread: str = "",
    precision: Precision = Precision.SECOND,
    sensitivity: Sensitivity = Sensitivity.NORMAL,
    others: tuple[Resource, ...] = (),
    nonce: str = "",
) -> Event:
    """One event. Its id is a function of all it says; ``nonce`` makes another of the same (a resend under a new control id)."""
    record = record_key(source, local_id)
    person = who or patient(source, local_id, number)
    named = PSEUDONYMS.fact(source.id, fact)
    about = person if CATALOGUE[type_name].focus == "Patient" or focus is None else focus
    bundle = orjson.dumps(collection(about, named, person, record, others))
    known = at(minutes if learned is None else learned)
    content = hashlib.sha256(bundle + f"{type_name} {minutes} {sequence} {nonce} {sensitivity}".encode()).digest()
    return Event(
        id=event_id(source.id, named, type_name, content, "test"),
        source=source.urn,
        specversion="1.0",
        type=type_name,
        subject=named,
        time=at(minutes),
        recordedtime=known,
        partitionkey=record,
        dataschema=SCHEMA_URN + type_name,
        datacontenttype=PAYLOAD_TYPE,
        data=msgspec.Raw(bundle),
        dataclassification=sensitivity,
        timeprecision=precision,
        sequence=sequence,
        correlationid=PSEUDONYMS.conversation(source.id, thread) if thread else "",
    )


def merged(minutes: float, survivor: str, old: str, source: Source = HOSPITAL, fact: str = "") -> Event:
    """A statement that the record ``survivor`` replaces the record ``old``."""
    link = [merged_from(local_identifier(source, LocalId(old)))]
    who = patient(source, survivor, link=link)
    return said("records-merged-1", fact or f"merge {survivor} {old}", minutes, source=source, local_id=survivor, who=who)


def logged(events: Iterable[Event], partitions: int = PARTITIONS) -> list[Record]:
    """The events as the log gives them when they were appended in this order."""
    ends = [0] * partitions
    records = []
    for event in events:
        partition = crc32(event.partitionkey.encode()) % partitions
        records.append(Record(EVENTS, partition, ends[partition], event.partitionkey, encode(event), START.timestamp()))
        ends[partition] += 1
    return records


def with_reference(focus: Resource, record: RecordKey) -> Resource:
    """``focus`` about the Patient of ``record``."""
    return focus | {"subject": patient_reference(record)}


def interleaved(records: Sequence[Record], order: Sequence[int]) -> list[Record]:
    """The records with their partitions mixed anew: ``order`` picks whose turn it is. Each partition keeps its own order."""
    queues = {record.partition: [one for one in records if one.partition == record.partition] for record in records}
    mixed: list[Record] = []
    for pick in order:
        waiting = [queue for queue in queues.values() if queue]
        if not waiting:
            break
        mixed.append(waiting[pick % len(waiting)].pop(0))
    for queue in queues.values():
        mixed.extend(queue)
    return mixed
