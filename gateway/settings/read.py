"""Reads the settings: defaults, overridden by ``backbone.toml``, overridden by the environment.

* The file is ``--config FILE``, else ``BACKBONE_CONFIG``, else ``backbone.toml`` of the working folder, else there is none.
* Relative paths start from the file's folder, in an environment variable from the working folder.
* An empty variable counts as not given: that is how compose files and service managers unset one.
* A secret is given by a variable, or by the name of a file that holds it (``…_FILE``, ``…_file``), never in the settings file,
  which is copied, mailed and committed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.settings.check import contradictions
from gateway.settings.faults import Faults
from gateway.settings.keys import FILE, PREFIX, Key, filled
from gateway.settings.lines import KeyPath, key_lines
from gateway.settings.mapping import UTF8
from gateway.settings.parse import nearest
from gateway.settings.shapes import KEYS, Settings
from gateway.settings.sources import read_sources
from gateway.settings.values import Url
from schemas.errors import SettingsError

FILE_NAME = "backbone.toml"
CONFIG = PREFIX + "CONFIG"
NOT_SETTINGS = (CONFIG, PREFIX + "TEST_")
"""Variables of the prefix that are no settings: the file's own name, and what the test command reads."""
SHIPPED_MAPPINGS = Path(__file__).parents[2] / "adapters" / "tabular" / "mappings"
"""Mapping files that come with the backbone; one of the same name beside the settings file wins."""


class _Given(NamedTuple):
    """One value as the operator gave it."""

    value: object
    base: Path
    """What a relative path in it starts from."""


