"""The ``[[source]]`` tables: who may send what, by which doors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.settings.faults import Faults
from gateway.settings.keys import SOURCE_KEYS
from gateway.settings.parse import nearest
from gateway.settings.shapes import Door, Match, SourceSettings
from schemas.identifiers import ods_code
from schemas.source import TRACING, NumbersAre, Sector, Source, VisitNumbersAre

FORMATS = ("hl7v2", "fhir", "cloudevents")
"""What ``reads`` may name besides a mapping file."""
MAPPING_SUFFIXES = (".yaml", ".yml")

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""At most 64 characters, safe in a URL's path, a file's name and a CloudEvents source."""

_TABLES = ("match", "places")
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
            values[name] = _names(value, name) if name in _TABLES else key.parse(value, base)
        except ValueError as error:
            faults.add(("source", place, name), f"{name} cannot be read", f"{str(error)[:1].upper()}{str(error)[1:]}.")
    for key in SOURCE_KEYS:
        if key.required and key.name not in table:
            faults.add(("source", place), f"this source has no {key.name}", f'Add {key.name} = "…". {key.says}')
    return values


def _names(value: object, name: str) -> dict[str, str]:
    """A table of texts."""
    if not isinstance(value, dict) or not value or not all(isinstance(text, str) and text for text in value.values()):
        raise ValueError(f"write {name} = {{ {_EXAMPLES[name]} }}")
    unknown = sorted(set(value) - set(Match.__struct_fields__)) if name == "match" else ()
    if unknown:
        raise ValueError(f"it has no key {unknown[0]}{nearest(unknown[0], Match.__struct_fields__)}: write {_EXAMPLES[name]}")
    return value


_EXAMPLES = {"match": 'sending_application = "PAS", sending_facility = "RX1"', "places": '"KW" = "Kingsmill Ward"'}


def _identified(values: dict[str, Any], place: int, faults: Faults) -> str:
    """The ODS code, ``""`` without one; what is wrong with it or with the id goes into ``faults``."""
    at = ("source", place)
    if "id" in values and not _ID.fullmatch(values["id"]):
        faults.add((*at, "id"), "a source's id cannot be that", "Use lower-case letters, digits and hyphens, at most 64.")
    organisation = ods_code(values["organisation"]) if "organisation" in values else ""
    if organisation is None:
        faults.add((*at, "organisation"), "this is no ODS code", "Write 3 to 12 letters and digits, or leave organisation out.")
    return organisation or ""


def _source(values: dict[str, Any], organisation: str, mapping: Path | None) -> SourceSettings:
    return SourceSettings(
        source=Source(
            id=values["id"],
            name=values["name"],
            sector=Sector(values["sector"]),
            organisation=organisation,
            nhs_numbers=NumbersAre(values.get("nhs_numbers", NumbersAre.TRACED)),
            visit_numbers=VisitNumbersAre(values.get("visit_numbers", VisitNumbersAre.UNIQUE)),
            places=values.get("places", {}),
        ),
        reads=values["reads"],
        mapping=mapping,
        doors=frozenset(Door(door) for door in values.get("doors", (Door.HTTP,))),
        match=Match(**values["match"]) if "match" in values else None,
        endpoint=values.get("endpoint", ""),
        folder=values.get("folder"),
        expect_every=values.get("expect_every"),
        tls_client=values.get("tls_client", ""),
        numbers_assumed="nhs_numbers" not in values and Sector(values["sector"]) not in TRACING,
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
