"""The dry run: what a translator makes of some content, and from which input field each output field comes.

It uses nothing but translation: each input field is left out in turn, and whatever changes in the output depends on it. So the
answer is right whatever a mapping does, even for a field that only decides whether there is an event at all. A field without
which there is no such event is also given another value, which shows what else depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from io import BytesIO
from itertools import islice
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any, NamedTuple

import orjson

from adapters.translator import Arrival, Field, Item, Translator
from schemas.event import Event, payload
from schemas.fhir.bundle import FACT_URN, RECORD_URN

_ENVELOPE = (
    "type",
    "time",
    "timeprecision",
    "subject",
    "partitionkey",
    "dataclassification",
    "sequence",
    "correlationid",
)
"""The attributes that come from the content. The others are the same for every event or, like ``id``, change with every byte.
"""
TRIES = 24
"""Most other values tried for a field without which there is no such event: a date with a time has fourteen digits."""
_NEXT = {
    sign: following
    for signs in (digits, ascii_lowercase, ascii_uppercase)
    for sign, following in zip(signs, signs[1:] + signs[:1], strict=True)
}
"""Each digit and letter to the next one, and the last to the first."""
EXISTENCE = "type"
"""Path that represents whether there is an event, and of which type."""


class Target(NamedTuple):
    """One field of the output."""

    event: int
    """Index among the item's events."""
    path: str
    """``time``, ``entry[0].resource.period.start``."""


class Explanation(NamedTuple):
    """The result of a dry run."""

    items: tuple[Item, ...]
    provenance: Mapping[Target, tuple[str, ...]]
    """For the first item: each field of its events, in order, to the source fields it depends on (none for a constant). If
    fields can replace each other, all of them are named."""
    required: Mapping[str, str]
    """Source fields without which the item is rejected, each with the code of that rejection."""
    unread: tuple[str, ...]
    """Source fields that change nothing, so they are not read. Empty for a rejected item, of which it is unknown."""


def explain(translator: Translator, content: bytes, arrival: Arrival) -> Explanation:
    """What ``translator`` makes of ``content``, with the origin of each field of the first item.

    It translates several times for each field of that item: give it a message or a few rows, not a year's extract.
    """
    items = tuple(translator.translate(BytesIO(content), arrival))
    if not items or items[0].rejection is not None:
        return Explanation(items, {}, {}, ())
    trial = _Trial(translator, content, arrival, items[0])
    origins: dict[Target, list[str]] = {target: [] for target in _targets(items[0])}
    required: dict[str, str] = {}
    quiet: list[str] = []
    for field in translator.fields(content):
        if field.without == content:
            continue  # already empty, so leaving it out shows nothing
        other = trial.first_of(field.without)
        if other.rejection is not None:
            required[field.name] = other.rejection.error.code
        if trial.is_as_before(other):
            quiet.append(field.name)
        if not trial.keeps_events(other):
            _note(origins, trial.owed_otherwise(field), field.name)
        _note(origins, trial.owed(other), field.name)
    instead = dict(_alternatives(trial, quiet))
    for name, other in instead.items():
        _note(origins, trial.owed(other), name)
    for field in translator.fields(content):
        if field.name in instead:  # what stands in for it may say the same: another value tells
            _note(origins, trial.owed_otherwise(field), field.name)
    unread = tuple(name for name in quiet if name not in instead)
    return Explanation(items, {target: tuple(dict.fromkeys(names)) for target, names in origins.items()}, required, unread)


class _Trial(NamedTuple):
    """Translates variants of one content and compares them with the original."""

    translator: Translator
    content: bytes
    arrival: Arrival
    first: Item

    def first_of(self, content: bytes) -> Item:
        return next(iter(self.translator.translate(BytesIO(content), self.arrival)), Item(""))

    def without(self, name: str, content: bytes) -> bytes | None:
        """``content`` without the field; ``None`` when it is already missing."""
        return next((field.without for field in self.translator.fields(content) if field.name == name), None)

    def owed_otherwise(self, field: Field) -> Iterator[Target]:
        """What another value in ``field`` changes: of the first that changes anything but flags."""
        changes = (tuple(self.owed(other)) for other in self.otherwise(field))
        return iter(next(filter(None, changes), ()))

    def otherwise(self, field: Field) -> Iterator[Item]:
        """The result for the content with another value in ``field`` that still makes the same events."""
        if field.with_value is None:
            return
        for text in islice(_near(field.value), TRIES):
            other = self.first_of(field.with_value(text))
            if self.keeps_events(other) and not self.is_as_before(other):
                yield other

    def keeps_events(self, other: Item) -> bool:
        """Whether ``other`` has an event of the same type for each of the original's."""
        return not Counter(event.type for event in self.first.events) - Counter(event.type for event in other.events)

    def is_as_before(self, other: Item) -> bool:
        return _said(other) == _said(self.first)

    def owed(self, other: Item) -> Iterator[Target]:
        """The fields of the original that differ in ``other``."""
        return _owed(self.first, other)


