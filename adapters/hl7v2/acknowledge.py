"""Builds the answer to a message: an ACK in original mode, which contains no personal data.

Source: HL7 v2.4 §2.9.2 (original mode), §2.16.8 (MSA), §2.16.5 (ERR), table 0008 (AA, AE, AR), table 0357 (error codes);
HSCIC ITK HL7 V2: MSH-15 and MSH-16 are not supported, so the answer is always in original mode.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from adapters.hl7v2.text.header import DELIMITERS, Header, header, separates
from adapters.hl7v2.text.times import LONDON
from schemas.errors import (
    InvalidValue,
    MissingIdentifier,
    TooLarge,
    UnknownSender,
    Unreadable,
    Unsupported,
    WrongCertificate,
)

ACCEPT = "AA"
"""The message is accepted. Answered only after it has been stored durably (promise P1)."""
ERROR = "AE"
"""The content is wrong, so sending it again unchanged is of no use. The message is kept."""
REJECT = "AR"
"""Messages of this type, version or sender are not accepted."""

CONDITIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Unreadable.code: ("100", "Segment sequence error"),
        MissingIdentifier.code: ("101", "Required field missing"),
        InvalidValue.code: ("102", "Data type error"),
        TooLarge.code: ("102", "Data type error"),
        Unsupported.code: ("201", "Unsupported event code"),
        UnknownSender.code: ("103", "Table value not found"),
        WrongCertificate.code: ("103", "Table value not found"),
    }
)
"""Our error code to code and text of table 0357; any other is an internal error. A sender is a value of table 0361 (MSH-3)."""
_UNSUPPORTED_TYPE = ("200", "Unsupported message type")
"""When the first component of MSH-9 is not supported: ORU, SIU, MDM."""
_INTERNAL = ("207", "Application internal error")

_TEXT_MOST = 80
"""Length of MSA-3 in HL7 v2.4."""
_MORE = "..."
_CONTROL_LENGTH = 20
"""Length of MSH-10."""
_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})(?:-(\d{1,3})(?:\.(\d{1,2}))?)?", re.ASCII)
"""How our errors name a position: ``PID``, ``PID-3``, ``MSH-9.2``."""
_FULL_TYPE_SINCE = (2, 4)
"""From this version on, MSH-9 of an ACK includes the trigger and the structure: ``ACK^A01^ACK``."""
_ERR_FIELDS_SINCE = (2, 5)
"""From this version on, ERR has separate fields for the location and the reason."""
_PAST_MSH_18 = 19


class AckFault(Protocol):
    """What an ERR segment says of a message: an error of ours, or a refusal in a receipt."""

    @property
    def code(self) -> str:
        """Of the error tree."""
        ...

    @property
    def where(self) -> str:
        """A position in the message, or empty."""
        ...


def acknowledge(raw: bytes, code: str, text: str = "", fault: AckFault | None = None, at: datetime | None = None) -> bytes:
    """The ACK of the message ``raw``: ``code`` is `ACCEPT`, `ERROR` or `REJECT`.

    Never fails: a message without a readable MSH is answered with the standard's delimiters and without a receiver. With
    ``fault``, an ERR segment says where and, in ``text``, why. The same arguments give the same bytes, the ACK's own control id
    included. ``at`` (aware) is the time of the answer, MSH-7, which is empty without it.
    """
    sent = header(raw)
    separator, delimiters = _delimiters(sent)
    if sent.fields and (separator, delimiters) != (sent.fields[1], sent.fields[2]):
        sent = _rewritten(sent, separator, delimiters)
    segments = [
        _msh(sent, separator, delimiters, raw, code, at),
        ["MSA", code, sent.control_id, _short(text, separator, delimiters)],
    ]
    if fault is not None:
        segments.append(_err(fault, text, sent, separator, delimiters))
    return "".join(separator.join(segment).rstrip(separator) + "\r" for segment in segments).encode("latin-1")


def _delimiters(sent: Header) -> tuple[str, str]:
    """The separator and encoding characters of the sender if they are usable, else those of the standard."""
    if not sent.fields:
        return "|", DELIMITERS
    separator, delimiters = sent.fields[1], sent.fields[2]
    distinct = len({separator, *delimiters}) == len(delimiters) + 1
    return (separator, delimiters) if 4 <= len(delimiters) <= 5 and distinct and separates(delimiters) else ("|", DELIMITERS)


def _rewritten(sent: Header, separator: str, delimiters: str) -> Header:
    """The header with its fields escaped for other delimiters than it was sent with."""
    fields = tuple(_escaped(field, separator, delimiters) for field in sent.fields)
    return sent._replace(fields=fields, control_id=fields[10], trigger=_escaped(sent.trigger, separator, delimiters))


def _msh(sent: Header, separator: str, delimiters: str, raw: bytes, code: str, at: datetime | None) -> list[str]:
    """Swaps sender and receiver; MSH-11, MSH-12 and MSH-18 are copied from the message."""
    fields = sent.fields or ("",) * (_PAST_MSH_18 + 1)
    version = fields[12] or "2.4"
    component = delimiters[0]
    full = f"ACK{component}{sent.trigger}{component}ACK" if sent.trigger else "ACK"
    return [
        "MSH",
        delimiters,
        fields[5],
        fields[6],
        fields[3],
        fields[4],
        _moment(at.replace(microsecond=0)) if at else "",
        "",
        full if _version(sent.version[:_VERSION_MOST]) >= _FULL_TYPE_SINCE else "ACK",
        _control(raw, code),
        fields[11] or "P",
        version,
        *[""] * 5,
        fields[18],
    ]


@lru_cache(maxsize=64)
def _moment(at: datetime) -> str:
    """MSH-7, to the second. Cached: answers of one second share it, and formatting it costs as much as the rest of an ACK."""
    return at.astimezone(LONDON).strftime("%Y%m%d%H%M%S%z")


_VERSION_MOST = 10
"""Characters of a version that are looked at (``2.3.1`` has five), so that the cache holds no long text."""


@lru_cache(maxsize=64)
def _version(text: str) -> tuple[int, ...]:
    """``2.3.1`` as (2, 3, 1). Text that is not a version counts as 2.4, the version the NHS uses."""
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else _FULL_TYPE_SINCE


def _control(raw: bytes, code: str) -> str:
    """The ACK's control id. It depends only on the message and the code, so that a repeated answer has the same bytes."""
    digest = hashlib.sha256(code.encode("ascii", "replace") + b"/" + raw)
    return digest.hexdigest()[:_CONTROL_LENGTH].upper()


