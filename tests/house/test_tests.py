"""The tests themselves: each can fail, none replaces what it tests, and none waits for a while and hopes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
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


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Calls:
    """Which functions of the tests a function calls, found by where a name comes from and not by the name alone.

    ``functions`` are all functions of ``files``; ``methods`` are those of classes, by name. Whose method is called cannot be
    told from the text: such a call can fail only if every method of that name can.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.functions: dict[tuple[Path, str], list[Function]] = defaultdict(list)
        self.methods: dict[str, list[Function]] = defaultdict(list)
        self._imported: dict[Path, dict[str, tuple[Path, str]]] = {}
        for path in files:
            self._read(path)

    def _read(self, path: Path) -> None:
        self._imported[path] = imported_from_tests(path)
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                for one in node.body:
                    if isinstance(one, Function):
                        self.methods[one.name].append(one)
        of_classes = {id(one) for found in self.methods.values() for one in found}
        for node in ast.walk(parsed(path)):
            if isinstance(node, Function) and id(node) not in of_classes:
                self.functions[path, node.name].append(node)

    def called(self, path: Path, call: ast.Call) -> list[Function]:
        """The functions that ``call``, which stands in ``path``, may reach; none when it leads out of the tests."""
        if isinstance(call.func, ast.Attribute):
            return self.methods.get(call.func.attr, [])
        name = word(call.func)
        place = self._imported[path].get(name, (path, name))
        return self.functions.get(place, [])


def imported_from_tests(path: Path) -> dict[str, tuple[Path, str]]:
    """Name in the module → where it comes from: the file, and its name there."""
    found: dict[str, tuple[Path, str]] = {}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            origin = TESTS.parent / f"{str(node.module).replace('.', '/')}.py"
            found |= {alias.asname or alias.name: (origin, alias.name) for alias in node.names}
    return found


def blind_tests(files: Sequence[Path]) -> list[str]:
    """The tests of ``files`` that cannot fail, as they contain no judgement and call nothing that does."""
    calls = Calls(files)
    places = {id(node): path for (path, _), nodes in calls.functions.items() for node in nodes}
    nodes = [node for found in (*calls.functions.values(), *calls.methods.values()) for node in found]
    places |= {id(node): path for path in files for node in ast.walk(parsed(path)) if isinstance(node, Function)}
    judging = {id(node) for node in nodes if judges_itself(node)}

    def reaches(node: Function) -> bool:
        for one in ast.walk(node):
            if isinstance(one, ast.Call):
                targets = calls.called(places[id(node)], one)
                if targets and all(id(target) in judging for target in targets):
                    return True
        return False

    while grown := {id(node) for node in nodes if id(node) not in judging and reaches(node)}:
        judging |= grown
    return [
        f"{named(path) if path.is_relative_to(TESTS) else path.name}:{node.lineno} {name}"
        for (path, name), found in calls.functions.items()
        for node in found
        if name.startswith("test_") and id(node) not in judging
    ]


def judges_itself(node: Function) -> bool:
    def judges(one: ast.AST) -> bool:
        return isinstance(one, ast.Assert | ast.Raise) or (isinstance(one, ast.Call) and word(one.func) in JUDGES)

    return any(judges(one) for one in ast.walk(node))


def test_every_test_can_fail() -> None:
    assert len([node for _, node in functions() if node.name.startswith("test_")]) > 100
    assert blind_tests(FILES) == []


def test_a_function_of_the_same_name_elsewhere_vouches_for_no_test(tmp_path: Path) -> None:
    judging, blind = tmp_path / "judging.py", tmp_path / "test_blind.py"
    judging.write_text("def check() -> None:\n    assert False\n\n\ndef test_judged() -> None:\n    check()\n")
    blind.write_text("def check() -> None:\n    pass\n\n\ndef test_blind() -> None:\n    check()\n")
    assert blind_tests([judging, blind]) == ["test_blind.py:5 test_blind"]
