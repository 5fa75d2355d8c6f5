"""JSONata expressions, run by jsonata-rs with a time bound, and what an error of theirs may say.

The engine's own messages quote the value they stumbled over; only its codes and positions leave this module (promise P12).

A compiled expression belongs to the thread that made it, and must die there too: each thread keeps its own, in a store that is
never handed to another.

Source: JSONata 2.0 error codes, https://github.com/jsonata-js/jsonata/blob/master/src/jsonata.js.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonata

from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.expressions.functions import Function
from schemas.errors import InvalidValue

CHARACTERS_MOST = 2000
"""Of one expression. The engine walks a chain of 20,000 operators until its stack ends, and the process with it."""
TIME_MOST_MS = 1000
"""Of one evaluation, which takes about 0.05: long enough that a busy machine rejects no row, short enough to stop a loop."""
DEPTH_MOST = 400
"""Nested steps of one evaluation; the engine's own stack ends somewhat later."""
KEPT = 512
"""Compiled expressions a thread keeps: those of some fifty mappings."""

Row = Mapping[str, Any]

_serial = itertools.count()
_compiled = threading.local()


class SyntaxFaultError(ValueError):
    """An expression is not JSONata: code and place, without a word of the engine's."""

    def __init__(self, code: str, at: int) -> None:
        super().__init__(_SYNTAX.get(code, "it is not a JSONata expression"))
        self.code = code
        self.at = at
        """Offset in the expression."""


_LONG = "TOO_LONG"
"""Ours, beside the engine's codes."""

_SYNTAX = {
    _LONG: f"it has more than {CHARACTERS_MOST:,} characters",
    "S0101": "a text is not closed",
    "S0102": "a number is too large",
    "S0103": "a backslash stands before a character that needs none",
    "S0104": "\\u is not followed by four hexadecimal digits",
    "S0105": "a name in backticks is not closed",
    "S0106": "a comment is not closed",
    "S0201": "something stands where an operator should",
    "S0202": "another sign is expected here",
    "S0203": "it ends before a bracket is closed",
    "S0204": "an operator is not known",
    "S0207": "it ends too early",
    "S0211": "something stands where a value should",
    "S0301": "a pattern is empty",
    "S0302": "a pattern is not closed",
    "PARSE_DEPTH": "it nests too deeply",
}

_EVALUATION = {
    "TIMEOUT": f"keeps the expression busy for more than {TIME_MOST_MS} ms",
    "STACK_OVERFLOW": "leads the expression too deep",
    "D3030": "cannot be read as a number",
    "D1001": "gives a number out of range",
    "D3141": "is not what the mapping requires",
    "D3137": "is not what the mapping requires",
    "T0410": "is of a kind that the function called on it does not take",
    "T2001": "is not a number where the expression calculates",
    "T2002": "is not a number where the expression calculates",
    "T2009": "is compared with a value of another kind",
    "T2010": "is compared with a value that has no order",
}
"""What the commonest codes of an evaluation say of the value read; for any other the code itself is said."""


def check_syntax(expression: str) -> None:
    """Raises `SyntaxFaultError` when ``expression`` is not JSONata, or longer than `CHARACTERS_MOST`."""
    if len(expression) > CHARACTERS_MOST:
        raise SyntaxFaultError(_LONG, CHARACTERS_MOST)
    try:
        jsonata.Jsonata(expression)
    except jsonata.JsonataError as wrong:
        raise SyntaxFaultError(wrong.code, max(wrong.position, 0)) from None
    except ValueError:
        raise SyntaxFaultError("S0201", 0) from None


class Expressions:
    """Several expressions over the same row, compiled as one."""

    __slots__ = ("_functions", "_serial", "_text")

    def __init__(self, expressions: Sequence[str], functions: Mapping[str, Function]) -> None:
        body = ",".join(f'"{place}":({expression})' for place, expression in enumerate(expressions))
        self._text = f"({_prelude(functions)}{{{body}}})"
        self._functions = functions
        self._serial = next(_serial)

    def values(self, row: Row) -> dict[str, Any]:
        """The value of each expression under its place (``"0"``, ``"1"``, …); none that came to nothing.

        Raises `InvalidValue` that says what went wrong, without where and without the value.
        """
        _compiled.fault = None
        try:
            found: dict[str, Any] = self._expression().evaluate(row)
        except jsonata.JsonataError as wrong:
            fault = _EVALUATION.get(wrong.code, f"makes the expression fail (JSONata {wrong.code})")
            raise InvalidValue(_compiled.fault or fault) from None
        except (ValueError, OverflowError):
            raise InvalidValue("holds a number or a character that no expression can read") from None
        return found

    def _expression(self) -> jsonata.Jsonata:
        kept: OrderedDict[int, jsonata.Jsonata] | None = getattr(_compiled, "kept", None)
        if kept is None:
            kept = _compiled.kept = OrderedDict()
        expression = kept.get(self._serial)
        if expression is None:
            expression = kept[self._serial] = self._compile()
            if len(kept) > KEPT:
                kept.popitem(last=False)
        return expression

    def _compile(self) -> jsonata.Jsonata:
        expression = jsonata.Jsonata(self._text)
        expression.set_runtime_bounds(TIME_MOST_MS, DEPTH_MOST)
        for name, function in self._functions.items():
            expression.register_function(f"_{name}", _noting(function.call))
        return expression


def _noting(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, whose reason for refusing a value is noted: the engine hands on no more than that something was raised."""

    def noting(*values: Any) -> Any:
        try:
            return call(*values)
        except ImpossibleError as impossible:
            _compiled.fault = str(impossible)
            raise

    return noting


def _prelude(functions: Mapping[str, Function]) -> str:
    """Makes nothing of a function's ``None``, which the engine would take for ``null``, and ``null`` exists."""
    return "".join(
        f"${name}:=function({parameters}){{$_{name}({parameters})[$!=null]}};"
        for name, function in functions.items()
        for parameters in [",".join("$" + letter for letter in "abc"[: function.most])]
    )
