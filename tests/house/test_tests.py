"""The tests themselves: each can fail, none replaces what it tests, and none waits for a while and hopes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(path for path in TESTS.rglob("*.py") if "bench" not in path.parts)
"""A bench measures; it is no test."""

REPLACING = {"unittest.mock", "mock", "pytest_mock", "setattr", "delattr", "setitem", "delitem", "patch"}
"""Modules and methods that put something else in the place of what is tested. A fake of a port is given as an argument."""

WAITS = {
    "patience.py": "asks again and again until something is so: the one place that does",
    "faults/production_faults.py": "is about how long an engine is away",
    "faults/projection_child.py": "stands still in the middle of a transaction, to be killed there",
}
"""Files that may let time pass, and why."""
OPEN_TO_ALL = {"tempfile"}
"""Modules of the standard library whose variables are there to be set."""
JUDGES = {"raises", "fail", "exit", "validate_response"}
"""Calls that fail a test by themselves."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def word(node: ast.expr) -> str:
    """Last word of a name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def named(path: Path) -> str:
    return str(path.relative_to(TESTS))


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def replaced(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, first = word(node.func.value), word(node.args[0]) if node.args else ""
            names = [node.func.attr] if owner == "monkeypatch" and first not in OPEN_TO_ALL else []
        yield from (f"line {node.lineno}: {name}" for name in names if name in REPLACING)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_nothing_is_replaced_under_what_is_tested(path: Path) -> None:
    assert list(replaced(path)) == [], "give a fake of a port as an argument instead"


def waits(path: Path) -> Iterator[str]:
    """Sleeps. One of no length lets the others run and is no wait."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and word(node.func) == "sleep":
            given = node.args[0] if node.args else None
            if not (isinstance(given, ast.Constant) and given.value == 0):
                yield f"line {node.lineno}"


@pytest.mark.parametrize("path", [path for path in FILES if named(path) not in WAITS], ids=named)
def test_nothing_is_waited_for_by_the_clock(path: Path) -> None:
    assert list(waits(path)) == [], "wait with tests.patience: `eventually`, `until`, or `pass_time` where it is about time"


def words(node: ast.AST) -> set[str]:
    """What a function calls."""
    return {word(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}


@cache
def judging() -> Mapping[str, bool]:
    """Name of a function of the tests → whether it, or what it calls, can fail."""
    calls: dict[str, set[str]] = {}
    found = set(JUDGES)
    for _, node in functions():
        calls[node.name] = calls.get(node.name, set()) | words(node)
        if any(isinstance(one, ast.Assert | ast.Raise) for one in ast.walk(node)):
            found.add(node.name)
    while grown := {name for name, used in calls.items() if used & found} - found:
        found |= grown
    return dict.fromkeys(found, True)


def test_every_test_can_fail() -> None:
    tests = [(path, node) for path, node in functions() if node.name.startswith("test_")]
    assert len(tests) > 100
    blind = [f"{named(path)}:{node.lineno} {node.name}" for path, node in tests if node.name not in judging()]
    assert blind == []