def settings_file(config: Path | None = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The file the settings come from, absolute; ``None`` when none is named and none is here."""
    environment = os.environ if environment is None else environment
    named = config or (Path(environment[CONFIG]) if environment.get(CONFIG) else None)
    if named is not None:
        return named.resolve()
    here = Path(FILE_NAME).resolve()
    return here if here.is_file() else None


def read_settings(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    text: str | None = None,
) -> Settings:
    """The settings, complete and checked; with ``text`` as they would be if the file held that.

    ``options`` are keys given in the arguments: they override the environment.

    Raises an ``ExceptionGroup`` of `SettingsError`, one for each thing that is missing, unknown or contradictory.
    """
    environment = os.environ if environment is None else environment
    file = settings_file(config, environment)
    table, faults = _read_file(file, text)
    base = file.parent if file else Path.cwd()
    given, secret_files = _given(table, environment, base, faults)
    for name, value in (options or {}).items():
        faults.stands_at((name,), (name,))
        faults.comes_from((name,), f"--{name}")
        given[name] = _Given(value, Path.cwd())
    values = _values(given, base, faults)
    sources = read_sources(table.get("source", []), base, SHIPPED_MAPPINGS, faults)
    faults.stop()
    for key in KEYS:
        if values[key.name] is None and key.otherwise:
            values[key.name] = key.otherwise(values)
    settings = filled(Settings, values, sources=sources, file=file, secret_files=secret_files)
    for fault in contradictions(settings):
        faults.add(*fault)
    faults.stop()
    return settings


def _read_file(file: Path | None, text: str | None) -> tuple[dict[str, Any], Faults]:
    """The file's table, and where faults of its keys are gathered."""
    if file is None:
        return {}, Faults()
    try:
        text = file.read_text(UTF8) if text is None else text
        return tomllib.loads(text), Faults(file, key_lines(text))
    except OSError as error:
        message = f"the settings file cannot be read: {error.strerror}"
        fault = SettingsError(message, where=str(file), cure=f"Correct --config or {CONFIG}, or the file's permissions.")
    except UnicodeDecodeError as error:
        where = f"{file}, byte {error.start + 1}"
        fault = SettingsError("the settings file is not UTF-8", where=where, cure="Save it as UTF-8.")
    except tomllib.TOMLDecodeError as error:
        cure = "Correct it; https://toml.io shows how."
        fault = SettingsError(f"the settings file is not valid TOML: {error}", where=str(file), cure=cure)
    raise ExceptionGroup("settings", [fault]) from None


def _given(
    table: dict[str, Any], environment: Mapping[str, str], base: Path, faults: Faults
) -> tuple[dict[str, _Given], tuple[Path, ...]]:
    """What the operator gave, by the key's name; the files that secrets were read from."""
    given: dict[str, _Given] = {}
    files: list[Path] = []
    _refuse_unknown(table, environment, faults)
    for key in KEYS:
        name = key.path[-1]
        level = _level(table, key.path[:-1])
        in_file = {suffix: level[name + suffix] for suffix in ("", FILE) if name + suffix in level}
        variables = {suffix: key.variable + suffix.upper() for suffix in ("", FILE)}
        in_environment = {suffix: environment[name] for suffix, name in variables.items() if environment.get(name)}
        _refuse_secret(key, in_file, faults)
        for values, place, variable in ((in_file, base, ""), (in_environment, Path.cwd(), key.variable)):
            if not values:
                continue
            if len(values) > 1:
                faults.add(key.path, f"{key.name} is given both itself and by a file", "Remove one of the two.")
            ((suffix, value), *_) = values.items()
            written = (*key.path[:-1], name + suffix)
            faults.stands_at(key.path, written)
            if variable:
                faults.comes_from(written, f"environment variable {variable}{suffix.upper()}")
            if suffix:
                value = _from_file(written, value, place, files, faults)
            given[key.name] = _Given(value, place)
    return given, tuple(files)


def _level(table: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for name in path:
        below = table.get(name, {})
        table = below if isinstance(below, dict) else {}
    return table


def _refuse_secret(key: Key, in_file: Mapping[str, object], faults: Faults) -> None:
    """A secret in the settings file: refused without repeating it."""
    value = in_file.get("")
    holds_password = key.by_file and isinstance(value, str) and Url(value).parts.password is not None
    if (key.secret and value is not None) or holds_password:
        cure = f'Give it by {key.variable}, or write {key.path[-1]}{FILE} = "file" and keep it there, with mode 0600.'
        faults.add(key.path, "a secret may not stand in this file, which is copied and mailed", cure)


def _from_file(written: KeyPath, value: object, base: Path, files: list[Path], faults: Faults) -> object:
    """The content of the file that ``value`` names, without the white space around it."""
    if not isinstance(value, str):
        faults.add(written, "this is no file's name", "Write the file's name between quotes.")
        return None
    file = (base / value).resolve()
    files.append(file)
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        cure = "Correct the name or the file's permissions."
        faults.add(written, f"the file {file} cannot be read: {why}", cure)
        return None


def _values(given: Mapping[str, _Given], base: Path, faults: Faults) -> dict[str, Any]:
    """Every key's value by its name, the default where nothing was given, ``None`` where it is wrong."""
    values: dict[str, Any] = {}
    for key in KEYS:
        value, place = given.get(key.name, _Given(key.default, base))
        try:
            values[key.name] = None if value is None else key.parse(value, place)
        except ValueError as error:
            values[key.name] = None
            faults.unreadable(key.path, key.name, error)
    return values


def _refuse_unknown(table: Mapping[str, Any], environment: Mapping[str, str], faults: Faults) -> None:
    """Keys and variables that no setting has: a misspelt one would otherwise be a setting silently not made."""
    paths = [(*key.path[:-1], key.path[-1] + suffix) for key in KEYS for suffix in ("", FILE) if key.by_file or not suffix]
    names = [".".join(path) for path in paths] + ["source"]
    for path in _written(table):
        name = ".".join(path)
        if name not in names:
            faults.add(path, f"there is no setting {name}{nearest(name, names)}", _UNKNOWN)
    variables = [PREFIX + "_".join(path).upper() for path in paths]
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in variables and not variable.startswith(NOT_SETTINGS):
            faults.comes_from((variable,), f"environment variable {variable}")
            faults.add((variable,), f"there is no setting {variable}{nearest(variable, variables)}", _UNKNOWN)


_UNKNOWN = "Correct the name or remove it; docs/settings.md lists all."


def _written(table: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The path of every key in ``table``; a known table's keys one by one, everything else as a whole."""
    tables = {key.path[0] for key in KEYS if len(key.path) > 1}
    paths = list[tuple[str, ...]]()
    for name, value in table.items():
        if name in tables and isinstance(value, dict):
            paths.extend((name, below) for below in value)
        else:
            paths.append((name,))
    return paths