def _near(value: str) -> Iterator[str]:
    """Texts of the same form as ``value`` that differ from it in one character: another day, another number."""
    for place, sign in enumerate(value):
        if sign.isascii() and sign.isalnum():
            yield value[:place] + _NEXT[sign] + value[place + 1 :]


def _alternatives(trial: _Trial, quiet: Sequence[str]) -> Iterator[tuple[str, Item]]:
    """The fields of ``quiet`` that are read after all, because another field can stand in for them, and what depends on them.

    When they are left out one after another, a field that stands in for one already missing makes a difference once it goes as
    well.
    """
    content, out = trial.content, list[str]()
    for name in quiet:
        shorter = trial.without(name, content)
        if shorter is None:
            continue
        other = trial.first_of(shorter)
        if trial.is_as_before(other):
            content = shorter
            out.append(name)
            continue
        yield name, other
        alone = trial.without(name, trial.content) or trial.content
        for partner in out:
            both = trial.without(partner, alone)
            if both is not None and not trial.is_as_before(together := trial.first_of(both)):
                yield partner, together


def _note(origins: dict[Target, list[str]], owed: Iterator[Target], name: str) -> None:
    for target in owed:
        origins[target].append(name)


def _said(item: Item) -> tuple[object, ...]:
    """Everything in an item that an input field can change."""
    return [_shape(event) for event in item.events], item.flags, item.rejection and item.rejection.error.code


def _shape(event: Event) -> dict[str, Any]:
    """The parts of the event that come from the content."""
    envelope = {name: getattr(event, name) for name in _ENVELOPE}
    return {name: value for name, value in envelope.items() if value} | {"entry": _plain(payload(event)).get("entry", [])}


def _plain(value: Any) -> Any:
    """``value`` without the references that only repeat the record's key and the fact's id."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if not _is_reference(each)}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith((FACT_URN, RECORD_URN))


def _targets(item: Item) -> Iterator[Target]:
    for place, event in enumerate(item.events):
        for path in _leaves(_shape(event), ""):
            yield Target(place, path)


def _owed(first: Item, other: Item) -> Iterator[Target]:
    """The fields of ``first`` that differ in ``other``. Events are compared with those of the same type, in order."""
    left: dict[str, list[Event]] = {}
    for event in other.events:
        left.setdefault(event.type, []).append(event)
    for place, event in enumerate(first.events):
        if not left.get(event.type):
            yield Target(place, EXISTENCE)
            continue
        for path in _changed(_shape(event), _shape(left[event.type].pop(0)), ""):
            yield Target(place, path)


def _changed(before: Any, after: Any, at: str) -> Iterator[str]:
    """Paths of the leaves of ``before`` that differ in ``after``."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from _changed(value, after.get(name), f"{at}.{name}" if at else name)
    elif isinstance(before, list) and isinstance(after, list):
        for place, counterpart in _pairs(before, after):
            yield from _changed(before[place], counterpart, f"{at}[{place}]")
    elif before != after:
        yield from _leaves(before, at)


def _pairs(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Each element of ``before`` that may have changed, with its counterpart. Elements that only moved up have not changed."""
    if len(before) == len(after):
        yield from enumerate(after)
        return
    old, new = ([orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in side] for side in (before, after))
    for same, start, end, other_start, other_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if same == "equal":
            continue
        for offset in range(end - start):
            yield start + offset, after[other_start + offset] if other_start + offset < other_end else None


def _leaves(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value:
        for place, each in enumerate(value):
            yield from _leaves(each, f"{at}[{place}]")
    else:
        yield at
