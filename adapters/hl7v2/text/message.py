"""Parses one HL7 v2 message into segments, which are split into fields only when they are read, and writes it back unchanged.

Source: HL7 v2.4 §2.5 (message construction rules), §2.5.1 (segments), §2.5.4 (delimiters).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import chain

from adapters.hl7v2.text.charset import read
from adapters.hl7v2.text.syntax import NULL, Syntax, syntax
from schemas.errors import Unreadable

FIELDS = 60
"""A split segment is padded to this many fields (PV1 has 52), so that no read need check the length."""
_PADDING = [""] * FIELDS
_BEFORE = "\x0b\ufeff \t\r\n"
"""Characters allowed before MSH: the start of an MLLP frame, a byte order mark, blanks, line ends."""
_AFTER = "\x1c \t"
"""Characters allowed after the end of the last segment: the end of an MLLP frame, blanks."""
_PRINTABLE = bytes(range(32, 127)) + b"\r"
"""The bytes of an ASCII message without control characters other than segment ends."""
_ENDS = re.compile("\r\n|\r|\n")
_CR_ENDS = re.compile("\r\n|\r")


class Segment:
    """One segment. ``fields[n]`` is field *n* as sent, also of MSH, whose field 1 is the separator itself."""

    __slots__ = ("fields", "syntax")

    def __init__(self, line: str, of: Syntax) -> None:
        fields = (line.rstrip(" ") if line[-1:] == " " else line).split(of.field)
        if fields[0] == "MSH":
            fields.insert(1, of.field)
        fields += _PADDING[len(fields) :]
        self.fields = fields
        self.syntax = of

    def __bool__(self) -> bool:
        """Whether the message has this segment."""
        return self.fields[0] != ""

    def text(self, field: int, component: int = 1) -> str:
        """The text of a component of the first repetition; ``""`` if it was omitted or deleted."""
        sent = self.fields[field]
        if not sent:
            return ""
        if component == 1:
            return self.syntax.first(sent)
        parts = self.syntax.components(sent.partition(self.syntax.repetition)[0])
        return self.syntax.text(parts[component - 1]) if len(parts) >= component else ""

    def repetitions(self, field: int) -> list[str]:
        """The repetitions of a field as sent; none if it was omitted or deleted."""
        sent = self.fields[field]
        return [] if not sent or sent == NULL else self.syntax.repetitions(sent)

    def deleted(self, field: int) -> bool:
        """Whether the sender deletes the field: it holds ``""`` and nothing else."""
        return self.fields[field].strip() == NULL


_ABSENT = Segment("", syntax("|", "^~\\&", "utf-8"))
"""Stands for a segment that a message does not have: it is false, and all its fields are empty."""


class Message:
    """One message. ``lines`` are its segments as sent, ``ends`` the line ends after each."""

    __slots__ = ("_first", "_names", "_seen", "before", "encoding", "ends", "flags", "lines", "raw", "syntax")

    def __init__(self, raw: bytes, encoding: str, before: str, lines: list[str], ends: list[str], of: Syntax) -> None:
        self.raw = raw
        self.encoding = encoding
        self.before = before
        self.lines = lines
        self.ends = ends
        self.syntax = of
        self.flags: tuple[str, ...] = ()
        self._seen: dict[str, Segment] = {}
        self._names = [line[:3] for line in lines]
        self._first = dict(zip(reversed(self._names), range(len(lines) - 1, -1, -1), strict=True))
        """Segment name to the index of the first such segment in ``lines``."""

    def segment(self, name: str) -> Segment:
        """The first segment of that name, or an empty one, which is false."""
        seen = self._seen.get(name)
        if seen is None:
            place = self._first.get(name)
            seen = self._seen[name] = _ABSENT if place is None else Segment(self.lines[place], self.syntax)
        return seen

    def segments(self, name: str) -> list[Segment]:
        """All segments of that name, in order."""
        return list(self.in_order(name)) if name in self._names else []

    def lines_of(self, names: Container[str]) -> list[str]:
        """The segments of these names as sent, in order."""
        return [line for name, line in zip(self._names, self.lines, strict=True) if name in names]

    def alone(self, name: str) -> bool:
        """Whether the message has exactly one segment of that name."""
        return self._names.count(name) == 1

    def repeats(self, name: str) -> bool:
        """Whether there is a second segment of that name."""
        return self._names.count(name) > 1

    def in_order(self, *names: str) -> Iterator[Segment]:
        """The segments of these names, in the order of the message."""
        for name, line in zip(self._names, self.lines, strict=True):
            if name in names:
                yield Segment(line, self.syntax)


def parse(raw: bytes) -> Message:
    """The message in ``raw``.

    Segments end with CR, as the standard says, or with LF or CRLF, as in files. If they end with CR, a lone LF is part of the
    text. ``flags`` lists what was odd but readable.

    Raises `Unreadable`, naming the position but no content, when it does not begin with MSH and delimiters.
    """
    reading = read(raw)
    text = reading.text.lstrip(_BEFORE)
    before = reading.text[: len(reading.text) - len(text)]
    if text[:3] != "MSH" or len(text) < 8:
        raise Unreadable("an HL7 v2 message begins with MSH and its delimiters", where="MSH" if text else "the empty content")
    lines, ends = _lines(text)
    declared = lines[0][4:].partition(text[3])[0]
    of = syntax(text[3], declared.rstrip(" "), reading.encoding, _is_plain(raw, text, lines, declared[2:3]))
    message = Message(raw, reading.encoding, before, lines, ends, of)
    if reading.flag:
        message.flags = (reading.flag,)
    if lines[-1].strip(_AFTER):
        message.flags = (*message.flags, f"end-missing at {lines[-1][:3]}")
    return message


def _is_plain(raw: bytes, text: str, lines: list[str], escape: str) -> bool:
    """Whether the message has no escapes, ``""`` or control characters. Checked once here instead of in every field."""
    if NULL in text or (escape and text.count(escape) != 1):
        return False
    return not raw.translate(None, _PRINTABLE) if raw.isascii() else "".join(lines).isprintable()


def write(message: Message) -> bytes:
    """The bytes of ``message``: as received, except where its ``lines`` were changed."""
    text = message.before + "".join(chain.from_iterable(zip(message.lines, message.ends, strict=True)))
    return text.encode(message.encoding)


def _lines(text: str) -> tuple[list[str], list[str]]:
    """The segments, and the line end after each; that of the last is empty."""
    if "\n" not in text:
        lines = text.split("\r")
        return lines, ["\r"] * (len(lines) - 1) + [""]
    first = _ENDS.search(text)
    pattern = _ENDS if first is None or first[0] == "\n" else _CR_ENDS
    return pattern.split(text), [*pattern.findall(text), ""]
