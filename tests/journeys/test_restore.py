"""The store is lost, and yesterday's dump is put in its place: what came since is made again from the log, by itself."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy.engine import make_url

from deploy.local.postgres import binary
from tests.command_line import Backbone, Server
from tests.patience import eventually
from tests.stores import empty_database

SAMPLES = files("gateway") / "samples"
NUMBER = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}
"""Of the person the samples are about."""

pytestmark = pytest.mark.engine


def program(name: str, *arguments: str) -> None:
    subprocess.run([binary(name), *arguments], check=True, capture_output=True)


def timeline(server: Server) -> list[Any]:
    """Every entry of the person once nothing is behind; none before."""
    with httpx2.Client(base_url=server.http) as http:
        behind = http.get("/health/ready").json()["behind"]
        if not behind or any(lag["events"] != 0 for lag in behind.values()):
            return []
        found = http.post("/people/search", json=NUMBER)
        entries: list[Any] = (
            http.get(f"/people/{found.json()['person']}/timeline").json()["entries"] if found.is_success else []
        )
    return entries


def drop(url: str) -> None:
    """The database, gone and made anew without anything in it."""
    name, server = make_url(url).database, make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')


def entries_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM timeline_version").fetchone()
    return int(row[0]) if row else 0


def test_a_store_restored_from_a_dump_catches_up_from_the_log(tmp_path: Path, postgres_url: str) -> None:
    store, dump = empty_database(postgres_url), str(tmp_path / "yesterday.dump")
    backbone = Backbone(tmp_path, {"BACKBONE_STORE": store, "BACKBONE_KEY_SECRET": "a secret for tests that is long enough"})
    backbone.settings((SAMPLES / "backbone.toml").read_text())
    for name in ("northfield-pas.hl7", "willow-contacts.csv"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    with backbone.serving() as server:
        assert backbone("ingest", "northfield-pas", "northfield-pas.hl7").status == 0
        yesterday = len(eventually(lambda: timeline(server)))
        program("pg_dump", "--format=custom", f"--file={dump}", store)  # beside the running server
        assert backbone("ingest", "willow-contacts", "willow-contacts.csv").status == 0
        today = eventually(lambda: len(found := timeline(server)) > yesterday and found)
    drop(store)
    program("pg_restore", f"--dbname={store}", "--exit-on-error", dump)
    assert 0 < entries_in(store) < len(today)
    with backbone.serving() as server:
        assert eventually(lambda: (found := timeline(server)) == today and found) == today
