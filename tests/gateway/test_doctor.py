"""The doctor looks at everything, changes nothing, and says the cure of each thing that is wrong."""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from adapters.eventlog.embedded.file import checksum
from consumers.models import METADATA
from consumers.store.migrate import HISTORY
from tests.command_line import Backbone
from tests.stores import empty_database

SAMPLES = files("gateway") / "samples"
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the samples' settings, the hospital's messages taken in, no server."""
    folder = tmp_path_factory.mktemp("sound")
    made = Backbone(folder)
    made.settings((SAMPLES / "backbone.toml").read_text())
    (folder / "stay.hl7").write_bytes((SAMPLES / "northfield-pas.hl7").read_bytes())
    (folder / "inbox" / "riverside").mkdir(parents=True)
    assert made("ingest", "northfield-pas", "stay.hl7").status == 0
    return folder


@pytest.fixture
def backbone(sound: Path, tmp_path: Path) -> Backbone:
    """A backbone in a copy of the sound folder."""
    return Backbone(Path(shutil.copytree(sound, tmp_path / "own")))


def all_is_well(folder: Path) -> None:
    assert folder


def secret_for_everybody(folder: Path) -> None:
    (folder / "backbone-data" / "key-secret").chmod(0o644)


def data_for_everybody(folder: Path) -> None:
    (folder / "backbone-data").chmod(0o755)


def inbox_gone(folder: Path) -> None:
    (folder / "inbox" / "riverside").rmdir()


def clock_set_back(folder: Path) -> None:
    later = int((time.time() + 3600) * 1e6)
    with sqlite3.connect(folder / "backbone-data" / "log.db") as log:
        topics = dict(log.execute("SELECT number, name FROM topics"))
        for seq, topic, partition, offset, key, value in log.execute(
            'SELECT seq, topic, partition, "offset", key, value FROM entries'
        ).fetchall():
            signed = checksum((topics[topic], partition, offset), later, key, zlib.crc32(value))
            log.execute("UPDATE entries SET appended_us = ?, checksum = ? WHERE seq = ?", (later, signed, seq))


def secret_lost(folder: Path) -> None:
    (folder / "backbone-data" / "key-secret").unlink()


def mapping_broken(folder: Path) -> None:
    (folder / "willow-contacts.yaml").write_text("source: willow-contacts\nreads: cvs\n")


def mapping_test_failing(folder: Path) -> None:
    shipped = (files("adapters") / "tabular" / "mappings" / "willow-contacts.yaml").read_text()
    assert "makes: []" not in shipped
    head, _, tests = shipped.partition("tests:")
    (folder / "willow-contacts.yaml").write_text(f"{head}tests:{tests.replace('12/02/2026', '13/02/2026')}")


def log_is_no_log(folder: Path) -> None:
    for beside in (folder / "backbone-data").glob("log.db-wal"):  # or SQLite would make the file whole again from it
        beside.unlink()
    (folder / "backbone-data" / "log.db").write_bytes(b"something else " * 100)


def store_of_tomorrow(folder: Path) -> None:
    with sqlite3.connect(folder / "backbone-data" / "store.db") as store:
        store.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        store.execute("INSERT INTO alembic_version VALUES ('9999')")


def settings_wrong(folder: Path) -> None:
    (folder / "backbone.toml").write_text("partitons = 3\n")


ILLS: list[tuple[Callable[[Path], None], int, str, str, str]] = [
    (all_is_well, 0, "ok", "log", "4 in backbone.events"),
    (secret_for_everybody, 0, "warn", "secrets", "chmod 600"),
    (data_for_everybody, 0, "warn", "data folder", "chmod 700"),
    (inbox_gone, 0, "warn", "drop folders", "is not there"),
    (clock_set_back, 2, "fail", "clock", "ahead of this clock"),
    (mapping_broken, 2, "fail", "mappings", "line 2"),
    (mapping_test_failing, 2, "fail", "mappings", "source check willow-contacts"),
    (store_of_tomorrow, 2, "fail", "store", "newer version"),
    (settings_wrong, 2, "fail", "settings", "did you mean partitions?"),
]


@pytest.mark.parametrize(("ill", "status", "level", "about", "says"), ILLS, ids=[row[0].__name__ for row in ILLS])
def test_an_ill_is_found_with_its_cure(
    backbone: Backbone, ill: Callable[[Path], None], status: int, level: str, about: str, says: str
) -> None:
    ill(backbone.folder)
    outcome = backbone("doctor", "--json")
    assert outcome.status == status, outcome.out
    lines = [f"{finding['says']} {finding['cure']}" for finding in outcome.json if finding["level"] == level]
    assert any(says in line for line in lines), outcome.out
    assert about in {finding["about"] for finding in outcome.json if finding["level"] == level}


def test_a_start_with_a_clock_that_was_set_back_says_so(backbone: Backbone) -> None:
    clock_set_back(backbone.folder)
    with backbone.serving() as server:
        told = server.stop().err
    assert "ahead of this clock: times noted here will be wrong" in told


def test_a_log_that_is_none_is_told(backbone: Backbone) -> None:
    log_is_no_log(backbone.folder)
    outcome = backbone("doctor")
    assert outcome.status in (2, 3)
    assert "log.db" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_a_lost_secret_is_told_before_anything_is_taken_in_with_another(backbone: Backbone) -> None:
    secret_lost(backbone.folder)
    assert "backup" in backbone("doctor").out
    outcome = backbone("ingest", "northfield-pas", "stay.hl7")
    assert outcome.status == 2
    assert "the key secret is gone" in outcome.err


def test_an_engine_that_does_not_answer_returns_3(tmp_path: Path) -> None:
    environment = {"BACKBONE_STORE": "postgresql://nobody@127.0.0.1:1/none", "BACKBONE_KEY_SECRET": SECRET}
    outcome = Backbone(tmp_path, environment)("doctor", "--json")
    assert outcome.status == 3
    (unreachable,) = [finding for finding in outcome.json if finding["level"] == "unreachable"]
    assert unreachable["about"] == "store"
    assert unreachable["cure"]


ANOTHER_CLOCK = (
    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
    " AS $$ SELECT pg_catalog.clock_timestamp() + INTERVAL '{}' $$",
    "ALTER DATABASE {} SET search_path = public, pg_catalog",
)


def altered(postgres_url: str, *statements: str) -> str:
    """A new database, after ``statements`` in which ``{}`` is its name."""
    url = empty_database(postgres_url)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(url.rpartition("/")[2]))
    return url


@pytest.mark.engine
def test_a_postgresql_that_only_reads_is_told(tmp_path: Path, postgres_url: str) -> None:
    store = altered(postgres_url, "ALTER DATABASE {} SET default_transaction_read_only = on")
    outcome = Backbone(tmp_path, {"BACKBONE_STORE": store, "BACKBONE_KEY_SECRET": SECRET})("doctor")
    assert outcome.status == 2
    assert "PostgreSQL only reads" in outcome.out
    assert "name the primary in BACKBONE_STORE" in outcome.out


@pytest.mark.engine
@pytest.mark.parametrize(("ahead", "says"), [("1 hour", "s ahead of this one"), ("-1 hour", "s behind this one")])
def test_a_clock_apart_from_postgresql_s_is_told(tmp_path: Path, postgres_url: str, ahead: str, says: str) -> None:
    function, path = ANOTHER_CLOCK
    store = altered(postgres_url, function.replace("{}", ahead), path)
    outcome = Backbone(tmp_path, {"BACKBONE_STORE": store, "BACKBONE_KEY_SECRET": SECRET})("doctor")
    assert outcome.status == 2
    assert says in outcome.out
    assert "NTP" in outcome.out


@pytest.mark.engine
def test_a_cluster_where_nothing_was_taken_in_yet_is_no_ill(tmp_path: Path, kafka_bootstrap: str) -> None:
    environment = {"BACKBONE_LOG": f"kafka://{kafka_bootstrap}/{uuid.uuid4().hex}?replication=1", "BACKBONE_KEY_SECRET": SECRET}
    outcome = Backbone(tmp_path, environment)("doctor", "--json")
    assert outcome.status == 0, outcome.out
    (log,) = [finding for finding in outcome.json if finding["about"] == "log"]
    assert "made at the first start" in log["says"]


def test_a_store_whose_log_is_gone_is_told(backbone: Backbone) -> None:
    with sqlite3.connect(backbone.folder / "backbone-data" / "store.db") as store:
        METADATA.create_all(create_engine("sqlite://", creator=lambda: store))
        store.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        store.execute("INSERT INTO alembic_version VALUES (?)", (HISTORY.head,))
        store.execute("INSERT INTO origin (id, log) VALUES (1, 'kafka:another/')")
    environment = {"BACKBONE_LOG": f"sqlite:///{backbone.folder / 'elsewhere.db'}"}
    outcome = Backbone(backbone.folder, environment)("doctor")
    assert outcome.status == 2
    assert "the store was filled from kafka:another/, there is no log at" in outcome.out


def test_a_log_that_does_not_answer_is_told_once(tmp_path: Path) -> None:
    environment = {"BACKBONE_LOG": "kafka://127.0.0.1:1", "BACKBONE_KEY_SECRET": SECRET}
    outcome = Backbone(tmp_path, environment)("doctor", "--json")
    assert outcome.status == 3
    assert [(one["about"], one["level"]) for one in outcome.json if "no broker" in one["says"]] == [("log", "unreachable")]
    assert "ok" in {one["level"] for one in outcome.json if one["about"] == "clock"}


def test_one_ill_does_not_keep_the_others_from_being_found(backbone: Backbone) -> None:
    for ill in (secret_for_everybody, inbox_gone, mapping_broken, clock_set_back):
        ill(backbone.folder)
    found = {finding["about"] for finding in backbone("doctor", "--json").json if finding["level"] in ("warn", "fail")}
    assert found >= {"secrets", "drop folders", "mappings", "clock"}


def test_it_changes_nothing(tmp_path: Path) -> None:
    outcome = Backbone(tmp_path)("doctor")
    assert outcome.status == 0, outcome.out
    assert list(tmp_path.iterdir()) == []