def _err(fault: AckFault, text: str, sent: Header, separator: str, delimiters: str) -> list[str]:
    """Up to v2.4 only ERR-1; from v2.5 location (ERR-2), error code (ERR-3), severity (ERR-4), user message (ERR-8)."""
    of_type = (fault.code, fault.where) == (Unsupported.code, "MSH-9.1")
    number, words = _UNSUPPORTED_TYPE if of_type else CONDITIONS.get(fault.code, _INTERNAL)
    component, sub = delimiters[0], delimiters[3]
    where = _WHERE.fullmatch(fault.where)
    location = [where[1], "1", where[2] or ""] if where else []
    if _version(sent.version[:_VERSION_MOST]) < _ERR_FIELDS_SINCE:
        location = location or ["", "", ""]
        return ["ERR", component.join([*location, sub.join([number, words, "HL70357"])])]
    if where and where[3]:
        location += ["1", where[3]]
    return [
        "ERR",
        "",
        component.join(location).rstrip(component),
        component.join([number, words, "HL70357"]),
        "E",
        "",
        "",
        "",
        _escaped(text, separator, delimiters),
    ]


def _short(text: str, separator: str, delimiters: str) -> str:
    """``text`` cut to the length of MSA-3: all of it, else its first sentences, else its first words and three dots."""
    whole = _escaped(text, separator, delimiters)
    if len(whole) <= _TEXT_MOST:
        return whole
    sentences = whole[: _TEXT_MOST + 1].rpartition(". ")[0]
    if sentences:
        return f"{sentences}."
    return whole[: _TEXT_MOST - len(_MORE) + 1].rpartition(" ")[0] + _MORE


def _escaped(text: str, separator: str, delimiters: str) -> str:
    """``text`` as a field's value: escaped, on one line, and in ASCII, because MSH-18 states the sender's character set."""
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    component, repetition, escape, sub = tuple(delimiters[:4])
    names = {escape: "E", separator: "F", component: "S", sub: "T", repetition: "R"}
    return "".join(f"{escape}{names[one]}{escape}" if one in names else one for one in plain)
