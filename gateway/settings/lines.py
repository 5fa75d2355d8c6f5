"""On which line of a TOML text each key stands: ``tomllib`` does not say, and a fault without its line costs an hour.

The text has been read by ``tomllib`` before, so that it is known to be valid here.

Source: TOML 1.0.0, sections Keys, Table, Array of Tables.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

KeyPath = tuple[str | int, ...]
"""Names of tables and keys from the root; an array of tables adds the element's place: ``("source", 1, "reads")``."""

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|.",
    re.DOTALL,
)
_OPENS, _CLOSES = "[{", "]}"


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table and key in ``text``; what stands in an inline table has no line of its own."""
    found: dict[KeyPath, int] = {}
    elements: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    for line, statement in _statements(text):
        if statement.startswith("[["):
            array = _placed(_names(statement[2:-2]), elements)
            table = (*array, elements[array])
            elements[array] += 1
            found[table] = line
        elif statement.startswith("["):
            table = _placed(_names(statement[1:-1]), elements)
            found[table] = line
        else:
            found[(*table, *_names(_before_value(statement)))] = line
    return found


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """The line of ``path``, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header and each key with its value, without comments, and the line it begins on."""
    line, depth, begun, parts = 1, 0, 1, list[str]()
    for match in _PIECE.finditer(text + "\n"):
        piece = match[0]
        if depth == 0 and piece in "\n":
            statement = "".join(parts).strip()
            if statement:
                yield begun, statement
            parts, begun = [], line + 1
        elif not piece.startswith("#"):
            depth += (piece in _OPENS) - (piece in _CLOSES)
            parts.append(piece)
        line += piece.count("\n")


def _before_value(statement: str) -> str:
    """The key of ``statement``; a quoted key may hold an equals sign."""
    key = list[str]()
    for match in _PIECE.finditer(statement):
        if match[0] == "=":
            break
        key.append(match[0])
    return "".join(key)


def _names(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, with quotes and escapes resolved by the real parser."""
    names, table = list[str](), tomllib.loads(f"{key} = 0")
    level: Any = table
    while isinstance(level, dict):
        ((name, level),) = level.items()
        names.append(name)
    return tuple(names)


def _placed(names: tuple[str, ...], elements: Counter[KeyPath]) -> KeyPath:
    """``names`` with the place of the newest element after each name of an array of tables but the last."""
    path: KeyPath = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if elements[path] and position < len(names) - 1:
            path = (*path, elements[path] - 1)
    return path
