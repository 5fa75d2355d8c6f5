"""Lists the fields of a message, each with the message without it: a dry run leaves a field out to see what it is used for.

Source: HL7 v2.4 §2.5 (segments, fields, components, repetitions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from adapters.hl7v2.text.message import Message, write
from adapters.hl7v2.text.syntax import Syntax
from adapters.translator import Field

_FIRST_OF_MSH = 3
"""MSH-1 and MSH-2 are the delimiters: without them there is no message."""


class _Part(NamedTuple):
    """A field, or a part of one."""

    name: str
    value: str
    """As sent."""
    with_value: Callable[[str], str]
    """Returns the field with the given text in place of this part."""


def fields_of(message: Message) -> Iterator[Field]:
    """Every non-empty field, each followed by its repetitions (``PID-3[2]``) and components (``PID-5.1``, ``PID-3[2].4``)."""
    seen: dict[str, int] = {}
    for place, line in enumerate(message.lines):
        sent = line.split(message.syntax.field)
        segment = sent[0].strip()
        if not segment.isalnum():
            continue
        seen[segment] = seen.get(segment, 0) + 1
        name = segment if seen[segment] == 1 else f"{segment}[{seen[segment]}]"
        shift = 1 if segment == "MSH" else 0
        for number in range(_FIRST_OF_MSH - 1 if shift else 1, len(sent)):
            for part in _parts(f"{name}-{number + shift}", sent[number], message.syntax):
                with_value = partial(_with_value, message, place, number, part)
                yield Field(part.name, with_value(""), part.value, with_value)


def _parts(name: str, field: str, syntax: Syntax) -> Iterator[_Part]:
    if not field.strip():
        return
    yield _Part(name, field, str)
    repetitions = field.split(syntax.repetition)
    for place, repetition in enumerate(repetitions):
        of = name if len(repetitions) == 1 else f"{name}[{place + 1}]"
        among = partial(_replaced, repetitions, place, syntax.repetition)
        if of != name and repetition:
            yield _Part(of, repetition, among)
        for part in _components(of, repetition, syntax):
            yield _Part(part.name, part.value, partial(_nested, among, part.with_value))


def _components(name: str, repetition: str, syntax: Syntax) -> Iterator[_Part]:
    sent = repetition.split(syntax.component)
    for place, component in enumerate(sent):
        if component and len(sent) > 1:
            yield _Part(f"{name}.{place + 1}", component, partial(_replaced, sent, place, syntax.component))


def _replaced(parts: Sequence[str], place: int, between: str, text: str) -> str:
    """``parts`` with ``text`` at ``place``."""
    return between.join([*parts[:place], text, *parts[place + 1 :]])


def _nested(outer: Callable[[str], str], inner: Callable[[str], str], text: str) -> str:
    return outer(inner(text))


def _with_value(message: Message, place: int, number: int, part: _Part, text: str) -> bytes:
    """The message with ``text`` in place of ``part`` of field ``number`` of segment ``place``."""
    separator = message.syntax.field
    fields = message.lines[place].split(separator)
    return _with_line(message, place, _replaced(fields, number, separator, part.with_value(text)))


def _with_line(message: Message, place: int, line: str) -> bytes:
    lines = [*message.lines[:place], line, *message.lines[place + 1 :]]
    return write(Message(message.raw, message.encoding, message.before, lines, message.ends, message.syntax))
