"""The packages are this repository's: published packages of the same names exist and could shadow them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["schemas", "adapters", "consumers", "gateway"])
def test_package_loads_from_this_repository(name: str) -> None:
    assert Path(str(importlib.import_module(name).__file__)).is_relative_to(ROOT)


@pytest.mark.parametrize("init", sorted(ROOT.glob("[sacg]*/**/__init__.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_init_holds_a_docstring_only(init: Path) -> None:
    import ast

    body = ast.parse(init.read_text()).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr), "import the defining module instead of re-exporting"
