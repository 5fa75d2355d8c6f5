"""The ``[[source]]`` tables: who may send what, by which doors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.settings.faults import Faults
from gateway.settings.keys import SOURCE_KEYS
from gateway.settings.parse import nearest
from gateway.settings.shapes import SourceSettings
from schemas.identifiers import ods_code
from schemas.source import TRACING, Source

FORMATS = ("hl7v2", "fhir", "cloudevents")
"""What ``reads`` may name besides a mapping file."""
MAPPING_SUFFIXES = (".yaml", ".yml")

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""At most 64 characters, safe in a URL's path, a file's name and a CloudEvents source."""

_BY_NAME = {key.name: key for key in SOURCE_KEYS}


def read_sources(tables: object, base: Path, shipped: Path, faults: Faults) -> dict[str, SourceSettings]:
    """The sources by id, in the order of the file; what is wrong with them goes into ``faults``."""
    if not isinstance(tables, list):
        faults.add(("source",), "a source is a table of its own", "Write [[source]], with two brackets, above its keys.")
        return {}
    sources: dict[str, SourceSettings] = {}
    named: set[str] = set()
    for place, table in enumerate(tables):
        before = len(faults.found)
        values = _values(table, place, base, faults)
        organisation = _identified(values, place, faults)
        mapping = _mapping(values["reads"], place, base, shipped, faults) if "reads" in values else None
        if len(faults.found) == before:
            sources[values["id"]] = _source(values, organisation, mapping)
        if values.get("id") in named:
            faults.add(("source", place, "id"), f"two sources are called {values['id']}", "Give one of them another id.")
        named |= {values["id"]} if "id" in values else set()
    return sources


def _values(table: Mapping[str, object], place: int, base: Path, faults: Faults) -> dict[str, Any]:
    """The table's keys parsed one by one."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = _BY_NAME.get(name)
        if key is None:
            hint = nearest(name, _BY_NAME)
            faults.add(("source", place, name), f"a source has no key {name}{hint}", "Correct the name or remove the line.")
            continue
        try:
            values[name] = key.parse(value, base)
        except ValueError as error:
            faults.unreadable(("source", place, name), name, error)
    for key in SOURCE_KEYS:
        if key.required and key.name not in table:
            faults.add(("source", place), f"this source has no {key.name}", f'Add {key.name} = "…". {key.says}')
    return values


def _identified(values: dict[str, Any], place: int, faults: Faults) -> str:
    """The ODS code, ``""`` without one; what is wrong with it or with the id goes into ``faults``."""
    at = ("source", place)
    if "id" in values and not _ID.fullmatch(values["id"]):
        faults.add((*at, "id"), "a source's id cannot be that", "Use lower-case letters, digits and hyphens, at most 64.")
    organisation = ods_code(values["organisation"]) if "organisation" in values else ""
    if organisation is None:
        faults.add((*at, "organisation"), "this is no ODS code", "Write 3 to 12 letters and digits, or leave organisation out.")
    return organisation or ""


def _source(values: Mapping[str, Any], organisation: str, mapping: Path | None) -> SourceSettings:
    own, of_settings = (
        {name: values[name] for name in shape.__struct_fields__ if name in values} for shape in (Source, SourceSettings)
    )
    return SourceSettings(
        source=Source(**own | {"organisation": organisation}),
        mapping=mapping,
        numbers_assumed="nhs_numbers" not in values and values["sector"] not in TRACING,
        **of_settings,
    )


def _mapping(reads: str, place: int, base: Path, shipped: Path, faults: Faults) -> Path | None:
    """The mapping file that ``reads`` names: beside the settings, else one of those that come with the backbone."""
    if reads in FORMATS:
        return None
    at = ("source", place, "reads")
    if not reads.endswith(MAPPING_SUFFIXES):
        faults.add(
            at, f"{reads} is no format{nearest(reads, FORMATS)}", f"Write {', '.join(FORMATS)} or a mapping file, *.yaml."
        )
        return None
    file = next((folder / reads for folder in (base, shipped) if (folder / reads).is_file()), None)
    if file is None:
        cure = f"Put it beside the settings, or make a first one with `backbone source scaffold`. Looked in {base}."
        faults.add(at, f"there is no mapping file {reads}", cure)
    return file
