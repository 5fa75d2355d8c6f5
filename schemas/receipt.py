"""A receipt: what became of one thing that arrived. Kept in the log, so that every item can be accounted for (promise P10)."""

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


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The account of one arrival: received = accepted + rejected."""

    id: str
    """UUIDv5 of source, content and translation: the same bytes from the same source have the same receipt."""
    source: str
    """The source's id."""
    door: str
    """``mllp``, ``http``, ``folder``, ``cli`` or ``mesh``."""
    received_at: str
    """RFC 3339 in UTC."""
    sha256: str
    """Of the whole content, hexadecimal."""
    size_bytes: int
    received: int = 0
    """Items in it: messages, rows, entries."""
    accepted: int = 0
    """Items that are events in the log now, or that say nothing to record (a blank row, a row no mapping's ``when`` wants)."""
    rejected: int = 0
    """Items kept in quarantine."""
    events: list[str] = []
    """Ids of the events made, in input order. A long arrival's are spread over its parts."""
    refusals: list[Refusal] = []
    flags: list[str] = []
    """What was taken in but deserves a look: ``nhs-number-invalid at PID-3``, ``control-id-reused``."""
    control: str = ""
    """HMAC of the sender's own id of the message (MLLP: MSH-3, MSH-4, MSH-10)."""
    reply: str = ""
    """The ACK's code for a transport that repeats its answer to a repeated message: ``AA``, ``AE``, ``AR``."""
    part: int = 0
    """0 for the account itself; 1, 2, … for the parts of a long arrival, which carry only the next ``events``, ``refusals`` and
    ``flags``. Part 0 has the first of them and the counts, and comes last in the log: its presence vouches for the others."""
    name: str = ""
    """Name of the file, without its folder."""


LISTED = 1000
"""Event ids, refusals and flags in one receipt record; what is more goes into parts. Keeps a record far below 1 MiB."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Receipt)


def encode(receipt: Receipt) -> bytes:
    """The receipt as it stands in the log: what says nothing is left out."""
    return _ENCODER.encode(receipt)


_OWN = ("control", "reply", "part")


def shown(receipt: Receipt) -> dict[str, Any]:
    """The receipt as whoever sent it is given it: every count, and nothing that is the backbone's own business."""
    return {name: getattr(receipt, name) for name in Receipt.__struct_fields__ if name not in _OWN}


def decode(content: bytes) -> Receipt:
    """The receipt in ``content``. Raises ``msgspec.ValidationError``."""
    return _DECODER.decode(content)
