"""The envelope of every event: CloudEvents 1.0 in the structured JSON mode.

An event says: *this source stated this fact, it happened at this time, and here is the FHIR payload*. It is frozen, and its
bytes stay in the log for ever.

Source: CloudEvents 1.0.2 §3 (attributes), §3.1 (extension names: lower-case letters and digits), JSON format §3.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal

import msgspec
import orjson

CONTENT_TYPE = "application/cloudevents+json"
"""Media type of one structured event, on Kafka and over HTTP."""
PAYLOAD_TYPE = "application/fhir+json"
SCHEMA_URN = "urn:care-backbone:schema:"
"""Prefix of ``dataschema``; the event's type follows. The gateway serves the schema under ``/schemas/{type}.json``."""

_NAMESPACE = uuid.UUID("6a0c3f0e-3f3e-5c1d-9f43-0d2b6f1f7c11").bytes
"""Namespace of our UUIDv5 names. Any fixed UUID would do, but it must never change."""
_NAMED = hashlib.sha1(_NAMESPACE, usedforsecurity=False)
"""The hash state that every name begins with; copied for each name, never changed."""


class Sensitivity(StrEnum):
    """How guarded an event is: codes of HL7 v3 Confidentiality."""

    NORMAL = "N"
    RESTRICTED = "R"
    VERY_RESTRICTED = "V"


_STRICTNESS = tuple(Sensitivity)
"""Position in order of declaration: the least guarded first."""


def strictest(labels: Iterable[Sensitivity]) -> Sensitivity:
    """The most guarded of ``labels``; `Sensitivity.NORMAL` when there are none."""
    return max(labels, key=_STRICTNESS.index, default=Sensitivity.NORMAL)


def stricter(one: Sensitivity, other: Sensitivity) -> Sensitivity:
    """The more guarded of two."""
    return one if one is other else strictest((one, other))


class Precision(StrEnum):
    """How exactly a time is known: a day stays a day."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    MINUTE = "minute"
    SECOND = "second"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One CloudEvent. Attributes are named as in the standard and its registered extensions."""

    id: str
    """UUIDv5 of what was received (see `event_id`), so the same content sent again has the same id."""
    source: str
    """URN of the source: `schemas.source.Source.urn`."""
    type: str
    """A row of the catalogue, for example ``encounter-discharged-1``."""
    subject: str
    """The fact (`schemas.identifiers.FactId`): all versions of one fact share it."""
    time: str
    """When it happened: RFC 3339 in UTC. A day is written as its first instant in Europe/London."""
    recordedtime: str
    """When the backbone learned it: RFC 3339 in UTC."""
    partitionkey: str
    """The record's key (`schemas.identifiers.RecordKey`): order holds within it."""
    dataschema: str
    datacontenttype: str
    specversion: Literal["1.0"]
    data: msgspec.Raw
    """The payload as JSON: a FHIR R4 Bundle of type ``collection`` whose first entry is the focus."""
    dataclassification: Sensitivity = msgspec.field(default_factory=lambda: Sensitivity.NORMAL)
    """Always written, also when nothing is guarded: a reader need not know what its absence means. Absent in older logs: N."""
    timeprecision: Precision = Precision.SECOND
    """How exactly ``time`` is known. Our own extension."""
    sequence: str = ""
    """The source's own order among the versions of one fact, compared as text. When empty they are ordered by ``time``, then
    by arrival."""
    correlationid: str = ""
    """Joins what belongs together at the source: a visit, a referral thread."""
    traceparent: str = ""

    @property
    def order(self) -> str:
        """The event's place among the versions of its fact; between equals the later in the log wins."""
        return self.sequence or self.time


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event's bytes in the log. Optional attributes without a value are left out, as the standard requires."""
    return _ENCODER.encode(event)


def decode(content: bytes) -> Event:
    """The event in ``content``.

    Raises ``msgspec.ValidationError`` when an attribute is missing or of the wrong type; the message names it.
    """
    return _DECODER.decode(content)


def payload(event: Event) -> dict[str, Any]:
    """The event's FHIR Bundle."""
    bundle: dict[str, Any] = orjson.loads(bytes(event.data))
    return bundle


def event_id(source: str, fact: str, part: str, content_hash: bytes, translation: str) -> str:
    """UUIDv5 of everything that tells one event from another.

    The same input gives the same id however often it is sent. The same fact with different content (a correction, a reused
    control id, a mended mapping) gives a different id.

    Source: RFC 9562 §5.5 (name-based UUID with SHA-1).
    """
    hashed = _NAMED.copy()
    hashed.update(f"{source}\x1f{fact}\x1f{part}\x1f{translation}\x1f".encode() + content_hash)
    digest = bytearray(hashed.digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z`` and milliseconds: of fixed width, so that the order of texts is the order of times."""
    return _written(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


@lru_cache(maxsize=4096)
def _written(utc: datetime) -> str:
    """Cached, because the events of a file share their days and their time of arrival. For UTC only: in London's time two
    hours of October compare equal."""
    return utc.isoformat(timespec="milliseconds")[:23] + "Z"
