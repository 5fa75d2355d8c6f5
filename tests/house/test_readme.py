"""The README's first quarter of an hour, followed to the letter."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

from tests.command_line import Backbone

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_SECTION = README.partition("## A first quarter of an hour")[2].partition("\n## ")[0]
_BLOCKS = [textwrap.dedent(block) for block in re.findall(r"^   ```\w*\n(.*?)^   ```", _SECTION, re.MULTILINE | re.DOTALL)]


def _block(word: str) -> str:
    return next(block for block in _BLOCKS if word in block)


def _commands(word: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in _block(word).replace("\\\n", " ").splitlines() if line.startswith("backbone ")]


def test_a_newcomer_who_types_what_the_readme_says_wires_the_charity(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path)
    (tmp_path / "export.csv").write_text(_block("Client Ref;"))
    for command in _commands("source scaffold"):
        assert backbone(*command).status == 0
    mapping = tmp_path / "hearthside.yaml"
    drafted = mapping.read_text()
    before, after = drafted.partition("each:\n")[0], drafted.partition("# Run by `backbone source check`")[2]
    mapping.write_text(before + _block("each:\n") + "# " + after)
    check, translate = _commands("source check")
    assert backbone(*check).status == 0
    outcome = backbone(*translate)
    promised = [line.removesuffix("…") for line in _block("line 2: ").splitlines()]
    assert len(promised) == 3
    assert [line[: len(said)] for line, said in zip(outcome.out.splitlines(), promised, strict=False)] == promised
    assert backbone("ingest", "hearthside", "export.csv").status == 1
