"""A whole backbone behind the gateway's application: log in memory, store in a file, projections applied when a test says so.

Everything is real but the log, so that a test can take it away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from adapters.cloudevents import CloudEventsTranslator
from adapters.fhir.translate import FhirTranslator
from adapters.hl7v2.translate import Hl7v2Translator
from adapters.intake.receive import Intake
from adapters.registry import Registry
from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.translate import TabularTranslator
from adapters.translator import Translator
from consumers.database.database import Database
from consumers.following.lag import behind
from consumers.following.projecting import projecting
from consumers.models import READ_MODELS, answering, migrate
from consumers.receipts.model import RECEIPTS
from consumers.timeline.feed import ChangeFeed
from gateway.app import create_app
from gateway.settings.shapes import SourceSettings
from gateway.settings.values import Door
from gateway.uses.services import Services
from gateway.watching.freshness import Freshness
from gateway.watching.telemetry import Metrics
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.line_translator import SECRET, LineTranslator
from tests.memory_log import MemoryLog

SAMPLES = files("gateway") / "samples"
MAPPINGS = files("adapters") / "tabular" / "mappings"
ENDPOINT = "https://fhir.nhs.uk/Id/dos-service-id|2000099999"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARGARET = "9990000018"
"""NHS number of the person the samples are about."""
DOROTHY = "9990000026"
"""NHS number of a person that no sample is about."""
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"


VISIT = (
    b'{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:care-backbone:fact:f","resource":'
    b'{"resourceType":"Encounter","status":"finished","class":{"code":"HH"}}}]}'
)
"""Payload of the events that the lines make."""


def _declared(id: str, name: str, sector: Sector, **more: Any) -> SourceSettings:
    return SourceSettings(
        source=Source(id=id, name=name, sector=sector), reads="", **({"doors": frozenset({Door.HTTP})} | more)
    )


SOURCES: Mapping[str, SourceSettings] = {
    row.source.id: row
    for row in (
        _declared("lines", "Lines", Sector.HOUSING),
        _declared("northfield-pas", "Northfield Hospital", Sector.NHS, expect_every=timedelta(hours=1)),
        _declared("willow-contacts", "Willow Befriending", Sector.VOLUNTARY),
        _declared("riverside-bars", "Riverside Council", Sector.COUNCIL, endpoint=ENDPOINT),
        _declared("folder-only", "Folder", Sector.FIRE, doors=frozenset({Door.FOLDER})),
    )
}


@cache
def translators() -> Registry:
    formats: dict[str, Translator] = {
        "hl7v2": Hl7v2Translator(),
        "fhir": FhirTranslator(),
        "cloudevents": CloudEventsTranslator(),
    }
    lines = LineTranslator(data=VISIT)
    willow = TabularTranslator(load_mapping((MAPPINGS / "willow-contacts.yaml").read_text(), "willow-contacts.yaml"))
    own: dict[str, Translator] = {"lines": lines, "willow-contacts": willow, "folder-only": lines}
    own |= {"northfield-pas": formats["hl7v2"], "riverside-bars": formats["fhir"]}
    return Registry(own, formats)


class Rig:
    """The backbone and a client of its gateway. Times come from ``now``."""

    def __init__(
        self, folder: Path, registry: Registry | None = None, database: Database | None = None, **services: Any
    ) -> None:
        self.now = START
        self.log = MemoryLog()
        self.database = database or Database.connect(f"sqlite:///{folder / 'store.db'}")
        self.pseudonyms = Pseudonyms(SECRET)
        self.sources = {name: row.source for name, row in SOURCES.items()}
        self.projections = [model.projection(self) for model in READ_MODELS]
        queries = {model.name: model.query(self.database, self) for model in READ_MODELS}
        activity = queries[RECEIPTS.name].activity
        self.intake = Intake(self.log, registry or translators(), self.pseudonyms, lambda: self.now)
        self.freshness = Freshness(SOURCES, lambda: behind(self.log, self.database), activity, lambda: self.now)
        self.services = Services(
            **{
                "log": self.log,
                "sources": SOURCES,
                "queries": lambda model: queries[model.name],
                "changed": ChangeFeed(self.database).changed,
                "store": lambda: answering(self.database),
                "freshness": self.freshness,
                "metrics": Metrics(),
                "intake": self.intake,
                **services,
            }
        )
        self.app: FastAPI = create_app(self.services)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://127.0.0.1:8080")

    async def settle(self) -> None:
        """Apply all that is in the log, as the projections' own loop does."""
        runners = [projecting(self.projections, self.log, self.database, "rig", lambda: self.now)]
        running = [asyncio.create_task(runner.run(asyncio.Event())) for runner in runners]
        while any(lag.events for lag in (await behind(self.log, self.database)).values()):
            await asyncio.sleep(0)
            assert not any(task.done() for task in running)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await self.freshness.measure()

    async def lose_the_store(self, folder: Path) -> None:
        """From now on the store in ``folder`` cannot be opened."""
        await self.database.close()
        await asyncio.to_thread(_replace_files, folder)

    async def samples(self) -> None:
        """Take in the sample hospital stay."""
        text = (SAMPLES / "northfield-pas.hl7").read_text()
        for message in text.split("MSH|")[1:]:
            content = ("MSH|" + message).replace("\n", "\r").encode()
            answer = await self.client.post("/intake/northfield-pas", content=content)
            assert answer.status_code == 200, answer.text
        await self.settle()

    async def person(self, number: str = MARGARET) -> str:
        answer = await self.client.post("/people/search", json={"system": NHS_NUMBER, "value": number})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["person"])


def _replace_files(folder: Path) -> None:
    for file in folder.glob("store.db*"):
        file.unlink()
    (folder / "store.db").mkdir()


@asynccontextmanager
async def rigged(folder: Path, registry: Registry | None = None, **services: Any) -> AsyncIterator[Rig]:
    """A rig in ``folder``."""
    rig = Rig(folder, registry, **services)
    await migrate(rig.database)
    async with rig.client:
        yield rig
    await rig.database.close()
