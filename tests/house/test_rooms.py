"""The house keeps its rooms: small folders, one word for one thing."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "adapters", "consumers", "gateway")
MODULES_MOST = 12
"""Of a folder: with more, a reader no longer sees from the names where to look."""


def modules(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_flat(package: str) -> None:
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in modules(package))
    assert {folder: count for folder, count in counts.items() if count > MODULES_MOST} == {}, "a concept is missing: name it"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_class_name_stands_once_in_a_package(package: str) -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in modules(package):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}, "one word, one thing"
