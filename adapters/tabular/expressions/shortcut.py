"""The plainest expressions, run without the engine.

Nine in ten leaves of a mapping are a column, a function of a column, a comparison or a choice between two texts. Handing a row
to the engine for each costs more than the rest of the translation, so these are compiled to closures that give exactly the
engine's results; anything outside this small grammar is left to the engine. A property test compares the two.

    choice  = any ["?" choice ":" choice]          any    = all {"or" all}         all = test {"and" test}
    test    = joined [("=" | "!=") joined | "in" "[" text {"," text} "]"]
    joined  = value {"&" value}
    value   = column | text | true | false | "(" choice ")" | $function(choice, …) | $exists(choice) | $not(choice)

It applies only to rows of texts, in which a column is a text of at least one character or is missing.

Source: JSONata 2.0, comparison, boolean and conditional operators; "undefined" compares false with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from adapters.tabular.expressions.functions import Function
from adapters.tabular.expressions.tokens import Token, TokenKind

Row = dict[Any, Any]
Run = Callable[[Row], Any]


class Shortcut(NamedTuple):
    """One expression, or a part of one."""

    run: Run
    """``None`` for JSONata's *undefined*."""
    gives: str
    """``text``, ``truth`` or ``any``."""
    constant: bool = False
    column: str = ""
    """The column, when the expression is nothing else."""


class _LeaveToEngineError(Exception):
    """The expression is outside the small grammar."""


def shortcut(tokens: Sequence[Token], functions: Mapping[str, Function]) -> Shortcut | None:
    """The expression of these tokens as a closure; ``None`` when only the engine can run it."""
    parser = _Parser(tokens, functions)
    try:
        found = parser.choice()
    except _LeaveToEngineError:
        return None
    return found if parser.at_end() else None


class _Parser:
    def __init__(self, tokens: Sequence[Token], functions: Mapping[str, Function]) -> None:
        self._tokens = tokens
        self._functions = functions
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def _peek(self) -> Token | None:
        return None if self.at_end() else self._tokens[self._at]

    def _take(self, kind: TokenKind, *texts: str) -> str | None:
        token = self._peek()
        if token is None or token.kind is not kind or token.text not in texts:
            return None
        self._at += 1
        return token.text

    def _must(self, sign: str) -> None:
        if self._take(TokenKind.SIGN, sign) is None:
            raise _LeaveToEngineError

    def choice(self) -> Shortcut:
        test = self._any()
        if self._take(TokenKind.SIGN, "?") is None:
            return test
        then = self.choice()
        self._must(":")
        other = self.choice()
        holds, yes, no = _truth(test), then.run, other.run
        return Shortcut(lambda row: yes(row) if holds(row) else no(row), then.gives if then.gives == other.gives else "any")

    def _any(self) -> Shortcut:
        left = self._all()
        while self._take(TokenKind.NAME, "or"):
            left = _or(_truth(left), _truth(self._all()))
        return left

    def _all(self) -> Shortcut:
        left = self._test()
        while self._take(TokenKind.NAME, "and"):
            left = _and(_truth(left), _truth(self._test()))
        return left

    def _test(self) -> Shortcut:
        left = self._joined()
        sign = self._take(TokenKind.SIGN, "=", "!=")
        if sign:
            right = self._joined()
            return _COMPARED[sign](left, right)
        if self._take(TokenKind.NAME, "in"):
            return _among(left, self._texts())
        return left

    def _joined(self) -> Shortcut:
        parts = [self._value()]
        while self._take(TokenKind.SIGN, "&"):
            parts.append(self._value())
        if len(parts) == 1:
            return parts[0]
        if any(part.gives == "any" for part in parts):
            raise _LeaveToEngineError
        runs = tuple(part.run for part in parts)
        return Shortcut(lambda row: "".join([_text(run(row)) for run in runs]), "text")

    def _value(self) -> Shortcut:
        token = self._peek()
        if token is None:
            raise _LeaveToEngineError
        self._at += 1
        if token.kind is TokenKind.TEXT:
            return _constant(token.text, "text")
        if token.kind in (TokenKind.NAME, TokenKind.QUOTED):
            return self._name(token)
        if token.kind is TokenKind.VARIABLE:
            return self._call(token.text)
        if token == (TokenKind.SIGN, "(", token.at):
            inner = self.choice()
            self._must(")")
            return inner
        raise _LeaveToEngineError

    def _name(self, token: Token) -> Shortcut:
        """A column. A path or a predicate after it is left to the engine: nothing here takes ``.`` or ``[``."""
        name = token.text
        if token.kind is TokenKind.NAME and name in _LITERALS:
            return _constant(_LITERALS[name], "truth")
        if token.kind is TokenKind.NAME and name in _KEYWORDS:
            raise _LeaveToEngineError
        return Shortcut(lambda row: row.get(name), "text", column=name)

    def _texts(self) -> frozenset[str]:
        self._must("[")
        texts: list[str] = []
        while True:
            token = self._peek()
            if token is None or token.kind is not TokenKind.TEXT:
                raise _LeaveToEngineError
            texts.append(token.text)
            self._at += 1
            if self._take(TokenKind.SIGN, ",") is None:
                self._must("]")
                return frozenset(texts)

    def _call(self, name: str) -> Shortcut:
        self._must("(")
        arguments = [self.choice()]
        while self._take(TokenKind.SIGN, ","):
            arguments.append(self.choice())
        self._must(")")
        own = _OWN.get(name)
        if own and len(arguments) == 1:
            return own(arguments[0])
        function = self._functions.get(name)
        if function is None or not function.least <= len(arguments) <= function.most:
            raise _LeaveToEngineError
        return _called(function, arguments)


