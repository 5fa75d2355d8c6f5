"""Makes the leaves of a mapping while it is read, each checked where it stands: syntax, functions, columns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from adapters.tabular.expressions.engine import SyntaxFaultError, check_syntax
from adapters.tabular.expressions.functions import JSONATA, REFUSED, Codes, Function, functions
from adapters.tabular.expressions.tokens import FunctionCall, names, tokens
from adapters.tabular.mapping.document import Node, instead, nearest
from adapters.tabular.mapping.leaf import Leaf, LeafGroup

LEAVES_MOST = 2000
"""Expressions in one mapping; the largest known has some 150."""


class KnownColumns(NamedTuple):
    """The columns a mapping may name."""

    columns: frozenset[str]
    closed: bool
    """They are all declared (``columns``, ``optional``): any other name is a slip."""
    tested: bool = False
    """Some row of a test shows what columns there are."""


class Leaves:
    """The leaves made so far."""

    def __init__(self, codes: Codes, known: KnownColumns, *, flat: bool) -> None:
        self._functions = functions(codes)
        self._codes = codes
        self._known = known
        self._flat = flat
        self._since: list[Leaf] = []
        self.made: list[Leaf] = []

    def make(self, node: Node, target: str) -> Leaf:
        """The leaf of the expression at ``node``. Raises `MappingError` with the line and what to write instead."""
        self._check(node, target)
        if len(self.made) >= LEAVES_MOST:
            raise node.fault(f"the mapping has more than {LEAVES_MOST:,} expressions")
        leaf = Leaf(node, target, self._functions, len(self.made), flat=self._flat)
        self.made.append(leaf)
        self._since.append(leaf)
        return leaf

    def part(self) -> LeafGroup:
        """The leaves made since the last part, to be evaluated together."""
        part = LeafGroup(self._since, self._functions)
        self._since = []
        return part

    def _check(self, node: Node, target: str) -> None:
        if not isinstance(node.value, str) or not node.text.strip():
            raise node.fault(f"{target} is not an expression", "Write JSONata in quotes, for example '`First Name`'.")
        try:
            check_syntax(node.text)
        except SyntaxFaultError as wrong:
            near = node.text[max(wrong.at - 12, 0) : wrong.at + 1]
            at = f"at character {wrong.at + 1}, after {near!r}"
            raise node.fault(f"{target} is not JSONata: {wrong}, {at} ({wrong.code})", _JSONATA_CURE) from None
        referred = names(tokens(node.text))
        for call in referred.calls:
            self._check_call(call, node)
        for variable in referred.free:
            if variable.text not in self._functions and variable.text not in JSONATA:
                raise node.fault(f"the variable ${variable.text} has no value", self._nearest(variable.text))
        if self._flat:
            self._check_columns(referred.columns, node, target)

    def _check_call(self, call: FunctionCall, node: Node) -> None:
        refused = REFUSED.get(call.name)
        if refused:
            raise node.fault(f"${call.name} may not be called in a mapping", f"It {refused}: leave it out.")
        function = self._functions.get(call.name)
        if function:
            self._check_arguments(call, function, node)
        elif call.name not in JSONATA:
            raise node.fault(f"there is no function ${call.name}", self._nearest(call.name))

    def _nearest(self, name: str) -> str:
        """The cure for a function or variable that there is not: near ones, else those that are ours."""
        own = [f"${function}" for function in self._functions]
        near = nearest(f"${name}", [*own, *(f"${function}" for function in sorted(JSONATA))])
        return instead(f"${name}", near or own) + ("" if near else " Or use one of JSONata's own.")

    def _check_arguments(self, call: FunctionCall, function: Function, node: Node) -> None:
        if not function.least <= call.arguments <= function.most:
            takes = str(function.least) if function.least == function.most else f"{function.least} or {function.most}"
            raise node.fault(
                f"${call.name} is called with {call.arguments} values", f"It takes {takes}: see docs/mapping-files.md."
            )
        if call.name != "code":
            return
        if call.first is None:
            raise node.fault(
                "$code is called without the name of a code map", 'Write the name first, in quotes: $code("service", `…`).'
            )
        if call.first not in self._codes:
            raise node.fault(
                f'there is no code map "{call.first}"', instead(call.first, self._codes) if self._codes else _NO_CODES
            )

    def _check_columns(self, columns: frozenset[str], node: Node, target: str) -> None:
        if not self._known.closed:
            return
        for name in sorted(columns - self._known.columns):
            text = f"For the text itself write '\"{name}\"'." if node.text.strip() == name else ""
            raise node.fault(
                f'{target} reads the column "{name}", which is not declared',
                f"{unknown_column(name, self._known)} {text}".strip(),
            )


_JSONATA_CURE = "A column with a space in its name stands in backticks, a text in quotes: https://docs.jsonata.org."
_NO_CODES = "Add it under `codes:`."


def is_slip(name: str, known: Iterable[str]) -> bool:
    """Whether ``name`` looks like a misspelling of one of ``known``. ``Adult 2`` is none of ``Adult 1``."""
    likely = [other for other in known if _DIGITS.findall(other) == _DIGITS.findall(name)]
    return bool(difflib.get_close_matches(name.casefold(), [other.casefold() for other in likely], n=1, cutoff=0.85))


_DIGITS = re.compile("[0-9]+")


def unknown_column(name: str, known: KnownColumns) -> str:
    """The cure for a column that is not among the declared ones."""
    return f"{instead(name, sorted(known.columns))} Or add it under `columns:` (or `optional:`)."
