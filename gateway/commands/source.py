"""``backbone source``: the sources in the settings and their mappings."""

from __future__ import annotations

import inspect
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.ingest import opened
from gateway.settings.keys import SOURCE_KEYS, SourceKey
from gateway.settings.mapping import UTF8, mapping_text
from gateway.settings.values import Door
from gateway.terminal.frame import DONE, WRONG_USE, Call
from gateway.terminal.plural import counted
from gateway.terminal.show import json_line, table
from schemas.errors import MappingError, SettingsError
from schemas.source import TRACING, NumbersAre, Sector, VisitNumbersAre

if TYPE_CHECKING:
    from gateway.settings.shapes import SourceSettings

TABLES = {"match": "sending_application=PAS", "places": "KM='Kingsmill Ward'"}
"""The keys of a source that are tables, with an example of how to give each as an argument."""
METAVARS = dict.fromkeys(TABLES, "KEY=VALUE") | {
    "sector": "|".join(Sector),
    "doors": "|".join(Door),
    "nhs_numbers": "|".join(NumbersAre),
    "visit_numbers": "|".join(VisitNumbersAre),
    "folder": "FOLDER",
}
"""What may follow the option of a key that does not take any text."""


def list_sources(call: Call) -> None:
    """List the declared sources."""
    sources = list(call.settings().sources.values())
    if call.json:
        json_line([_described(source) for source in sources])
    elif sources:
        rows = [(s.source.id, s.source.name, s.source.sector, s.reads, ", ".join(sorted(s.doors))) for s in sources]
        table(("Id", "Name", "Sector", "Reads", "Doors"), rows)
    else:
        print("No source is declared. `backbone source add --help` shows how to declare one.")


def _described(settings: SourceSettings) -> dict[str, object]:
    source = settings.source
    return {
        "id": source.id,
        "name": source.name,
        "sector": source.sector,
        "organisation": source.organisation or None,
        "nhs_numbers": source.nhs_numbers,
        "reads": settings.reads,
        "mapping": str(settings.mapping) if settings.mapping else None,
        "doors": sorted(settings.doors),
        "folder": str(settings.folder) if settings.folder else None,
    }


def add_source(call: Call, **given: Any) -> None:
    """Declare a source in the settings file, which is created if there is none."""
    from gateway.settings.read import FILE_NAME, read_settings, settings_file

    file = settings_file(call.config) or Path(FILE_NAME).resolve()
    before = file.read_text(UTF8) if file.is_file() else ""
    after = before + ("\n" if before else "") + _toml(given | {name: _pairs(name, given[name]) for name in TABLES})
    read_settings(file, text=after)
    _replace(file, after)
    if call.json:
        json_line({"id": given["id"], "file": str(file)})
    else:
        print(f"{given['id']} is declared in {file}. A running server picks it up in a moment.")
        if not given["nhs_numbers"] and Sector(given["sector"]) not in TRACING:
            print(_ASSUMED)


_ASSUMED = """Records are linked on its NHS numbers. If people type them and no system checks them against the national
register, write nhs_numbers = "stated" into its table; if one does, "traced"."""


def _parameter(key: SourceKey) -> inspect.Parameter:
    """The option of ``source add`` for one key of a source."""
    if key.name == "id":
        kind: object = Annotated[str, typer.Argument(metavar="ID", help=key.says)]
    elif key.name in (*TABLES, "doors"):
        kind = Annotated[list[str] | None, typer.Option(metavar=METAVARS[key.name], help=key.says + " May be repeated.")]
    else:
        kind = Annotated[str, typer.Option(metavar=METAVARS.get(key.name, "TEXT"), help=key.says)]
    default = inspect.Parameter.empty if key.required else None if key.name in (*TABLES, "doors") else ""
    return inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


_OPTIONS = [inspect.Parameter("call", inspect.Parameter.POSITIONAL_OR_KEYWORD), *map(_parameter, SOURCE_KEYS)]
add_source.__signature__ = inspect.Signature(_OPTIONS)  # type: ignore[attr-defined] # what typer reads, from the table of keys


def _pairs(name: str, given: list[str] | None) -> dict[str, str]:
    """The table that ``KEY=VALUE`` texts stand for. Raises `SettingsError`."""
    if not all("=" in pair for pair in given or ()):
        raise SettingsError(f"--{name} is not KEY=VALUE", where=f"--{name}", cure=f"For example --{name} {TABLES[name]}.")
    return dict(pair.split("=", 1) for pair in given or ())


