"""The store is lost and yesterday's dump put in its place, or the log: what can be made up for is, and the rest is said."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from deploy.local.postgres import binary
from tests.command_line import Backbone, Server
from tests.patience import eventually
from tests.stores import empty_database

SAMPLES = files("gateway") / "samples"
NUMBER = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}
"""Of the person the samples are about."""

SECRET = {"BACKBONE_KEY_SECRET": "a secret for tests that is long enough"}


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


def entries_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM timeline_version").fetchone()
    return int(row[0]) if row else 0


def with_samples(folder: Path, environment: dict[str, str]) -> Backbone:
    backbone = Backbone(folder, SECRET | environment)
    backbone.settings((SAMPLES / "backbone.toml").read_text())
    for name in ("northfield-pas.hl7", "willow-contacts.csv"):
        (folder / name).write_bytes((SAMPLES / name).read_bytes())
    return backbone


def is_not_known(server: Server) -> bool:
    """Whether it is said that nobody knows how far the projections are."""
    behind = httpx2.get(f"{server.http}/health/ready").json()["behind"]
    return all(lag["events"] is None for lag in behind.values())


def tokens_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM ledger_used_token").fetchone()
    return int(row[0]) if row else 0


def use_token(url: str, token: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO ledger_used_token VALUES (%s, 1)", (token,))


@pytest.mark.engine
def test_a_store_restored_from_a_dump_catches_up_from_the_log(tmp_path: Path, postgres_url: str) -> None:
    store, dump = empty_database(postgres_url), str(tmp_path / "yesterday.dump")
    backbone = with_samples(tmp_path, {"BACKBONE_STORE": store})
    with backbone.serving() as server:
        assert backbone("ingest", "northfield-pas", "northfield-pas.hl7").status == 0
        yesterday = len(eventually(lambda: timeline(server)))
        program("pg_dump", "--format=custom", "--exclude-table=ledger_*", f"--file={dump}", store)  # beside the running server
        assert backbone("ingest", "willow-contacts", "willow-contacts.csv").status == 0
        today = eventually(lambda: len(found := timeline(server)) > yesterday and found)
    use_token(store, "promised since the dump")
    program("pg_restore", "--clean", "--if-exists", f"--dbname={store}", "--exit-on-error", dump)
    assert 0 < entries_in(store) < len(today)
    assert tokens_in(store) == 1, "the ledger is in the same database, and stays as it is"
    with backbone.serving() as server:
        assert eventually(lambda: (found := timeline(server)) == today and found) == today


@pytest.mark.engine
def test_a_ledger_restored_from_a_dump_leaves_the_store_alone(tmp_path: Path, postgres_url: str) -> None:
    store, dump = empty_database(postgres_url), str(tmp_path / "ledger.dump")
    backbone = with_samples(tmp_path, {"BACKBONE_STORE": store})
    with backbone.serving() as server:
        assert backbone("ingest", "northfield-pas", "northfield-pas.hl7").status == 0
        entries = len(eventually(lambda: timeline(server)))
        eventually(lambda: httpx2.get(f"{server.http}/health/ready").json()["ledger"] == {"reachable": True})
        use_token(store, "promised")
        program("pg_dump", "--format=custom", "--table=ledger_*", f"--file={dump}", store)
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute("DROP TABLE ledger_used_token, ledger_identity, ledger_version")
    assert "the ledger that was used so far is gone" in backbone("doctor").out
    program("pg_restore", "--clean", "--if-exists", f"--dbname={store}", "--exit-on-error", dump)
    assert (tokens_in(store), entries_in(store)) == (1, entries)
    with backbone.serving() as server:
        eventually(lambda: httpx2.get(f"{server.http}/health/ready").json()["ledger"] == {"reachable": True})


def test_an_older_log_that_has_grown_since_is_refused_until_a_rebuild(tmp_path: Path) -> None:
    backbone, data, yesterday = with_samples(tmp_path, {}), tmp_path / "backbone-data", tmp_path / "yesterday"
    assert backbone("ingest", "northfield-pas", "northfield-pas.hl7").status == 0
    shutil.copytree(data, yesterday)
    assert backbone("ingest", "willow-contacts", "willow-contacts.csv").status == 0
    with backbone.serving() as server:
        eventually(lambda: timeline(server))
    for file in data.glob("log.db*"):
        file.unlink()
    for file in yesterday.glob("log.db*"):
        shutil.copy(file, data / file.name)
    again = (tmp_path / "willow-contacts.csv").read_text().replace("tea and company", "a walk")
    assert backbone("ingest", "willow-contacts", "-", stdin=again.encode()).status == 0
    assert "another record than the one that was applied" in backbone("doctor").out
    with backbone.serving() as server:
        eventually(lambda: is_not_known(server))
        assert re.search("the projections wait .* another record than the one that was applied", server.stop().err)
    assert backbone("rebuild", "people", "timeline", "receipts", "quarantine").status == 0
    with backbone.serving() as server:
        assert "a walk" in str(eventually(lambda: timeline(server)))
    assert "another record" not in backbone("doctor").out