_LITERALS = {"true": True, "false": False}
_KEYWORDS = frozenset({"null", "and", "or", "in", "function", "λ"})


def _constant(value: Any, gives: str) -> Shortcut:
    return Shortcut(lambda row: value, gives, constant=True)


def _called(function: Function, arguments: Sequence[Shortcut]) -> Shortcut:
    call, quick = function.call, function.of_text
    first = arguments[0].run
    if len(arguments) == 2:
        second = arguments[1].run
        return Shortcut(lambda row: call(first(row), second(row)), function.gives)
    column = arguments[0].column
    if not column or quick is None:
        return Shortcut(lambda row: call(first(row)), function.gives)

    def of_column(row: Row) -> Any:
        text = row.get(column)
        return None if text is None else quick(text)

    return Shortcut(of_column, function.gives)


def _truth(part: Shortcut) -> Run:
    """An empty text or object is false, and so is what is not there."""
    run = part.run
    return run if part.gives == "truth" else lambda row: bool(run(row))


def _text(value: Any) -> str:
    """What ``&`` makes of a value: nothing of what is not there, ``true`` of true."""
    if isinstance(value, str):
        return value
    return "" if value is None else "true" if value else "false"


def _or(left: Run, right: Run) -> Shortcut:
    return Shortcut(lambda row: bool(left(row) or right(row)), "truth")


def _and(left: Run, right: Run) -> Shortcut:
    return Shortcut(lambda row: bool(left(row) and right(row)), "truth")


def _equal(left: Shortcut, right: Shortcut) -> Shortcut:
    if left.column and right.constant:
        column, text = left.column, right.run({})
        return Shortcut(lambda row: row.get(column) == text, "truth")
    first, second = left.run, right.run

    def equal(row: Row) -> bool:
        one = first(row)
        return one is not None and bool(one == second(row))

    return Shortcut(equal, "truth")


def _unequal(left: Shortcut, right: Shortcut) -> Shortcut:
    first, second = left.run, right.run

    def unequal(row: Row) -> bool:
        one, other = first(row), second(row)
        return one is not None and other is not None and bool(one != other)

    return Shortcut(unequal, "truth")


_COMPARED = {"=": _equal, "!=": _unequal}


def _among(left: Shortcut, texts: frozenset[str]) -> Shortcut:
    run, column = left.run, left.column
    if column:
        return Shortcut(lambda row: row.get(column) in texts, "truth")

    def among(row: Row) -> bool:
        one = run(row)
        return isinstance(one, str) and one in texts

    return Shortcut(among, "truth")


def _exists(argument: Shortcut) -> Shortcut:
    run, column = argument.run, argument.column
    return Shortcut((lambda row: column in row) if column else (lambda row: run(row) is not None), "truth")


def _not(argument: Shortcut) -> Shortcut:
    run = argument.run

    def negated(row: Row) -> bool | None:
        value = run(row)
        return None if value is None else not value

    return Shortcut(negated, "truth")


_OWN: Mapping[str, Callable[[Shortcut], Shortcut]] = {"exists": _exists, "not": _not}
