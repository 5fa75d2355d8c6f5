"""The documentation lists every setting as the code has it, and its example works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gateway.settings.keys import FILE, KEYS, SOURCE_KEYS, Key, SourceKey
from gateway.settings.read import read_settings
from schemas.source import Sector

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def row(key: Key) -> str:
    names = [key.name + suffix for suffix in ("", FILE) if (suffix and key.by_file) or (not suffix and not key.secret)]
    variables = [key.variable + suffix.upper() for suffix in ("", FILE) if key.by_file or not suffix]
    default = "" if key.default is None else f"`{key.default}`"
    cells = (", ".join(f"`{name}`" for name in names), ", ".join(f"`{name}`" for name in variables), default, key.says)
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
