"""The envelope of every event: CloudEvents 1.0 in the structured JSON mode.

An event says: *this source, at this time, stated this fact, and here is the FHIR payload*. It is frozen, and its bytes are
what stands in the log for ever.

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
"""Followed by the event's type: its ``dataschema``. The gateway serves it under ``/schemas/{type}.json``."""

_NAMESPACE = uuid.UUID("6a0c3f0e-3f3e-5c1d-9f43-0d2b6f1f7c11").bytes
"""Namespace of our UUIDv5 names; any fixed UUID would do, and it may never change."""
_NAMED = hashlib.sha1(_NAMESPACE, usedforsecurity=False)
"""Every name begins with it: copied, never changed."""


class Sensitivity(StrEnum):
    """How guarded an event is: codes of HL7 v3 Confidentiality."""

    NORMAL = "N"
    RESTRICTED = "R"
    VERY_RESTRICTED = "V"


_STRICTNESS = tuple(Sensitivity)
"""As they are declared: the least guarded first."""


def strictest(labels: Iterable[Sensitivity]) -> Sensitivity:
    """The most guarded of ``labels``; of none, `Sensitivity.NORMAL`."""
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
    """One CloudEvent. Attribute names are those of the standard and of its registered extensions."""

    id: str
    """UUIDv5 of what was received (see `event_id`): sent again, it is the same."""
    source: str
    """URN of the source: `schemas.source.Source.urn`."""
    type: str
    """A row of the catalogue, for example ``encounter-discharged-1``."""
    subject: str
    """The fact (`schemas.identifiers.FactId`): all versions of one fact share it."""
    time: str
    """When it happened: RFC 3339 in UTC. A day is its first instant in Europe/London."""
    recordedtime: str
    """When the backbone learned it: RFC 3339 in UTC."""
    partitionkey: str
    """The record's key (`schemas.identifiers.RecordKey`): order holds within it."""
    dataschema: str
    datacontenttype: str
    specversion: Literal["1.0"]
    data: msgspec.Raw
    """The payload as JSON: a FHIR R4 Bundle of type ``collection`` whose first entry is the focus."""
    dataclassification: Sensitivity = Sensitivity.NORMAL
    timeprecision: Precision = Precision.SECOND
    """How exactly ``time`` is known. Ours."""
    sequence: str = ""
    """Order among the versions of one fact as the source says it, compared as text. Empty: by ``time``, then arrival."""
    correlationid: str = ""
    """What belongs together at the source: a visit, a referral thread."""
    traceparent: str = ""

    @property
    def order(self) -> str:
        """The version's place among the versions of its fact; of two equal ones the later in the log wins."""
        return self.sequence or self.time


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event as it stands in the log. An optional attribute without a value is left out, as the standard requires."""
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
    """UUIDv5 of what makes an event that event.

    The same input gives the same id however often it is sent; the same fact with other content (a correction, a
    reused control id, a mended mapping) gives another.

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
    """RFC 3339 in UTC, ``Z``, milliseconds: fixed width, so that text order is time order."""
    return _written(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


@lru_cache(maxsize=4096)
def _written(utc: datetime) -> str:
    """Kept: a file's events share their days, and the time they arrived. UTC only: elsewhere two hours of October are equal."""
    return utc.isoformat(timespec="milliseconds")[:23] + "Z"
