"""The files of ``deploy/`` as data, and the settings a container of them would start with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.settings.read import read_settings
from gateway.settings.shapes import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SECRET = "0123456789abcdef0123456789abcdef"


def documents(file: Path) -> list[dict[str, Any]]:
    """Every document of a YAML file."""
    return list(yaml.safe_load_all(file.read_text()))


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Kubernetes resource, with the name of its file."""
    for file in sorted(KUBERNETES.glob("*.yaml")):
        for document in documents(file):
            yield file.name, document


def image() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile's last stage, in order."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line.partition(" ") for line in text.splitlines() if line and not line.startswith(("#", " "))]
    instructions = [(name, rest.strip()) for name, _, rest in lines]
    last = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last:]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    (text,) = [rest for name, rest in image() if name == "ENV"]
    return dict(re.findall(r"(\w+)=(\S+)", text))


def settings_of(environment: Mapping[str, str], command: list[str], folder: Path) -> Settings:
    """The settings of a container: its secret files stand in ``folder``. Raises what the start would."""
    options = {name: command[command.index(f"--{name}") + 1] for name in ("http", "mllp") if f"--{name}" in command}
    given = {name: value for name, value in {**image_environment(), **environment}.items() if name.startswith("BACKBONE_")}
    for name in ("BACKBONE_KEY_SECRET_FILE", "BACKBONE_STORE_FILE"):
        if name in given:
            content = SECRET if "KEY" in name else "postgresql://backbone:secret@postgres/backbone"
            (folder / name).write_text(content)
            given[name] = str(folder / name)
    given.pop("BACKBONE_CONFIG", None)
    return read_settings(environment=given, options=options, text="")
