"""The Dockerfile: what can be seen of it without building it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from gateway.settings.shapes import KEYS
from tests.deploy.files import DEPLOY, ROOT, image, image_environment, settings_of


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_the_user_it_makes_and_that_is_not_root() -> None:
    (user,) = [rest for name, rest in image() if name == "USER"]
    assert user.isdecimal() and int(user) > 0  # a name could not be checked by runAsNonRoot
    (made,) = [rest for name, rest in image() if name == "RUN" and "useradd" in rest]
    assert f"--uid {user}" in made
    names = [name for name, _ in image()]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in ("RUN", "COPY"))


def test_what_it_sets_are_settings_and_they_hold_together(tmp_path: Path) -> None:
    variables = {name for name in image_environment() if name.startswith("BACKBONE_")}
    assert variables <= {key.variable for key in KEYS}
    settings = settings_of({}, [], tmp_path)
    (exposed,) = [rest for name, rest in image() if name == "EXPOSE"]
    assert settings.health is not None
    assert {int(port) for port in exposed.split()} == {settings.http.port, settings.mllp.port, settings.health.port}
    assert settings.health.host == "127.0.0.1"
    (check,) = [rest for name, rest in image() if name == "HEALTHCHECK"]
    assert f"http://{settings.health}/health/live" in check


def test_the_data_folder_is_the_only_place_it_writes_to() -> None:
    (volume,) = [rest for name, rest in image() if name == "VOLUME"]
    assert volume == image_environment()["BACKBONE_DATA"]


def test_it_is_built_from_every_package_and_from_nothing_that_is_not_sent_to_the_builder() -> None:
    copied = {
        word
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) <= copied
    assert all((ROOT / name).exists() for name in copied)
    sent = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == sent
