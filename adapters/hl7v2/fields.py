"""The fields of a message one by one, each with the message without it: what a dry run leaves out to see what it was for.

Source: HL7 v2.4 §2.5 (segments, fields, components, repetitions).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from adapters.hl7v2.message import Message, write
from adapters.hl7v2.syntax import Syntax
from adapters.translator import Field

_FIRST_OF_MSH = 3
"""MSH-1 and MSH-2 are the delimiters: without them there is no message."""


class _Part(NamedTuple):
    """A field, or a part of one."""

    name: str
    without: str
    """The field without it."""


def fields_of(message: Message) -> Iterator[Field]:
    """Every field that is not empty, then its repetitions (``PID-3[2]``) and components (``PID-5.1``, ``PID-3[2].4``)."""
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
                changed = [*sent[:number], part.without, *sent[number + 1 :]]
                yield Field(part.name, _with_line(message, place, message.syntax.field.join(changed)))


def _parts(name: str, field: str, syntax: Syntax) -> Iterator[_Part]:
    if not field.strip():
        return
    yield _Part(name, "")
    repetitions = field.split(syntax.repetition)
    for place, repetition in enumerate(repetitions):
        of = name if len(repetitions) == 1 else f"{name}[{place + 1}]"
        before, after = repetitions[:place], repetitions[place + 1 :]
        if of != name and repetition:
            yield _Part(of, syntax.repetition.join([*before, "", *after]))
        for part in _components(of, repetition, syntax):
            yield _Part(part.name, syntax.repetition.join([*before, part.without, *after]))


def _components(name: str, repetition: str, syntax: Syntax) -> Iterator[_Part]:
    sent = repetition.split(syntax.component)
    for place, component in enumerate(sent):
        if component and len(sent) > 1:
            yield _Part(f"{name}.{place + 1}", syntax.component.join([*sent[:place], "", *sent[place + 1 :]]))


def _with_line(message: Message, place: int, line: str) -> bytes:
    lines = [*message.lines[:place], line, *message.lines[place + 1 :]]
    return write(Message(message.raw, message.encoding, message.before, lines, message.ends, message.syntax))
