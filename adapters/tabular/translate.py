"""Translates the rows of one system by its mapping file.

Each row succeeds or is rejected as a unit. The ids of its events are made from the cells that the mapping reads, by column: the
same row in next week's extract, with other rows around it, in another order, as xlsx or as CSV, gives the same event.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import orjson

from adapters.compose import Origin, Statement, compose, content_hash
from adapters.future import CLOCK_MARGIN
from adapters.tabular.cache import CellCache
from adapters.tabular.explain import fields_of
from adapters.tabular.expressions import dates
from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.expressions.functions import text_of
from adapters.tabular.mapping.entry import Focus, MappingEntry, Value
from adapters.tabular.mapping.leaf import LeafGroup, Scope
from adapters.tabular.mapping.load import Mapping
from adapters.tabular.person import People, RowPerson, local_id
from adapters.tabular.readers.read import read
from adapters.tabular.rows.layout import FLAT, Row, named
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import InvalidValue, RejectedInput
from schemas.event import Event, Precision, Sensitivity
from schemas.fhir.bundle import Resource
from schemas.fhir.proven import Proven, proven


class TabularTranslator:
    """The translator of one mapping."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self.version = mapping.version

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content``, one for each row, in order; a single one with ``whole`` when all of it is refused."""
        try:
            rows = read(content, self._mapping.layout)
        except RejectedInput as refusal:
            yield Item("file", rejection=Rejection(refusal, b"", whole=True))
            return
        translator = _RowTranslator(self._mapping, arrival)
        for row in rows:
            yield translator.item(row)

    def item(self, row: Row, arrival: Arrival) -> Item:
        """The outcome of one row, whether read or made up for a test."""
        return _RowTranslator(self._mapping, arrival).item(row)

    def fields(self, content: bytes) -> Iterator[Field]:
        """The fields of the first row in ``content``; none when it cannot be read."""
        try:
            rows = read(io.BytesIO(content), self._mapping.layout._replace(wanted=None))
            first = next(iter(rows), None)
        except RejectedInput:
            return
        if first and not first.fault:
            yield from fields_of(first, self._mapping.layout)


class _StatedFocus:
    """What the mapping says about the focus, for all rows with the same cells there."""

    __slots__ = ("_asked", "_known", "elements")

    def __init__(self, elements: Resource) -> None:
        self.elements = elements
        self._known: Proven | None = None
        self._asked = False

    def known(self, focus: Resource) -> Proven | None:
        """What of ``focus`` was found valid in the first one."""
        if not self._asked:
            self._asked = True
            self._known = proven(focus)
        return self._known


class _EntryInUse(NamedTuple):
    """An entry, for one arrival."""

    entry: MappingEntry
    stated: CellCache[_StatedFocus]


class _RowTranslator:
    """Translates the rows of one arrival."""

    def __init__(self, mapping: Mapping, arrival: Arrival) -> None:
        self._mapping = mapping
        self._arrival = arrival
        self._latest = arrival.received_at + CLOCK_MARGIN
        flat = self._sorted = mapping.layout.kind in FLAT
        self._people = People(mapping, arrival)
        self._kinds = CellCache[tuple[_EntryInUse, ...]](mapping.conditions.columns if flat else None)
        foci = [(entry, entry.focus.columns if flat and entry.focus else None) for entry in mapping.each]
        self._each = [_EntryInUse(entry, CellCache[_StatedFocus](columns)) for entry, columns in foci]

    def item(self, row: Row) -> Item:
        """What becomes of ``row``."""
        if row.fault:
            return Item(row.position, rejection=Rejection(row.fault, row.content()))
        if row.blank:
            return Item(row.position)
        try:
            events, flags = self._events(row)
        except RejectedInput as rejection:
            return Item(row.position, rejection=Rejection(rejection, row.content()))
        return Item(row.position, events, flags=flags)

    def _events(self, row: Row) -> tuple[tuple[Event, ...], tuple[str, ...]]:
        wanted = self._kinds.of(row.cells, lambda: self._wanted(row))
        if not wanted:
            return (), ()
        person = self._people.of(row)
        digest = content_hash(orjson.dumps(row.cells, option=None if self._sorted else orjson.OPT_SORT_KEYS))
        origin = Origin(self._arrival, digest, self._mapping.version)
        events, flags = [], list(person.flags)
        for used in wanted:
            statement = self._statement(used, row, person, flags)
            if statement:
                events.append(self._compose(statement, origin, row.position))
        return tuple(events), tuple(flags)

    def _wanted(self, row: Row) -> tuple[_EntryInUse, ...]:
        """The entries whose condition holds."""
        mapping = self._mapping
        try:
            scope = mapping.conditions.scope(row.cells)
            wanted = tuple([one for one in self._each if one.entry.when is None or one.entry.when(scope)])
        except (InvalidValue, ImpossibleError) as error:
            raise mapping.conditions.blame(row.cells, error, row.position) from None
        if not wanted and mapping.rejects_unmatched:
            columns = sorted(frozenset[str]().union(*(leaf.columns for leaf in mapping.conditions.leaves)))
            raise InvalidValue("no entry of the mapping wants this row", where=f"{row.position}, {named(columns)}")
        return wanted

    def _statement(self, used: _EntryInUse, row: Row, person: RowPerson, flags: list[str]) -> Statement | None:
        """What the entry states; ``None`` when it has nothing to say about this row, or nothing yet, which is flagged."""
        entry = used.entry
        if entry.record:
            local = local_id(row, entry.record)
            if not local:
                return None
            person = self._people.called(local)
        part = entry.part
        try:
            scope = part.scope(row.cells)
            if self._is_planned(entry, scope):
                flags.append(f"end-in-future at {named(sorted(entry.occurred_at.columns))}")
                return None
            return self._stated(used, scope, row, person)
        except (InvalidValue, ImpossibleError) as error:
            raise _placed(error, part, row) from None

    def _stated(self, used: _EntryInUse, scope: Scope, row: Row, person: RowPerson) -> Statement:
        entry = used.entry
        occurred_at, precision = self._occurred(entry, scope, row)
        focus, known = person.patient, person.known
        if entry.focus:
            focus, known = _focus(entry.focus, used.stated, scope, row, occurred_at, person)
        return Statement(
            type=entry.type,
            record=person.key,
            natural_key=(entry.fact, *_natural_key(entry, scope, row)),
            happened_at=dates.happened_at(occurred_at),
            focus=focus,
            patient=person.patient,
            others=tuple([build(scope) for build in entry.others]) if entry.others else (),
            precision=precision,
            sequence=_text(entry.sequence, scope),
            thread=_text(entry.thread, scope),
            sensitivity=_sensitivity(entry, scope, row),
            known_focus=known,
            known_patient=person.known,
        )

    def _is_planned(self, entry: MappingEntry, scope: Scope) -> bool:
        """Whether the entry states the end of something that ends only later. Anything but a date is judged elsewhere."""
        if not entry.type.is_an_end:
            return False
        occurred_at = entry.occurred_at.run(scope)
        try:
            return isinstance(occurred_at, str) and dates.happened_at(occurred_at) > self._latest
        except (ValueError, KeyError):
            return False

    def _occurred(self, entry: MappingEntry, scope: Scope, row: Row) -> tuple[str, Precision]:
        occurred_at = entry.occurred_at.run(scope)
        if not isinstance(occurred_at, str) or not occurred_at:
            raise entry.occurred_at.fault("does not say when it happened", row.position)
        try:
            happened_at = dates.happened_at(occurred_at)
        except (ValueError, KeyError):
            raise entry.occurred_at.fault("is not turned into a date by the expression", row.position) from None
        if happened_at > self._latest and not entry.type.may_lie_ahead:
            raise entry.occurred_at.fault("is a date in the future", row.position)
        return occurred_at, dates.precision(occurred_at)

    @staticmethod
    def _compose(statement: Statement, origin: Origin, position: str) -> Event:
        try:
            return compose(statement, origin)
        except InvalidValue as fault:
            where = f"{position}, {fault.where} of {statement.type.name}"
            raise InvalidValue(fault.message, where=where, cure=fault.cure) from None


def _focus(
    focus: Focus, cache: CellCache[_StatedFocus], scope: Scope, row: Row, occurred_at: str, person: RowPerson
) -> tuple[Resource, Proven | None]:
    """The focus, and what is known of it."""
    stated = cache.of(row.cells, lambda: _StatedFocus(focus.build(scope)))
    made = focus.complete(stated.elements, occurred_at, person.reference)
    return made, stated.known(made)


def _placed(error: InvalidValue | ImpossibleError, part: LeafGroup, row: Row) -> InvalidValue:
    """``error`` with its place, unless it already has one, which is more exact."""
    return error if isinstance(error, InvalidValue) and error.where else part.blame(row.cells, error, row.position)


def _natural_key(entry: MappingEntry, scope: Scope, row: Row) -> list[str]:
    texts = [text if isinstance(text, str) else text_of(text) for text in [value(scope) for value in entry.key]]
    if not any(texts):
        where = f"{row.position}, {named(entry.key_columns)}" if entry.key_columns else row.position
        raise InvalidValue(f"nothing names the fact of {entry.type.name}", where=where)
    return texts


def _text(value: Value | None, scope: Scope) -> str:
    if value is None:
        return ""
    found = value(scope)
    return found if isinstance(found, str) else text_of(found)


def _sensitivity(entry: MappingEntry, scope: Scope, row: Row) -> Sensitivity:
    text = _text(entry.sensitivity, scope)
    try:
        return Sensitivity(text) if text else Sensitivity.NORMAL
    except ValueError:
        raise InvalidValue(f"the sensitivity of {entry.type.name} is not N, R or V", where=row.position) from None
