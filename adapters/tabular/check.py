"""Runs the tests that a mapping file holds: ``backbone source check``, and the test command.

A test names the parts of what a row makes that matter to it; what it does not name may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from adapters.tabular.expressions import dates
from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.mapping.document import instead, nearest
from adapters.tabular.mapping.example import Example
from adapters.tabular.mapping.load import Mapping
from adapters.tabular.rows.layout import Row
from adapters.tabular.translate import TabularTranslator
from adapters.translator import Arrival, Item
from schemas.catalogue import CATALOGUE
from schemas.event import Event, instant, payload
from schemas.fhir.bundle import focus_of, patient_of
from schemas.pseudonyms import Pseudonyms
from schemas.sentence import title
from schemas.source import Sector, Source

_LATER = datetime(dates.YEAR_MOST, 12, 31, tzinfo=UTC)
"""When a test's row is received unless it says so: no date in it lies ahead."""
_PSEUDONYMS = Pseudonyms(b"the keys of a mapping's tests: not kept")


class Outcome(NamedTuple):
    """What one test of a mapping showed."""

    line: int
    """Where the test stands in the file."""
    about: str
    differences: tuple[str, ...]
    """What is not as the test says; empty when it passed."""

    @property
    def passed(self) -> bool:
        """Whether all is as the test says."""
        return not self.differences


def check(mapping: Mapping, source: Source | None = None) -> list[Outcome]:
    """The outcome of each of the mapping's tests, in the order of the file. ``source`` is its declaration, if there is one."""
    translator = TabularTranslator(mapping)
    declared = source or Source(id=mapping.source, name=mapping.source, sector=Sector.COUNCIL)
    return [
        Outcome(example.line, example.about, _with_slips(example, mapping, tuple(_differences(example, translator, declared))))
        for example in mapping.tests
    ]


def _with_slips(example: Example, mapping: Mapping, differences: tuple[str, ...]) -> tuple[str, ...]:
    """``differences`` with what may be their cause: a column of the test's row that nothing reads, like one that is missing."""
    wanted = mapping.layout.wanted
    if not differences or wanted is None:
        return differences
    absent = wanted - example.row.keys()
    slips = [name for name in example.row if name not in wanted and nearest(name, absent)]
    return (*differences, *(f'nothing reads the column "{name}" of the row. {instead(name, sorted(absent))}' for name in slips))


def _differences(example: Example, translator: TabularTranslator, source: Source) -> Iterator[str]:
    try:
        received_at = dates.happened_at(dates.moment(example.received_at)) if example.received_at else _LATER
    except ImpossibleError as impossible:
        yield f"received_at {impossible}"
        return
    row = Row(f"test at line {example.line}", example.row, blank=not example.row, content=bytes)
    item = translator.item(row, Arrival(source, received_at, _PSEUDONYMS))
    if item.rejection or example.rejects:
        yield from _rejection(item, example)
        return
    made, expected = [event.type for event in item.events], [one["event"] for one in example.makes]
    if made != expected:
        yield f"makes {_list(made)}; expected {_list(expected)}"
        return
    for event, one in zip(item.events, example.makes, strict=True):
        yield from (f"{event.type}: {difference}" for difference in _event_differences(event, one, item, source))


def _list(names: list[str]) -> str:
    return ", ".join(names) or "no event"


def _rejection(item: Item, example: Example) -> Iterator[str]:
    code = item.rejection.error.code if item.rejection else ""
    if code == example.rejects:
        return
    if item.rejection:
        yield f"is rejected: {item.rejection.error}" + (f" (expected {example.rejects})" if example.rejects else "")
    else:
        yield f"makes {_list([event.type for event in item.events])}; expected to be rejected with {example.rejects}"


def _event_differences(event: Event, expected: dict[str, Any], item: Item, source: Source) -> Iterator[str]:
    if "occurred_at" in expected:
        yield from _time_difference(event, expected["occurred_at"])
    bundle = payload(event)
    focus = focus_of(bundle)
    parts = {
        "focus": focus,
        "patient": patient_of(bundle),
        "others": [entry["resource"] for entry in bundle["entry"][1:] if entry["resource"]["resourceType"] != "Patient"],
        "sensitivity": event.dataclassification.value,
        "precision": event.timeprecision.value,
        "sequence": event.sequence,
        "title": title(CATALOGUE[event.type].title, focus, source.name),
        "flags": list(item.flags),
        "thread": bool(event.correlationid),
    }
    for name in parts.keys() & expected.keys():
        yield from _unlike(parts[name], expected[name], name)


def _time_difference(event: Event, expected: str) -> Iterator[str]:
    try:
        said = dates.moment(expected)
    except ImpossibleError as impossible:
        yield f"the expected occurred_at {impossible}"
        return
    if (instant(dates.happened_at(said)), dates.precision(said)) != (event.time, event.timeprecision):
        yield f"occurred_at is {event.time} to the {event.timeprecision}; expected {expected}"


def _unlike(made: Any, expected: Any, path: str) -> Iterator[str]:
    """Where ``made`` lacks something of ``expected``."""
    if isinstance(expected, dict) and isinstance(made, dict):
        for name, part in expected.items():
            yield from _unlike(made.get(name), part, f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(made, list) and len(expected) == len(made):
        for place, part in enumerate(expected):
            yield from _unlike(made[place], part, f"{path}[{place}]")
    elif made != expected:
        yield f"{path} is {made!r}; expected {expected!r}"
