"""The mappings that come with the backbone: their own tests, and what they make of the samples."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from adapters.tabular.check import check
from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.translate import TabularTranslator
from adapters.translator import Arrival, Item
from schemas.catalogue import CATALOGUE
from schemas.event import Event, payload
from schemas.fhir.bundle import focus_of, patient_of
from schemas.identifiers import nhs_number
from schemas.resources.person import local_ids, verified_number
from schemas.sentence import title
from schemas.source import Sector, Source
from tests.tabular_rows import PSEUDONYMS, RECEIVED_AT

MAPPINGS = Path(str(files("adapters.tabular") / "mappings"))
SAMPLES = Path(str(files("gateway") / "samples"))
EXPECTED = Path(__file__).parents[1] / "samples" / "tabular"
COUNCIL = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)
CHARITY = Source(id="willow-contacts", name="Willow Befriending", sector=Sector.VOLUNTARY)
SHIPPED = [(COUNCIL, "riverside-services"), (CHARITY, "willow-contacts")]

CLIENT_LEVEL_DATA = (EXPECTED / "client-level-data-columns.txt").read_text().splitlines()
"""Source: docs/mapping-files.md, "Client Level Data"."""


def translator(source: Source) -> TabularTranslator:
    """That of the source's shipped mapping."""
    name = f"{source.id}.yaml"
    return TabularTranslator(load_mapping((MAPPINGS / name).read_text("utf-8"), name))


def items(source: Source, content: bytes) -> list[Item]:
    return list(translator(source).translate(io.BytesIO(content), Arrival(source, RECEIVED_AT, PSEUDONYMS)))


def told(event: Event, source: Source) -> dict[str, Any]:
    """What somebody who reads the timeline is told, and whose record it is on."""
    bundle = payload(event)
    patient = patient_of(bundle)
    assert patient is not None
    return {
        "type": event.type,
        "time": event.time,
        "precision": event.timeprecision.value,
        "title": title(CATALOGUE[event.type].title, focus_of(bundle), source.name),
        "record": next(local for _, local in local_ids(patient)),
        "nhs_number": verified_number(patient),
    }


@pytest.mark.parametrize("mapping", sorted(MAPPINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_mapping_passes_its_own_tests(mapping: Path) -> None:
    loaded = load_mapping(mapping.read_text("utf-8"), mapping.name)
    outcomes = check(loaded)
    assert len(outcomes) >= 5
    assert [(outcome.line, outcome.differences) for outcome in outcomes if not outcome.passed] == []
    made = {one["event"] for example in loaded.tests for one in example.makes}
    assert made == {entry.type.name for entry in loaded.each}, "every entry has a test"


@pytest.mark.parametrize(("source", "sample"), SHIPPED, ids=["council", "charity"])
def test_a_sample_makes_the_events_beside_it(source: Source, sample: str) -> None:
    made = [
        {"position": item.position, **told(event, source)}
        for item in items(source, (SAMPLES / f"{sample}.csv").read_bytes())
        for event in item.events
    ]
    assert made == json.loads((EXPECTED / f"{sample}.json").read_text("utf-8"))


@pytest.mark.parametrize(("source", "sample"), SHIPPED, ids=["council", "charity"])
def test_nothing_of_a_sample_is_rejected_or_flagged(source: Source, sample: str) -> None:
    found = items(source, (SAMPLES / f"{sample}.csv").read_bytes())
    assert [item for item in found if item.rejection or item.flags or not item.events] == []


@pytest.mark.parametrize(("source", "sample"), SHIPPED, ids=["council", "charity"])
def test_a_sample_saved_as_a_spreadsheet_makes_the_same_events(source: Source, sample: str) -> None:
    text = (SAMPLES / f"{sample}.csv").read_text("utf-8")
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(text)):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    ids = [event.id for item in items(source, file.getvalue()) for event in item.events]
    assert ids == [event.id for item in items(source, text.encode()) for event in item.events]


def test_the_council_sample_has_every_column_of_client_level_data() -> None:
    header = (SAMPLES / "riverside-services.csv").read_text("utf-8").splitlines()[0]
    assert header == ",".join(CLIENT_LEVEL_DATA)


def test_the_council_mapping_declares_every_column_of_client_level_data() -> None:
    mapping = yaml.safe_load((MAPPINGS / "riverside-adult-care.yaml").read_text("utf-8"))
    assert sorted(mapping["columns"] + mapping["optional"]) == sorted(CLIENT_LEVEL_DATA)


def test_an_event_reference_is_no_part_of_a_fact() -> None:
    """Councils number events anew at every submission."""
    sample = (SAMPLES / "riverside-services.csv").read_text("utf-8")
    first, second = (items(COUNCIL, text.encode()) for text in (sample, sample.replace(",EV9", ",EW9")))
    assert [item.events for item in first] == [item.events for item in second]


def test_a_later_submission_of_the_same_row_is_a_version_of_the_same_fact_that_sorts_after() -> None:
    sample = (SAMPLES / "riverside-services.csv").read_text("utf-8")
    later = sample.replace("01/01/2026,31/03/2026", "01/04/2026,30/06/2026")
    for old, new in zip(items(COUNCIL, sample.encode()), items(COUNCIL, later.encode()), strict=True):
        assert [event.subject for event in old.events] == [event.subject for event in new.events]
        assert all(a.id != b.id and a.order < b.order for a, b in zip(old.events, new.events, strict=True))


@pytest.mark.parametrize(("source", "sample"), SHIPPED, ids=["council", "charity"])
def test_numbers_in_the_samples_are_of_the_range_that_is_never_issued(source: Source, sample: str) -> None:
    made = json.loads((EXPECTED / f"{sample}.json").read_text("utf-8"))
    numbers = {entry["nhs_number"] for entry in made} - {None}
    assert numbers and all(nhs_number(number) and number.startswith("999") for number in numbers)


def test_a_contact_corrected_from_missed_to_made_is_the_same_fact() -> None:
    sample = (SAMPLES / "willow-contacts.csv").read_text("utf-8")
    missed = next(item for item in items(CHARITY, sample.encode()) if item.events[0].type == "contact-missed-1")
    corrected = next(
        item
        for item in items(CHARITY, sample.replace(",No,nobody", ",Yes,nobody").encode())
        if item.position == missed.position
    )
    assert corrected.events[0].type == "contact-made-1"
    assert corrected.events[0].subject == missed.events[0].subject
