"""The documents say what is there."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from schemas.arrival.flags import FLAGS
from tests.house.test_rooms import PACKAGES, modules

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def _build() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.pages())


def test_the_reference_is_what_the_code_says() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "docs" / "reference").iterdir()}
    assert _build() == written, "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = [link for link in _LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert dead == []


_FLAGGED = re.compile(
    r"""(?:flag|_wrong)\("([a-z]+(?:-[a-z]+)*)"|"([a-z]+(?:-[a-z]+)+)\ at\ |^(?:[A-Z_]+)\ =\ "([a-z-]+)"\n\"{3}Flag:""",
    re.M | re.X,
)


def test_every_flag_that_a_translator_or_the_intake_raises_is_explained() -> None:
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "adapters").rglob("*.py")))
    raised = {next(filter(None, found)) for found in _FLAGGED.findall(sources)}
    assert raised == set(FLAGS)


def test_make_alone_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    assert targets - set(re.findall(r"^([a-z]+):.*## ", makefile, re.M)) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_of_a_function_hides_that_it_refuses(package: str) -> None:
    """ "Nothing when …" tells only what happens to whoever is let through. The docstring of an error is its message."""
    hidden = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (ast.get_docstring(node) or "").startswith("Nothing ")
    ]
    assert hidden == [], "say what it refuses"
