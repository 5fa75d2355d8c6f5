"""What was rejected, kept whole: the records of the quarantine topic (promise P4), and how they are listed."""

from __future__ import annotations

from typing import Literal

import msgspec

CHUNK_BYTES = 4 * 1024 * 1024
"""Content per log record. A rejected file of any size is kept in numbered parts, each well below the log's record limit."""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """The description of something that was not understood."""

    id: str
    """UUIDv5 of source, content hash and position, so that the same rejection kept twice is one item."""
    source: str
    door: str
    media_type: str
    code: str
    reason: str
    """A sentence with the cure; names fields and positions, never their content."""
    position: str
    """Where in the arrival it stood: ``message``, ``line 12``."""
    receipt: str
    received_at: str
    """First seen: RFC 3339 in UTC."""
    name: str = ""
    """Name of the file, without its folder."""


class KeptPart(Described, frozen=True, kw_only=True, tag="kept"):
    """One part of a rejected item. Part 0 comes last, so its presence vouches for the others."""

    part: int
    """From ``parts - 1`` down to 0."""
    parts: int
    content: bytes
    """The raw bytes (base64 in JSON), enough by themselves to be translated again: a rejected row carries its header row."""


class Tried(msgspec.Struct, frozen=True, kw_only=True, tag="tried"):
    """The outcome of sending a kept item through again."""

    id: str
    at: str
    """RFC 3339 in UTC."""
    accepted: bool
    receipt: str
    code: str = ""
    reason: str = ""


class QuarantineSummary(Described, frozen=True, kw_only=True):
    """An item as listed: without its content, but with how often it has been sent through again."""

    parts: int
    """How many log records hold its content."""
    status: Literal["open", "taken-in"]
    tries: int
    last_try: str | None
    """RFC 3339 in UTC."""


QuarantineRecord = KeptPart | Tried
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[QuarantineRecord] = msgspec.json.Decoder(QuarantineRecord)


def encode(record: QuarantineRecord) -> bytes:
    """The record as it stands in the log."""
    return _ENCODER.encode(record)


def decode(content: bytes) -> QuarantineRecord:
    """The record in ``content``. Raises ``msgspec.ValidationError``."""
    return _DECODER.decode(content)
