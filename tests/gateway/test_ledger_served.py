"""The ledger of a running server: made once, looked after, never made anew, and never needed to take something in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.command_line import Backbone, Server
from tests.patience import eventually

SAMPLES = files("gateway") / "samples"


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    made = Backbone(tmp_path)
    made.settings((SAMPLES / "backbone.toml").read_text())
    (tmp_path / "stay.hl7").write_bytes((SAMPLES / "northfield-pas.hl7").read_bytes())
    return made


def told(server: Server) -> Any:
    return httpx2.get(f"{server.http}/health/ready").json()


def metrics(server: Server) -> str:
    return httpx2.get(f"{server.http}/metrics").text


def identity(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "backbone-data" / "ledger.db")) as connection:
        connection.execute("INSERT OR IGNORE INTO ledger_used_token VALUES ('kept', 1)")
        connection.commit()
        return str(connection.execute("SELECT identity FROM ledger_identity").fetchone()[0])


def tokens(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "backbone-data" / "ledger.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM ledger_used_token").fetchone()[0])


def test_the_gateway_makes_it_and_says_how_it_is(backbone: Backbone, tmp_path: Path) -> None:
    assert "ledger.db is made at the first start" in backbone("doctor").out
    with backbone.serving("--only", "gateway") as server:
        assert eventually(lambda: (found := told(server)["ledger"]) == {"reachable": True} and found)
        assert "backbone_ledger_takes_writes 1.0" in metrics(server)
        assert "backbone_ledger_write_seconds_count 1.0" in metrics(server)
        assert 'backbone_disk_free_bytes{use="ledger"}' in metrics(server)
    made = identity(tmp_path)
    assert (tmp_path / "backbone-data" / "ledger-identity").read_text().strip() == made
    assert "ledger.db: its tables are up to date" in backbone("doctor").out
    with backbone.serving("--only", "gateway") as server:
        eventually(lambda: told(server)["ledger"] == {"reachable": True})
    assert identity(tmp_path) == made


def test_one_that_vanished_is_missed_and_not_made_anew_and_everything_else_goes_on(backbone: Backbone, tmp_path: Path) -> None:
    with backbone.serving() as server:
        eventually(lambda: told(server)["ledger"] == {"reachable": True})
    file, aside = tmp_path / "backbone-data" / "ledger.db", tmp_path / "aside.db"
    file.rename(aside)
    outcome = backbone("doctor")
    assert "the ledger that was used so far is gone" in outcome.out
    assert "backup" in outcome.out
    with backbone.serving() as server:
        found = eventually(lambda: (found := told(server))["ledger"]["reachable"] is False and found)
        assert found["status"] == "ready", "nothing that is served needs it yet"
        assert found["ledger"]["code"] == "ledger-mismatch"
        eventually(lambda: "backbone_ledger_takes_writes 0.0" in metrics(server))
        assert backbone("ingest", "northfield-pas", "stay.hl7").status == 0
        assert not file.exists()
        aside.rename(file)
        eventually(lambda: "backbone_ledger_takes_writes 1.0" in metrics(server))
        assert told(server)["ledger"] == {"reachable": True}


def test_a_rebuild_and_a_new_store_leave_it_alone(backbone: Backbone, tmp_path: Path) -> None:
    assert backbone("ingest", "northfield-pas", "stay.hl7").status == 0
    with backbone.serving() as server:
        eventually(lambda: told(server)["ledger"] == {"reachable": True})
    made = identity(tmp_path)
    assert backbone("rebuild").status == 0 or backbone("rebuild", "people", "timeline", "receipts", "quarantine").status == 0
    for store in (tmp_path / "backbone-data").glob("store.db*"):
        store.unlink()
    with backbone.serving() as server:
        eventually(lambda: told(server)["behind"].get("timeline", {}).get("events") == 0)
    assert (identity(tmp_path), tokens(tmp_path)) == (made, 1)


def test_a_backup_made_beside_the_running_server_brings_it_back(backbone: Backbone, tmp_path: Path) -> None:
    data, backup = tmp_path / "backbone-data", tmp_path / "ledger-backup.db"
    with backbone.serving() as server:
        eventually(lambda: told(server)["ledger"] == {"reachable": True})
        made = identity(tmp_path)
        with closing(sqlite3.connect(data / "ledger.db")) as connection:  # docs/operate.md, word for word
            connection.execute(f"VACUUM INTO '{backup}'")
    for file in data.glob("ledger.db*"):
        file.unlink()
    backup.rename(data / "ledger.db")
    with backbone.serving() as server:
        eventually(lambda: told(server)["ledger"] == {"reachable": True})
    assert (identity(tmp_path), tokens(tmp_path)) == (made, 1)
