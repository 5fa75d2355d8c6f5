"""A receipt: what became of one arrival. It is kept in the log, so that every item can be accounted for (promise P10)."""

from __future__ import annotations

from typing import Any

import msgspec


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One part of what arrived that was rejected and kept."""

    position: str
    """Where in the input: ``message``, ``line 12``, ``entry 3``."""
    code: str
    """Of the error tree: `schemas.errors`."""
    reason: str
    """A sentence with the cure; names fields and positions, never their content."""
    quarantine: str
    """Id under which it is kept: ``GET /quarantine/{id}``."""
    where: str = ""
    """The field it is about, as ``PID-3``, where one is: ``reason`` has it in words. Empty in receipts of older logs."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account of one arrival: received = accepted + rejected."""

    id: str
    """UUIDv5 of source, content and translation, so that the same bytes from the same source have the same receipt."""
    source: str
    """The source's id."""
    door: str
    """``mllp``, ``http``, ``folder``, ``cli`` or ``mesh``."""
    received_at: str
    """RFC 3339 in UTC."""
    sha256: str
    """SHA-256 of the whole content, in hexadecimal."""
    size_bytes: int
    received: int = 0
    """How many items it held: messages, rows, entries."""
    accepted: int = 0
    """Items that are now events in the log, or that had nothing to record (a blank row, a row that no ``when`` of the mapping
    matches)."""
    rejected: int = 0
    """Items kept in quarantine."""
    events: list[str] = []
    """Ids of the events made, in input order. Those of a long arrival are spread over its parts."""
    refusals: list[Refusal] = []
    flags: list[str] = []
    """What was taken in but deserves a look: ``nhs-number-invalid at PID-3``, ``control-id-reused``,
    ``event-id-reused at event 3, id``."""
    control: str = ""
    """HMAC of the sender's own id of the message (MLLP: MSH-3, MSH-4, MSH-10)."""
    controls: dict[str, str] = {}
    """Of events that came under ids of their sender's own: HMAC of that id to the id of the event."""
    part: int = 0
    """0 for the account itself; 1, 2, … for the further parts of a long arrival, which carry only more ``events``,
    ``controls``, ``refusals`` and ``flags``. Part 0 has the first of those and all the counts. It comes last in the log, so
    its presence vouches for the others."""
    name: str = ""
    """Name of the file, without its folder."""


LISTED = 1000
"""Most event ids, refusals and flags in one receipt record; the rest go into further parts. Keeps a record far below 1 MiB."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Receipt)


def encode(receipt: Receipt) -> bytes:
    """The receipt's bytes in the log; empty fields are left out."""
    return _ENCODER.encode(receipt)


_OWN = ("control", "controls", "part")


def shown(receipt: Receipt) -> dict[str, Any]:
    """The receipt as the sender sees it: every count, and nothing that is the backbone's own business."""
    return {name: getattr(receipt, name) for name in Receipt.__struct_fields__ if name not in _OWN}


def decode(content: bytes) -> Receipt:
    """The receipt in ``content``. Raises ``msgspec.ValidationError``."""
    return _DECODER.decode(content)
