"""Every query of the gateway, and of the projections behind it, finds its rows by an index among a million entries.

What is asked is caught on its way to the engine, and the engine is asked how it answers it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import event

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.models import migrate
from consumers.receipts.tables import RECEIPTS_TABLES
from consumers.store.tables import PARKED, POSITION
from consumers.timeline.cursor import write_changes
from schemas.identifiers import PersonId
from schemas.timeline import Question
from tests.gateway.http_rig import DOROTHY, MARGARET, NHS_NUMBER, Rig
from tests.many import Many, fill
from tests.stores import empty_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENTRIES = {"sqlite": 10_000, "postgresql": 1_000_000}
"""SQLite chooses by the shape of tables and indexes alone as long as nobody runs ANALYZE: how many rows there are changes
nothing. Source: https://www.sqlite.org/queryplanner-ng.html §3.2."""
SMALL = frozenset({POSITION.name, PARKED.name, RECEIPTS_TABLES.activity.name, "alembic_version", "sqlite_master"})
"""A row a source, a partition or a fault: to look through them is the quickest."""
FILTERS = (
    "since=2025-03-01",
    "until=2025-06-01T00:00:00Z",
    "kind=contact",
    "sector=voluntary",
    "type=contact-made-1",
    "source=willow-contacts",
    "as_of=2027-01-01T00:00:00Z",
    "order=oldest",
    "include=resource",
    "include=withdrawn",
    "limit=500",
)
NOT_THE_STORE = frozenset(
    {"/catalogue", "/schemas/{type}.json", "/asyncapi.json", "/openapi.json", "/health/live", "/metrics", "/fhir/metadata"}
    | {"/intake/{source}", "/events", "/fhir/$process-message"}
)
"""Paths that need no store."""


class Asked:
    """A rig over the store, and every statement that went to the engine."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.rig = Rig(folder, database=database)
        self.statements: dict[str, Any] = {}
        """Statement → parameters of one time it was run; of SQLite they stand in it."""
        for engine in (database._reader, database._writer):
            event.listen(engine.sync_engine, "connect", self._trace if database.is_sqlite else self._watch)

    def _trace(self, connection: Any, record: object) -> None:
        connection.set_trace_callback(lambda words: self.statements.setdefault(words, ()))

    def _watch(self, connection: Any, record: object) -> None:
        """Have the driver itself tell: what costs a page goes to it directly, past SQLAlchemy's own events."""
        note = self.statements.setdefault

        class Noting(psycopg.AsyncCursor[Any]):
            async def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
                note(query, params or ())
                return await super().execute(query, params, **more)

            async def executemany(self, query: Any, params_seq: Any, **more: Any) -> None:
                rows = list(params_seq)
                note(query, rows[0])
                await super().executemany(query, rows, **more)

        connection.driver_connection.cursor_factory = Noting

    def queries(self) -> Iterator[tuple[str, Any]]:
        """Those that look for rows."""
        for words, parameters in list(self.statements.items()):
            if words.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")) and "pg_catalog" not in words:
                yield words, parameters

    async def get(self, path: str) -> Any:
        answer = await self.rig.client.get(path)
        assert answer.status_code in (200, 404), answer.text
        return answer.json()


class AskedAmongMany(Asked):
    """The same over a store with many entries."""

    def __init__(self, database: Database, many: Many, folder: Path) -> None:
        super().__init__(database, folder)
        self.many = many


async def _filled(url: str, folder: Path) -> AsyncIterator[AskedAmongMany]:
    database = Database.connect(url, ConnectionSettings())
    many = await fill(database, ENTRIES[database.dialect.name], texts=False)
    await database.close()  # whoever listens hears of connections that are made from now on
    asked = AskedAmongMany(database, many, folder)
    yield asked
    await asked.rig.client.aclose()
    await database.close()


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine)]
)
async def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AskedAmongMany]:
    folder = tmp_path_factory.mktemp("plans")
    url = f"sqlite:///{folder / 'store.db'}"
    if request.param != "sqlite":
        url = empty_database(request.getfixturevalue("postgres_url"))
    async for one in _filled(url, folder):
        yield one


