"""The leaves of a mapping: expressions with their place in the file, evaluated together in parts.

A *part* is what is evaluated together: the conditions, the patient, or one entry of ``each``. What the engine must run of it
is one compiled expression. Only when a part fails are its leaves evaluated one by one, to find the column at fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.tabular.expressions.engine import Expressions
from adapters.tabular.expressions.functions import Function
from adapters.tabular.expressions.shortcut import Run, shortcut
from adapters.tabular.expressions.tokens import names, tokens
from adapters.tabular.mapping.document import Node
from adapters.tabular.rows.layout import named
from schemas.errors import InvalidValue

Row = dict[str, Any]
Scope = dict[Any, Any]
"""A row, and under whole numbers what the engine made of a part's leaves."""


class Leaf:
    """One expression of the mapping."""

    __slots__ = ("columns", "constant", "functions", "line", "run", "slot", "target", "text", "whole")

    def __init__(self, node: Node, target: str, functions: Mapping[str, Function], slot: int, *, flat: bool) -> None:
        self.text = node.text
        self.line = node.line
        self.target = target
        """What it makes: ``focus.type[0].text of service-started-1``."""
        found = tokens(node.text)
        referred = names(found)
        self.columns = referred.columns
        self.whole = referred.whole
        self.functions = frozenset(call.name for call in referred.calls) | {token.text for token in referred.free}
        quick = shortcut(found, functions) if flat else None
        self.constant = quick is not None and quick.constant
        self.slot = None if quick else slot
        """Where in the scope the engine's value stands; ``None`` when the engine is not needed."""
        self.run: Run = quick.run if quick else lambda scope: scope.get(slot)

    def fault(self, reason: str, where: str) -> InvalidValue:
        """The error that says ``reason`` about the columns this leaf reads; ``where`` is the row."""
        columns = f", {named(sorted(self.columns))}" if self.columns else ""
        return InvalidValue(f"the value {reason} (for {self.target}, line {self.line} of the mapping)", where=where + columns)


class LeafGroup:
    """Leaves that are evaluated together."""

    __slots__ = ("_columns", "_engine", "_functions", "_slots", "leaves")

    def __init__(self, leaves: Sequence[Leaf], functions: Mapping[str, Function]) -> None:
        self.leaves = tuple(leaves)
        self._functions = functions
        slow = [leaf for leaf in self.leaves if leaf.slot is not None]
        self._engine = _expressions(slow, functions) if slow else None
        self._slots = [(str(place), leaf.slot) for place, leaf in enumerate(slow)]
        self._columns = columns_of(slow)

    def scope(self, row: Row) -> Scope:
        """``row``, and what the engine makes of it for the leaves here. Raises `InvalidValue` without a place: see `blame`."""
        if self._engine is None:
            return row
        read = row if self._columns is None else {name: row[name] for name in self._columns if name in row}
        values = self._engine.values(read)
        return {**row, **{slot: values.get(place) for place, slot in self._slots}}

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns its leaves read; ``None`` for any."""
        return columns_of(self.leaves)

    def blame(self, row: Row, error: Exception, where: str) -> InvalidValue:
        """``error``, raised by this part for ``row``, with the leaf and the columns that caused it."""
        for leaf in self.leaves:
            try:
                self._alone(leaf, row)
            except (InvalidValue, ValueError) as fault:
                return leaf.fault(_reason(fault), where)
        return InvalidValue(f"the value {_reason(error)}", where=where)

    def _alone(self, leaf: Leaf, row: Row) -> None:
        if leaf.slot is None:
            leaf.run(row)
        else:
            _expressions([leaf], self._functions).values(row)


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, InvalidValue) else str(error)


def columns_of(leaves: Iterable[Leaf]) -> frozenset[str] | None:
    """The columns that ``leaves`` read; ``None`` for any."""
    held = list(leaves)
    return None if any(leaf.whole for leaf in held) else frozenset[str]().union(*(leaf.columns for leaf in held))


def _expressions(leaves: Sequence[Leaf], functions: Mapping[str, Function]) -> Expressions:
    used = frozenset[str]().union(*(leaf.functions for leaf in leaves))
    return Expressions([leaf.text for leaf in leaves], {name: functions[name] for name in functions if name in used})