def _toml(values: dict[str, object]) -> str:
    """One ``[[source]]`` table, without the empty values."""
    lines = [f"{key} = {_toml_value(value)}" for key, value in values.items() if value]
    return "\n".join(["[[source]]", *lines, ""])


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_value(key)} = {_toml_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(inner) for inner in value) + "]"
    return '"' + "".join(_ESCAPES.get(character, character) for character in str(value)) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}
"""TOML 1.0.0, basic strings."""


def _replace(file: Path, text: str) -> None:
    """Write ``text`` to ``file``, all of it or nothing, keeping the file's permissions."""
    mode = file.stat().st_mode if file.is_file() else 0o644
    handle, draft = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).chmod(mode & 0o777)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def scaffold(
    call: Call,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source the mapping is for.")],
    sample: Annotated[Path, typer.Argument(metavar="FILE", help="A sample of what it sends; its header matters most.")],
) -> None:
    """Write SOURCE.yaml beside the settings file, or into the working folder, from a sample."""
    from adapters.tabular.mapping.scaffold import scaffold as first_mapping
    from gateway.settings.read import settings_file

    settings = settings_file(call.config)
    file = (settings.parent if settings else Path.cwd()) / f"{source}.yaml"
    with opened(sample) as content:
        text = first_mapping(content, sample.name, source)
    if file.exists():
        raise SettingsError("this mapping file is there already", where=str(file), cure="Move it away first: it may hold work.")
    _replace(file, text)
    if call.json:
        json_line({"source": source, "mapping": str(file)})
    else:
        print(f"{file} is a first guess for you to correct. {_next_step(call, source)}")


def _next_step(call: Call, source: str) -> str:
    """What to do with a new mapping file."""
    from gateway.settings.read import settings_file

    file = settings_file(call.config)
    if file and f'"{source}"' in file.read_text(UTF8):
        return f"Then run `backbone source check {source}`."
    return f"Then declare the source: `backbone source add {source} --reads {source}.yaml …`."


def check(
    call: Call, sources: Annotated[list[str] | None, typer.Argument(metavar="SOURCE…", help="Ids; all by default.")] = None
) -> int:
    """Run the tests inside the mapping files. Returns 2 (wrong use) when one fails; a faulty file is raised."""
    told: list[dict[str, Any]] = []
    faults: list[MappingError] = []
    for settings in chosen(call, sources):
        try:
            told += _outcomes(settings)
        except MappingError as fault:
            faults.append(fault)
    failed = sum(1 for test in told if test["differences"])
    if call.json:
        json_line({"failed": failed, "tests": told})
    elif told or not faults:
        _print_checked(told)
    if faults:
        raise ExceptionGroup("mappings", faults)
    return WRONG_USE if failed else DONE


def _outcomes(settings: SourceSettings) -> list[dict[str, Any]]:
    """The outcome of each test in the source's mapping. Raises `MappingError`."""
    from adapters.tabular.check import check as outcomes_of
    from adapters.tabular.mapping.load import load_mapping

    if settings.mapping is None:
        return []
    mapping = load_mapping(mapping_text(settings.mapping), str(settings.mapping))
    about = {"source": settings.source.id, "mapping": str(settings.mapping)}
    return [about | outcome._asdict() for outcome in outcomes_of(mapping, settings.source)]


_NO_TESTS = "No mapping holds a test. Add `tests:` with a row and what it makes: docs/mapping-files.md."


def _print_checked(told: list[dict[str, Any]]) -> None:
    for test in told:
        about = f" ({test['about']})" if test["about"] else ""
        print(f"{'failed' if test['differences'] else 'passed'}  {test['mapping']} line {test['line']}{about}")
        for difference in test["differences"]:
            print(f"        {difference}")
    failed = sum(1 for test in told if test["differences"])
    print(f"{counted(len(told), 'test')}, {failed} failed." if told else _NO_TESTS)


def chosen(call: Call, ids: list[str] | None) -> list[SourceSettings]:
    """The sources with these ids, or all of them. Raises `SettingsError` for an id that is not declared."""
    sources = call.settings().sources
    unknown = [each for each in ids or () if each not in sources]
    if unknown:
        known = ", ".join(sources) or "none"
        raise SettingsError(f"no source {unknown[0]} is declared", where="ID", cure=f"The declared sources are: {known}.")
    return [sources[each] for each in ids] if ids else list(sources.values())
