"""The documentation lists every setting as the code has it, and its example works."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.settings.keys import FILE, SOURCE_KEYS, Key, SourceKey
from gateway.settings.read import read_settings
from gateway.settings.shapes import KEYS, Settings
from schemas.source import Sector

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def sentences(tree: ast.Module) -> dict[tuple[str, str], str]:
    """What stands under each field, by class and field."""
    return {
        (shape.name, field.target.id): below.value.value
        for shape in tree.body
        if isinstance(shape, ast.ClassDef)
        for field, below in pairwise(shape.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


SENTENCES = sentences(ast.parse(inspect.getsource(sys.modules[Settings.__module__])))


def says(key: Key) -> str:
    shape = Settings.__annotations__[key.path[0]] if key.path[1:] else Settings
    return SENTENCES.get((shape.__name__, key.path[-1]), "says nothing")


def row(key: Key) -> str:
    names = [key.name + suffix for suffix in ("", FILE) if (suffix and key.by_file) or (not suffix and not key.secret)]
    variables = [key.variable + suffix.upper() for suffix in ("", FILE) if key.by_file or not suffix]
    default = "" if key.default is None else f"`{key.default}`"
    cells = (", ".join(f"`{name}`" for name in names), ", ".join(f"`{name}`" for name in variables), default, says(key))
    return f"| {' | '.join(cells)} |"


def source_row(key: SourceKey) -> str:
    return f"| `{key.name}`{' (required)' if key.required else ''} | {key.says} |"


@pytest.mark.parametrize("line", [*map(row, KEYS), *map(source_row, SOURCE_KEYS)])
def test_a_setting_is_documented(line: str) -> None:
    assert line in DOCUMENT.read_text().splitlines()


def test_nothing_else_is_documented() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(KEYS) + len(SOURCE_KEYS)


def test_every_sector_is_documented() -> None:
    assert all(f"`{sector}`" in DOCUMENT.read_text() for sector in Sector)


def test_the_example_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "backbone.toml").write_text(example)
    (tmp_path / "riverside-adult-care.yaml").write_text("source: riverside-adult-care\n")
    settings = read_settings(tmp_path / "backbone.toml", {})
    assert list(settings.sources) == [table["id"] for table in tomllib.loads(example)["source"]]
