"""What may be set, where it comes from, and what stops the start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.settings.read import read_settings, settings_file
from gateway.settings.values import Address, Door, Match, Secret, Url
from schemas.errors import SettingsError
from schemas.source import NumbersAre, Sector, VisitNumbersAre

SECRET = "0123456789abcdef0123456789abcdef"

SOURCE = """
[[source]]
id = "northfield-pas"
name = "Northfield Hospital"
sector = "nhs"
reads = "hl7v2"
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(config: Path | None, environment: dict[str, str]) -> list[SettingsError]:
    with pytest.raises(ExceptionGroup) as caught:
        read_settings(config, environment)
    found = list(caught.value.exceptions)
    assert all(isinstance(fault, SettingsError) for fault in found)
    return found  # type: ignore[return-value] # asserted above


def written(folder: Path, text: str) -> Path:
    file = folder / "backbone.toml"
    file.write_text(text)
    return file


def test_an_empty_folder_has_settings(tmp_path: Path) -> None:
    settings = read_settings(None, {})
    assert settings.log == Url(f"sqlite:///{tmp_path}/backbone-data/log.db")
    assert settings.store.file == tmp_path / "backbone-data" / "store.db"
    assert settings.http == Address("127.0.0.1", 8080)
    assert settings.sources == {}
    assert settings.embedded


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "sqlite:///{}/backbone-data/ledger.db"),
        ({"BACKBONE_STORE": "postgresql://db/care"}, "postgresql://db/care"),
        ({"BACKBONE_STORE": "postgresql://db/care", "BACKBONE_LEDGER": "postgresql://db/kept"}, "postgresql://db/kept"),
        ({"BACKBONE_STORE": "postgresql://db/care", "BACKBONE_LEDGER": "sqlite:///own/kept.db"}, "sqlite:///{}/own/kept.db"),
    ],
)
def test_the_ledger_is_beside_the_store_unless_said_otherwise(tmp_path: Path, given: dict[str, str], expected: str) -> None:
    settings = read_settings(None, {"BACKBONE_KEY_SECRET": SECRET, **given})
    assert settings.ledger == expected.format(tmp_path)
    assert ("ledger" in settings.engine_folders) == settings.ledger.embedded


def test_reading_the_settings_writes_nothing(tmp_path: Path) -> None:
    read_settings(None, {})
    assert list(tmp_path.iterdir()) == []


def test_the_working_folders_file_is_found(tmp_path: Path) -> None:
    written(tmp_path, "partitions = 3")
    assert read_settings(None, {}).partitions == 3


def test_the_option_wins_over_the_variable_and_the_variable_over_the_working_folder(tmp_path: Path) -> None:
    for name, partitions in (("here", 1), ("named", 2), ("asked", 3)):
        (tmp_path / f"{name}.toml").write_text(f"partitions = {partitions}")
    (tmp_path / "here.toml").rename(tmp_path / "backbone.toml")
    environment = {"BACKBONE_CONFIG": "named.toml"}
    assert read_settings(None, {}).partitions == 1
    assert read_settings(None, environment).partitions == 2
    assert read_settings(Path("asked.toml"), environment).partitions == 3


def test_a_variable_overrides_the_file_and_an_empty_one_does_not(tmp_path: Path) -> None:
    file = written(tmp_path, "[limits]\nbody = '1 MiB'\nmllp_frame = 4096")
    settings = read_settings(file, {"BACKBONE_LIMITS_BODY": "2 MB", "BACKBONE_LIMITS_MLLP_FRAME": ""})
    assert settings.limits.body == 2_000_000
    assert settings.limits.mllp_frame == 4096


def test_relative_paths_start_from_the_file_and_those_of_variables_from_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = written(tmp_path / "etc", "data = 'kept'\nlog = 'sqlite:///kept/events.db'")
    assert read_settings(file, {}).data == tmp_path / "etc" / "kept"
    assert read_settings(file, {}).log.file == tmp_path / "etc" / "kept" / "events.db"
    assert read_settings(file, {"BACKBONE_DATA": "kept"}).data == tmp_path / "kept"


