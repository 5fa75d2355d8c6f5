"""Tokenizes a JSONata expression to find, without running it, which columns it reads and which functions it calls.

It is only given expressions that the engine has compiled, so it need not check their syntax.

Source: JSONata 2.0, https://docs.jsonata.org (path, predicate, construction and programming operators).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple


class TokenKind(Enum):
    """What a token is."""

    NAME = "name"
    QUOTED = "quoted"
    """A name in backticks, which is never a keyword."""
    VARIABLE = "variable"
    TEXT = "text"
    NUMBER = "number"
    PATTERN = "pattern"
    SIGN = "sign"


class Token(NamedTuple):
    """One word of an expression."""

    kind: TokenKind
    text: str
    """A name without its backticks, a variable without its ``$``, a text without its quotes."""
    at: int
    """Offset in the expression."""


_TOKEN = re.compile(
    r"""(?P<space>\s+|/\*.*?\*/)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |`(?P<quoted>[^`]*)`
    |\$(?P<variable>\$|[^\W\d][\w]*|)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    |(?P<sign>\*\*|\.\.|:=|!=|<=|>=|~>|\?\?|\?:|[-+*/%|=<>^&!~?:;@#,.(){}\[\]])
    |(?P<name>[^\s$`"'\-+*/%|=<>^&!~?:;@\#,.(){}\[\]]+)""",
    re.VERBOSE | re.DOTALL,
)
_PATTERN = re.compile(r"/(?:[^/\\\n]|\\.)+/[im]*")
_ESCAPES = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}

_INFIX_WORDS = frozenset({"and", "or", "in"})
_LITERALS = frozenset({"true", "false", "null"})
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


def tokens(expression: str) -> list[Token]:
    """The tokens of ``expression``, white space and comments left out."""
    found: list[Token] = []
    at = 0
    while at < len(expression):
        pattern = _PATTERN.match(expression, at) if expression[at] == "/" and not _ends_value(found) else None
        match = pattern or _TOKEN.match(expression, at)
        if match is None:
            at += 1
            continue
        if pattern:
            found.append(Token(TokenKind.PATTERN, match[0], at))
        elif match.lastgroup != "space":
            found.append(_token(match, at))
        at = match.end()
    return found


def _token(match: re.Match[str], at: int) -> Token:
    group = str(match.lastgroup)
    text = match[group]
    if group == "text":
        return Token(TokenKind.TEXT, _ESCAPES.sub(_unescape, text[1:-1]), at)
    return Token(TokenKind(group), text, at)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)


def _ends_value(found: Sequence[Token]) -> bool:
    """Whether a value stands before: then ``/`` divides, ``*`` multiplies and ``[`` is a predicate."""
    if not found:
        return False
    last = found[-1]
    return (
        last.text in _CLOSING
        if last.kind is TokenKind.SIGN
        else not (last.kind is TokenKind.NAME and last.text in _INFIX_WORDS)
    )


class Names(NamedTuple):
    """What an expression refers to."""

    columns: frozenset[str]
    """Names read from the row itself."""
    whole: bool
    """It may read any column: it has ``$``, ``$$``, a wildcard or a path whose steps cannot be told from columns."""
    calls: tuple[FunctionCall, ...]
    free: tuple[Token, ...]
    """Variables that are neither called nor bound by the expression."""


class FunctionCall(NamedTuple):
    """One call of a function that the expression does not define."""

    name: str
    at: int
    arguments: int
    first: str | None
    """The first argument when it is a text."""


def names(found: Sequence[Token]) -> Names:
    """What the expression made of these tokens refers to."""
    bound = _bound(found)
    columns, whole = _columns(found)
    calls, free = [], []
    for place, token in enumerate(found):
        if token.kind is not TokenKind.VARIABLE or token.text in bound:
            continue
        if token.text in ("", "$"):
            whole = True
        elif _sign(found, place + 1) == "(":
            calls.append(_call(found, place))
        else:
            free.append(token)
    return Names(frozenset(columns), whole, tuple(calls), tuple(free))


def _sign(found: Sequence[Token], place: int) -> str:
    return found[place].text if 0 <= place < len(found) and found[place].kind is TokenKind.SIGN else ""


def _bound(found: Sequence[Token]) -> frozenset[str]:
    """Variables that the expression itself gives a value: ``$x := …``, parameters, ``@$x`` and ``#$x``."""
    bound, parameters = set(), False
    for place, token in enumerate(found):
        if token.kind is TokenKind.NAME and token.text in ("function", "λ") and _sign(found, place + 1) == "(":
            parameters = True
        elif parameters and _sign(found, place) == ")":
            parameters = False
        elif token.kind is TokenKind.VARIABLE and (
            parameters or _sign(found, place + 1) == ":=" or _sign(found, place - 1) in ("@", "#")
        ):
            bound.add(token.text)
    return frozenset(bound)


def _columns(found: Sequence[Token]) -> tuple[set[str], bool]:
    columns: set[str] = set()
    whole = False
    for place, relative in _places(found):
        token, after_dot = found[place], _sign(found, place - 1) == "."
        if token.kind is TokenKind.SIGN and token.text in ("*", "**", "%") and not _ends_value(found[:place]):
            whole = True
        elif _names_a_field(found, place):
            whole = whole or (relative and not after_dot)
            if not after_dot and not relative:
                columns.add(token.text)
    return columns, whole


def _names_a_field(found: Sequence[Token], place: int) -> bool:
    token = found[place]
    if token.kind is not TokenKind.NAME or token.text in _LITERALS:
        return token.kind is TokenKind.QUOTED
    if token.text in _INFIX_WORDS and _ends_value(found[:place]):
        return False
    return not (token.text in ("function", "λ") and _sign(found, place + 1) == "(")


def _places(found: Sequence[Token]) -> Iterator[tuple[int, bool]]:
    """Every place, and whether names there start elsewhere than at the row: in ``a.(…)``, ``a[…]``, ``a{…}``, ``a^(…)``."""
    open_brackets: list[bool] = []
    for place, token in enumerate(found):
        sign = _sign(found, place)
        if sign in _CLOSING and open_brackets:
            open_brackets.pop()
        yield place, bool(open_brackets) and open_brackets[-1]
        if sign in _OPENING:
            before = _sign(found, place - 1)
            steps = before in (".", "^") or (token.text != "(" and _ends_value(found[:place]))
            open_brackets.append(steps or (bool(open_brackets) and open_brackets[-1]))


def _call(found: Sequence[Token], place: int) -> FunctionCall:
    depth, commas, inner = 0, 0, 0
    for token in found[place + 1 :]:
        sign = token.text if token.kind is TokenKind.SIGN else ""
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0:
            break
        inner += 1
        commas += sign == "," and depth == 1
    first = found[place + 2] if inner > 1 else None
    text = first.text if first and first.kind is TokenKind.TEXT and _sign(found, place + 3) in (",", ")") else None
    return FunctionCall(found[place].text, found[place].at, commas + 1 if inner > 1 else 0, text)
