"""Reads the MSH segment without parsing the message: who sent it, and what the answer must repeat.

Source: HL7 v2.4 §2.16.9 (MSH).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

HEAD_BYTES = 4096
"""Bytes that are read of a message: MSH is its first segment, and its 21 fields are short."""
DELIMITERS = "^~\\&"
"""The encoding characters of the standard, used when the sender's cannot be read."""
_BEFORE = b"\x0b\xef\xbb\xbf \t\r\n"
_NONE = [""] * 24


class Header(NamedTuple):
    """MSH as it was sent; a part that is missing or cannot be read is ``""``.

    Each byte is one character (ISO 8859-1), so that the answer repeats the same bytes, whatever their character set.
    """

    sending_application: str = ""
    """MSH-3, first component. A source's ``match`` setting is compared with it."""
    sending_facility: str = ""
    """MSH-4, first component."""
    control_id: str = ""
    """MSH-10, exactly as sent."""
    kind: str = ""
    """MSH-9, first component: ``ADT``."""
    trigger: str = ""
    """MSH-9, second component: ``A01``."""
    version: str = ""
    """MSH-12, first component: ``2.4``."""
    fields: tuple[str, ...] = ()
    """MSH as sent, field *n* at index *n*; padded with at least 24 empty fields; empty when there is no MSH."""
    component: str = DELIMITERS[0]


def header(raw: bytes) -> Header:
    """The header of ``raw``, as far as it can be read. Never raises, and takes no longer for a longer message."""
    head = raw[:HEAD_BYTES].lstrip(_BEFORE)
    return _header(head.replace(b"\n", b"\r").partition(b"\r")[0].decode("latin-1"))


@lru_cache(maxsize=512)
def _header(line: str) -> Header:
    """Cached because it is needed twice: to find the source when the message arrives, and to answer it at the end."""
    separator = line[3:4]
    if line[:3] != "MSH" or not separates(separator):
        return Header()
    sent = line.rstrip(" ").split(separator)
    fields = ["MSH", separator, *sent[1:], *_NONE]
    component = fields[2][:1]
    if not separates(component) or component == separator:
        component = DELIMITERS[0]
    kind, _, rest = fields[9].partition(component)
    return Header(
        sending_application=_first(fields[3], component),
        sending_facility=_first(fields[4], component),
        control_id=fields[10],
        kind=kind.strip(),
        trigger=_first(rest, component),
        version=_first(fields[12], component),
        fields=tuple(fields),
        component=component,
    )


@lru_cache(maxsize=64)
def separates(characters: str) -> bool:
    """Whether each of ``characters`` can be a delimiter: printable ASCII other than blanks, letters and digits."""
    return bool(characters) and all("!" <= one <= "~" and not one.isalnum() for one in characters)


def _first(field: str, component: str) -> str:
    return field.partition(component)[0].strip()