def test_a_source_has_all_that_its_table_says(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        SOURCE
        + """
organisation = "rx1"
doors = ["mllp", "folder"]
match = { sending_application = "PAS" }
folder = "inbox/northfield"
places = { KM = "Kingsmill Ward" }
nhs_numbers = "stated"
visit_numbers = "per-patient"
expect_every = "1 day"
""",
    )
    source = read_settings(file, {}).sources["northfield-pas"]
    assert source.source.organisation == "RX1"
    assert source.source.sector is Sector.NHS
    assert source.source.nhs_numbers is NumbersAre.STATED
    assert source.source.visit_numbers is VisitNumbersAre.PER_PATIENT
    assert source.doors == {Door.MLLP, Door.FOLDER}
    assert source.match == Match(sending_application="PAS")
    assert source.folder == tmp_path / "inbox" / "northfield"
    assert source.source.places == {"KM": "Kingsmill Ward"}
    assert source.expect_every == timedelta(days=1)


def test_a_mapping_beside_the_file_wins_over_one_that_comes_with_the_backbone(tmp_path: Path) -> None:
    file = written(tmp_path, SOURCE.replace("hl7v2", "own.yaml"))
    (tmp_path / "own.yaml").write_text("source: northfield-pas\n")
    source = read_settings(file, {}).sources["northfield-pas"]
    assert (source.reads, source.mapping) == ("own.yaml", tmp_path / "own.yaml")


def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    file = written(tmp_path, 'key_secret_file = "secret"')
    settings = read_settings(file, {})
    assert settings.key_secret == SECRET.encode()
    assert settings.secret_files == (tmp_path / "secret",)


def test_an_engines_address_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "store-url").write_text("postgresql://care:hidden-word@db/care\n")
    settings = read_settings(None, {"BACKBONE_STORE_FILE": "store-url", "BACKBONE_KEY_SECRET": SECRET})
    assert settings.store == "postgresql://care:hidden-word@db/care"


def test_no_secret_shows_in_the_settings_printed() -> None:
    settings = read_settings(
        None, {"BACKBONE_KEY_SECRET": SECRET, "BACKBONE_STORE": "postgresql://care:hidden-word@db/care?password=hidden-word"}
    )
    assert SECRET not in repr(settings)
    assert "hidden-word" not in repr(settings)
    assert settings.store.shown == "postgresql://db/care"
    assert isinstance(settings.key_secret, Secret)