async def ask_everything(asked: AskedAmongMany) -> set[str]:
    """Ask all that the gateway can be asked, each in every form; the paths that were asked."""
    rig, many = asked.rig, asked.many
    one, nobody = many.person(7), "0" * 32
    for person in (one, nobody):
        await asked.get(f"/people/{person}")
        for given in ("", *FILTERS):
            page = await asked.get(f"/people/{person}/timeline?{given}")
            if page.get("next"):
                await asked.get(f"/people/{person}/timeline?{given}&after={page['next']}")
        for path in ("Patient/{}", "Patient/{}/$everything", "Patient?_id={}"):
            await rig.client.get("/fhir/" + path.format(person))
    for number in (MARGARET, DOROTHY):
        body = {"system": NHS_NUMBER, "value": number}
        await rig.client.post("/people/search", json=body)
        await rig.client.post("/fhir/Patient/_search", data={"identifier": f"{NHS_NUMBER}|{number}"})
    await rig.client.post("/people/search", json={"system": "urn:care-backbone:source:willow-contacts", "value": "M0"})
    follow = Question(person=PersonId(one))
    now = await rig.services.timeline.changes(follow)
    for resources in (False, True):
        away = Question(person=one, after=write_changes({}), resources=resources)
        stayed = await rig.services.timeline.changes(away)
        assert stayed.entries
        await rig.services.timeline.changes(Question(person=one, after=stayed.after, resources=resources), stayed.known)
    await rig.services.timeline.changes(Question(person=PersonId(nobody), after=now.after))
    await rig.services.changed(), await rig.services.changed()
    await asked.get(f"/intake/receipts/{many.receipt}")
    for given in ("", "?source=willow-contacts", "?status=taken-in"):
        await asked.get(f"/quarantine{given}")
    await asked.get(f"/quarantine/{many.item}")
    await asked.get("/health/ready")
    await rig.freshness.measure()
    return {
        *("/people/{person}", "/people/{person}/timeline", "/people/{person}/timeline/live", "/people/search"),
        *("/fhir/Patient", "/fhir/Patient/_search", "/fhir/Patient/{id}", "/fhir/Patient/{id}/$everything"),
        *("/intake/receipts/{receipt}", "/quarantine", "/quarantine/{id}", "/quarantine/{id}/redrive", "/health/ready"),
    }


def looks_through(plan: dict[str, Any]) -> Iterator[str]:
    """The parts of PostgreSQL's plan that read a large table otherwise than by a condition on an index."""
    table, kind = plan.get("Relation Name"), plan["Node Type"]
    by_condition = "Index Cond" in plan or kind == "Bitmap Heap Scan" or kind == "ModifyTable"
    if table and table not in SMALL and not by_condition:
        yield f"{kind} on {table}"
    for below in plan.get("Plans", ()):
        yield from looks_through(below)


async def plan_of(asked: Asked, words: str, parameters: Any) -> list[str]:
    """What is wrong with how the engine answers."""
    async with asked.database.reading() as connection:
        if not asked.database.is_sqlite:
            rows = (await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {words}", parameters)).all()
            found = rows[0][0]
            return list(looks_through((json.loads(found) if isinstance(found, str) else found)[0]["Plan"]))
        rows = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")).all()
        return [row[3] for row in rows if row[3].startswith("SCAN ") and not _is_small(row[3])]


def _is_small(line: str) -> bool:
    """A table with few rows, or one that the statement itself makes: a list given, a page, the records of one person."""
    name = line.split()[1]
    made = {"json_each", "rows", "given", "mine", "page", "anon_1", "held", "CONSTANT", "moment", "news"}
    return name in SMALL | made or "VIRTUAL TABLE" in line or name.startswith("(")


async def test_every_query_of_the_gateway_finds_its_rows_by_an_index(asked: AskedAmongMany) -> None:
    covered = await ask_everything(asked)
    assert covered | NOT_THE_STORE == set(json.loads(asked.rig.app.state.openapi())["paths"])
    queries = list(asked.queries())
    assert len(queries) > 30
    wrong = [f"{found}: {words}" for words, parameters in queries if (found := await plan_of(asked, words, parameters))]
    assert not wrong, "\n".join(wrong)


async def test_every_query_of_the_projections_finds_its_rows_by_an_index(asked: Asked) -> None:
    asked.statements.clear()
    await asked.rig.samples()
    queries = list(asked.queries())
    assert len(queries) >= 8
    wrong = [f"{found}: {words}" for words, parameters in queries if (found := await plan_of(asked, words, parameters))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.engine
async def test_a_plan_that_was_made_while_a_table_was_empty_goes_by_an_index_too(postgres_url: str, tmp_path: Path) -> None:
    database = Database.connect(empty_database(postgres_url))
    await migrate(database)
    asked = Asked(database, tmp_path)
    await asked.rig.samples()
    wrong = [f"{found}: {words}" for words, parameters in asked.queries() if (found := await plan_of(asked, words, parameters))]
    assert not wrong, "\n".join(wrong)
    await asked.rig.client.aclose()
    await database.close()
