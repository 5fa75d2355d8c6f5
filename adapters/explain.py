"""The dry run: what a translator makes of content, and to which field of the input each field of the output is owed.

Nothing is asked of the translator but to translate: each source field in turn is left out, and what changes in the output came
from it. So the answer is true whatever a mapping does, even of a field that only decides whether there is an event at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from io import BytesIO
from typing import Any, NamedTuple

import orjson

from adapters.translator import Arrival, Item, Translator
from schemas.event import Event, payload
from schemas.resources.bundle import FACT_URN, RECORD_URN

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
"""The attributes that come from the content. The others are the same for every event, or (``id``) change with every byte."""
EXISTENCE = "type"
"""Path under which stands what decides that there is an event, and of which type."""


class Target(NamedTuple):
    """One field of the output."""

    event: int
    """Place among the item's events."""
    path: str
    """``time``, ``entry[0].resource.period.start``."""


class Explanation(NamedTuple):
    """What became of the content, and why."""

    items: tuple[Item, ...]
    provenance: Mapping[Target, tuple[str, ...]]
    """Of the first item: each field of its events, in their order, and the source fields it came from; none for a constant."""
    required: Mapping[str, str]
    """Source fields without which the item is rejected, and the code of that rejection."""
    unread: tuple[str, ...]
    """Source fields that change nothing: nobody read them. None are known of an item that was rejected."""


def explain(translator: Translator, content: bytes, arrival: Arrival) -> Explanation:
    """What ``translator`` makes of ``content``; where it came from is told of the first item.

    It translates once for each field of that item: give it a message or some rows, not a year's extract.
    """
    items = tuple(translator.translate(BytesIO(content), arrival))
    first = items[0] if items else Item("")
    origins: dict[Target, list[str]] = {target: [] for target in _targets(first)}
    required: dict[str, str] = {}
    unread: list[str] = []
    for field in translator.fields(content):
        other = next(iter(translator.translate(BytesIO(field.without), arrival)), Item(""))
        if other.rejection is not None and first.rejection is None:
            required[field.name] = other.rejection.error.code
        elif first.rejection is None and _said(other) == _said(first):
            unread.append(field.name)
        for target in _owed(first, other) if other.rejection is None else ():
            origins[target].append(field.name)
    return Explanation(
        items, {target: tuple(dict.fromkeys(fields)) for target, fields in origins.items()}, required, tuple(unread)
    )


def _said(item: Item) -> tuple[object, ...]:
    """Everything in an item that a field of the input can change."""
    return [_shape(event) for event in item.events], item.flags, item.rejection and item.rejection.error.code


def _shape(event: Event) -> dict[str, Any]:
    """The event as far as it comes from the content."""
    envelope = {name: getattr(event, name) for name in _ENVELOPE}
    return {name: value for name, value in envelope.items() if value} | {"entry": _plain(payload(event)).get("entry", [])}


def _plain(value: Any) -> Any:
    """Without the references that only repeat the record's key and the fact's id."""
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
    """The fields of ``first`` that are otherwise in ``other``. Events are compared with those of the same type, in order."""
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
    """Paths of the leaves of ``before`` that are not the same in ``after``."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from _changed(value, after.get(name), f"{at}.{name}" if at else name)
    elif isinstance(before, list) and isinstance(after, list):
        for place, counterpart in _pairs(before, after):
            yield from _changed(before[place], counterpart, f"{at}[{place}]")
    elif before != after:
        yield from _leaves(before, at)


def _pairs(before: Sequence[Any], after: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Each element of ``before`` that may have changed, and its counterpart. What only moved up is not changed."""
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