FAULTS = [
    ("a misspelt key", "partitons = 3", "line 1, partitons", "did you mean partitions?"),
    ("a misspelt key below a table", "[limits]\n\nboddy = 1", "line 3, limits.boddy", "did you mean limits.body?"),
    ("an unknown table", "[kafka]\nhost = 'x'", "line 1, kafka", "no setting kafka"),
    ("a number out of range", "partitions = 0", "line 1, partitions", "from 1 to 1000"),
    ("a truth value for a number", "partitions = true", "line 1, partitions", "from 1 to 1000"),
    ("a size without sense", "[limits]\nbody = 'big'", "line 2, limits.body", "16 MiB"),
    ("a duration without a unit", "[limits]\nstop = 8", "line 2, limits.stop", "30 seconds"),
    ("an address without a port", "http = 'localhost'", "line 1, http", "HOST:PORT"),
    ("a port too large", "http = 'localhost:70000'", "line 1, http", "HOST:PORT"),
    ("a door half opened", "listen_beyond_loopback = 'yes'", "line 1, listen_beyond_loopback", "without-access-control"),
    ("a door opened by a truth value", "listen_beyond_loopback = true", "line 1, listen_beyond_loopback", "leave it out"),
    ("a name with its port", "http_names = ['gateway:8080']", "line 1, http_names", "without port"),
    ("a form nobody knows", "logging_form = 'xml'", "line 1, logging_form", "auto, json, text"),
    ("a collector without its scheme", "[traces]\nendpoint = 'collector:4318'", "line 2, traces.endpoint", "http://HOST:PORT"),
    ("a collector's password", "[traces]\nendpoint = 'http://me:word@c/v1'", "line 2, traces.endpoint", "without user"),
    ("more than all traces", "[traces]\nshare = 1.5", "line 2, traces.share", "from 0 to 1"),
    ("an unknown engine", "# log\nlog = 'sqllite:///log.db'", "line 2, log", "did you mean sqlite?"),
    ("an engine that is no log", "log = 'postgresql://db/care'", "line 1, log", "sqlite:///folder/log.db or kafka://"),
    ("a file engine with two slashes", "log = 'sqlite://log.db'", "line 1, log", "three slashes"),
    ("an engine without a host", "store = 'postgresql:///care'", "line 1, store", "postgresql://host/database"),
    ("a secret in the file", f"key_secret = '{SECRET}'", "line 1, key_secret", "BACKBONE_KEY_SECRET"),
    (
        "another driver",
        "store = 'postgresql+asyncpg://db/care'",
        "line 1, store",
        "postgresql://host/database: no other driver",
    ),
    ("a password in the file", "store = 'postgresql://care:hidden-word@db/care'", "line 1, store", "BACKBONE_STORE"),
    ("a secret file that is not there", "key_secret_file = 'none'", "line 1, key_secret_file", "cannot be read"),
    ("a secret too short", "key_secret_file = 'short'", "line 1, key_secret_file", "32 random characters"),
    ("Kafka without a key secret", "log = 'kafka://k:9092'", "key_secret", "BACKBONE_KEY_SECRET_FILE"),
    ("PostgreSQL without a key secret", "store = 'postgresql://db/care'", "key_secret", "BACKBONE_KEY_SECRET_FILE"),
    ("two doors on one address", "http = '127.0.0.1:9'\nmllp = '127.0.0.1:9'", "line 2, mllp", "another port"),
    ("a certificate without its key", "[mllp_tls]\ncertificate = 'short'", "mllp_tls.key", "both"),
    (
        "a certificate that is not there",
        "[mllp_tls]\ncertificate = 'a'\nkey = 'short'",
        "line 2, mllp_tls.certificate",
        "Correct",
    ),
    ("a client authority without TLS", "[mllp_tls]\nclient_authority = 'short'", "line 2, mllp_tls.client_authority", "Give"),
    ("one bracket round a source", "[source]\nid = 'a'", "line 1, source", "[[source]]"),
    ("a source without its sector", "[[source]]\nid = 'a'\nname = 'A'\nreads = 'fhir'", "line 1, source", "no sector"),
    ("a misspelt key of a source", SOURCE + "door = ['http']", "line 7, source.door", "did you mean doors?"),
    ("an unknown sector", SOURCE.replace('"nhs"', '"nsh"'), "line 5, source.sector", "did you mean nhs?"),
    ("an unknown door", SOURCE + "doors = ['htpp']", "line 7, source.doors", "did you mean http?"),
    ("doors that are no list", SOURCE + "doors = 'http'", "line 7, source.doors", '["http"]'),
    ("an unknown format", SOURCE.replace("hl7v2", "hl7v3"), "line 6, source.reads", "did you mean hl7v2?"),
    ("a mapping that is not there", SOURCE.replace("hl7v2", "none.yaml"), "line 6, source.reads", "source scaffold"),
    ("an id in capitals", SOURCE.replace("northfield-pas", "Northfield"), "line 3, source.id", "lower-case"),
    ("an id that is taken", SOURCE.replace("northfield-pas", "unknown-mllp"), "line 3, source.id", "another id"),
    ("another id that is taken", SOURCE.replace("northfield-pas", "unknown-http"), "line 3, source.id", "another id"),
    ("an impossible ODS code", SOURCE + "organisation = 'R-1'", "line 7, source.organisation", "3 to 12"),
    (
        "an unknown kind of visit numbers",
        SOURCE + "visit_numbers = 'own'",
        "line 7, source.visit_numbers",
        "unique, per-patient",
    ),
    ("an unknown worth of numbers", SOURCE + "nhs_numbers = 'good'", "line 7, source.nhs_numbers", "traced, stated"),
    ("two sources of one id", SOURCE + SOURCE, "line 9, source.id", "another id"),
    ("a misspelt match", SOURCE + "match = { sender = 'PAS' }", "line 7, source.match", "sending_application"),
    ("an MLLP door without a match", SOURCE + "doors = ['mllp']", "line 7, source.doors", "needs match"),
    ("a match without an MLLP door", SOURCE + "match = { sending_facility = 'RX1' }", "line 7, source.match", '"mllp"'),
    ("a folder door without a folder", SOURCE + "doors = ['folder']", "line 7, source.doors", "needs folder"),
    ("a folder without a folder door", SOURCE + "folder = 'in'", "line 7, source.folder", '"folder"'),
    ("a folder within the data folder", SOURCE + "doors = ['folder']\nfolder = 'backbone-data/in'", "line 8", "outside"),
    (
        "MLLP for another format",
        SOURCE.replace("hl7v2", "fhir") + "doors = ['mllp']\nmatch = { sending_facility = 'R' }",
        "line 6, source.reads",
        "hl7v2",
    ),
    ("a client certificate without TLS", SOURCE + "tls_client = 'pas'", "line 7, source.tls_client", "client_authority"),
]


@pytest.mark.parametrize(("text", "where", "says"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_what_is_wrong_stops_the_start_with_file_line_and_cure(tmp_path: Path, text: str, where: str, says: str) -> None:
    (tmp_path / "short").write_text("short")
    file = written(tmp_path, text)
    found = faults(file, {})
    assert any(where in fault.where and says in str(fault) for fault in found), [str(fault) for fault in found]
    assert all(str(file) in fault.where for fault in found if "line" in fault.where)
    assert not any("hidden-word" in str(fault) or SECRET in str(fault) for fault in found)


def test_two_sources_may_not_claim_the_same_messages_or_folder(tmp_path: Path) -> None:
    table = SOURCE + "doors = ['mllp', 'folder']\nmatch = { sending_facility = 'RX1' }\nfolder = 'in'\nendpoint = 'urn:one'\n"
    file = written(tmp_path, table + table.replace("northfield-pas", "northfield-two").replace("'in'", "'in/two'"))
    found = {fault.where.rpartition(", ")[2]: str(fault) for fault in faults(file, {})}
    assert "northfield-pas matches the same messages" in found["source.match"]
    assert "northfield-pas lie in one another" in found["source.folder"]
    assert "northfield-pas has the same endpoint" in found["source.endpoint"]


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "partitions = 0\nhttp = 'x'\n" + SOURCE.replace('"nhs"', '"nsh"'))
    assert len(faults(file, {"BACKBONE_PARTITONS": "3"})) == 4


def test_a_wrong_variable_is_named() -> None:
    (fault,) = faults(None, {"BACKBONE_HTTP": "nonsense"})
    assert fault.where == "environment variable BACKBONE_HTTP"


@pytest.mark.parametrize("sector", Sector)
def test_numbers_are_taken_as_traced_and_it_is_known_where_nobody_says_so(tmp_path: Path, sector: Sector) -> None:
    silent = SOURCE.replace('"nhs"', f'"{sector}"')
    for said, expected in (("", "traced"), ("nhs_numbers = 'traced'", "traced"), ("nhs_numbers = 'stated'", "stated")):
        (tmp_path / "backbone.toml").write_text(silent + said)
        (settings,) = read_settings(tmp_path / "backbone.toml", {}).sources.values()
        assert settings.source.nhs_numbers == expected
        assert settings.numbers_assumed == (not said and sector not in ("nhs", "council"))


def test_an_unknown_variable_is_named_with_the_nearest() -> None:
    (fault,) = faults(None, {"BACKBONE_STOER": "x"})
    assert "did you mean BACKBONE_STORE?" in str(fault)


def test_the_test_commands_variables_are_no_settings() -> None:
    assert read_settings(None, {"BACKBONE_TEST_KAFKA": "localhost:9092"}).embedded


def test_a_value_and_its_file_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (fault,) = faults(None, {"BACKBONE_KEY_SECRET": SECRET, "BACKBONE_KEY_SECRET_FILE": "secret"})
    assert "both" in str(fault)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"log = = 1", "line 1"), (b"log = '\xff'", "UTF-8"), (None, "cannot be read")],
    ids=["broken", "not UTF-8", "not there"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "some.toml"
    if content is not None:
        file.write_bytes(content)
    (fault,) = faults(file, {})
    assert str(file) in fault.where
    assert says in str(fault)


def test_the_settings_file_is_named_without_being_read(tmp_path: Path) -> None:
    assert settings_file(None, {}) is None
    assert settings_file(None, {"BACKBONE_CONFIG": "some.toml"}) == tmp_path / "some.toml"


def test_everything_wrong_with_a_source_is_said_at_once(tmp_path: Path) -> None:
    second = (
        '[[source]]\nid = "northfield-pas"\nname = "B"\nsector = "x"\nreads = "nowhere.yaml"\norganisation = "!"\nfoo = 1\n'
    )
    found = faults(written(tmp_path, SOURCE + second), {})
    said = [fault.where.rpartition(".")[2] for fault in found]
    assert sorted(said) == ["foo", "id", "organisation", "reads", "sector"]
