"""The command line: what is typed, printed and returned."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.command_line import DEADLINE_S, Backbone
from tests.patience import eventually

SOURCE = """
[[source]]
id = "willow-contacts"
name = "Willow Befriending"
sector = "voluntary"
reads = "willow-contacts.yaml"
"""


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return Backbone(tmp_path)


COMMANDS = (
    ["demo"],
    ["serve"],
    ["ingest"],
    ["translate"],
    ["source", "list"],
    ["source", "add"],
    ["source", "scaffold"],
    ["source", "check"],
    ["person", "find"],
    ["timeline"],
    ["quarantine", "list"],
    ["quarantine", "show"],
    ["quarantine", "redrive"],
    ["parked", "list"],
    ["parked", "retry"],
    ["rebuild"],
    ["log", "verify"],
    ["doctor"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(backbone: Backbone, words: list[str]) -> None:
    outcome = backbone(*words, "--help")
    assert outcome.status == 0
    assert f"Usage: backbone {' '.join(words)}" in outcome.out
    assert "--json" in outcome.out


def test_the_help_lists_every_command_and_the_exit_statuses(backbone: Backbone) -> None:
    outcome = backbone("--help")
    assert outcome.status == 0
    listed = {line.split()[0] for line in outcome.out.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed == {words[0] for words in COMMANDS}
    assert "0 done, 1 some input rejected" in outcome.out


def test_the_help_imports_nothing_heavy(backbone: Backbone) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.argv = ['backbone', '--help']\n"
        "from gateway.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({name.partition('.')[0] for name in sys.modules} & set(sys.stdin.read().split())))"
    )
    heavy = b"fastapi sqlalchemy alembic uvicorn pydantic rich asyncio msgspec prometheus_client jsonschema_rs"
    done = subprocess.run([sys.executable, "-c", code], input=heavy, capture_output=True, check=True, cwd=backbone.folder)
    assert done.stdout.decode().splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["source", "no-such-command"], ["timeline"], ["serve", "--no-such-option"], ["source", "add", "x"]],
    ids=" ".join,
)
def test_wrong_use_is_told_and_returns_2(backbone: Backbone, arguments: list[str]) -> None:
    outcome = backbone(*arguments)
    assert outcome.status == 2
    assert "Error: " in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("words", [["source", "list"], ["serve"], ["doctor"], ["ingest", "a", "b"]], ids=" ".join)
def test_wrong_settings_return_2_with_file_line_and_cure(backbone: Backbone, words: list[str]) -> None:
    backbone.settings("\npartitons = 3\n")
    outcome = backbone(*words)
    assert outcome.status == 2
    told = outcome.out + outcome.err
    assert f"{backbone.folder / 'backbone.toml'}, line 2, partitons" in told
    assert "did you mean partitions?" in told
    assert "Traceback" not in told


def test_an_error_as_json_is_one_object_on_standard_error(backbone: Backbone) -> None:
    backbone.settings("partitions = 0")
    outcome = backbone("source", "list", "--json")
    assert outcome.out == ""
    assert json.loads(outcome.err)["code"] == "settings"


def test_the_shared_options_may_stand_before_the_command(backbone: Backbone) -> None:
    (backbone.folder / "other.toml").write_text(SOURCE)
    outcome = backbone("--config", "other.toml", "--json", "source", "list")
    assert [source["id"] for source in outcome.json] == ["willow-contacts"]


def test_debug_shows_the_traceback(backbone: Backbone) -> None:
    backbone.settings("partitions = 0")
    assert "Traceback" in backbone("source", "list", "--debug").err


def test_wrong_use_is_told_as_json_too(backbone: Backbone) -> None:
    outcome = backbone("--json", "timeline")
    assert (outcome.status, outcome.out) == (2, "")
    told = json.loads(outcome.err)
    assert told["code"] == "invalid-request"
    assert "PERSON" in told["message"]


def test_the_help_of_a_choice_names_what_may_be_chosen(backbone: Backbone) -> None:
    told = backbone("source", "add", "--help").out
    for choices in ("nhs|council|voluntary|care-provider|housing|fire|carer|person", "mllp|http|folder", "traced|stated"):
        assert choices in told


@pytest.mark.parametrize(
    "words", [["translate", "willow-contacts"], ["ingest", "willow-contacts"], ["source", "scaffold", "x"]]
)
def test_a_file_that_cannot_be_read_is_wrong_use(backbone: Backbone, words: list[str]) -> None:
    backbone.settings(SOURCE)
    for name in ("no-such-file.csv", "."):
        outcome = backbone(*words, name)
        assert outcome.status == 2
        assert f"{name}: " in outcome.err


def test_a_dry_run_says_the_sentence_of_each_event_and_that_its_ids_are_not_final(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    sheet = "Date,Member ID,Contact,Attended,What was done\n12/02/2026,W-1,Visit,Yes,tea\u009bcompany\n"
    outcome = backbone("translate", "willow-contacts", "-", stdin=sheet.encode())
    assert outcome.status == 0, outcome.err
    assert "contact-made-1, 2026-02-12: Home visit by Willow Befriending: tea\N{REPLACEMENT CHARACTER}company" in outcome.out
    assert "no key secret yet" in outcome.out
    assert not (backbone.folder / "backbone-data").exists()


def test_a_json_file_is_what_its_source_reads(backbone: Backbone) -> None:
    backbone.settings('[[source]]\nid = "ambulance"\nname = "North Ambulance"\nsector = "nhs"\nreads = "fhir"\n')
    identifier = {"system": "urn:care-backbone:source:ambulance", "value": "A-1"}
    patient = {"resourceType": "Patient", "identifier": [identifier], "birthDate": "1941-03-14"}
    (backbone.folder / "patient.json").write_text(json.dumps(patient), encoding="utf-8")
    outcome = backbone("translate", "ambulance", "patient.json")
    assert outcome.status == 0, outcome.out + outcome.err
    assert "Personal details updated by North Ambulance" in outcome.out


def test_a_command_that_is_told_to_end_says_so_and_returns_143(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    command = backbone.command("ingest", "willow-contacts", "-")
    with subprocess.Popen(
        command, cwd=backbone.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        eventually((backbone.folder / "backbone-data" / "log.db").exists)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143
    assert said.decode() == "backbone: Stopped. Run it again: what was done already is not done twice.\n"


def test_of_many_refusals_some_are_printed_and_the_rest_counted(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    rows = "".join(f"99/99/2026,W-{number},Visit,Yes\n" for number in range(1500))
    outcome = backbone("ingest", "willow-contacts", "-", stdin=f"Date,Member ID,Contact,Attended\n{rows}".encode())
    assert outcome.status == 1
    assert "received 1,500, accepted 0, rejected 1,500" in outcome.out
    assert outcome.out.count("  rejected line ") == 20
    assert "and 1,480 more" in outcome.out


def test_a_file_that_is_not_there_is_named(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    outcome = backbone("translate", "willow-contacts", "no-such-file.csv")
    assert outcome.status != 0
    assert "no-such-file.csv: No such file or directory" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_source_that_is_added_is_listed(backbone: Backbone) -> None:
    backbone.settings("# kept\npartitions = 3\n")
    outcome = backbone(
        "source", "add", "northfield-pas", "--name", 'Northfield "Main" Hospital', "--sector", "nhs", "--reads", "hl7v2",
        "--doors", "mllp", "--doors", "http", "--match", "sending_application=PAS", "--places", "KM=Kingsmill Ward",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    (listed,) = backbone("source", "list", "--json").json
    assert listed["name"] == 'Northfield "Main" Hospital'
    assert listed["doors"] == ["http", "mllp"]
    assert (backbone.folder / "backbone.toml").read_text().startswith("# kept\npartitions = 3\n")


def test_a_source_that_cannot_be_is_not_added(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    outcome = backbone("source", "add", "willow-contacts", "--name", "Again", "--sector", "fire", "--reads", "fhir")
    assert outcome.status == 2
    assert "two sources are called willow-contacts" in outcome.err
    assert (backbone.folder / "backbone.toml").read_text() == SOURCE


def test_adding_a_source_makes_the_settings_file(backbone: Backbone) -> None:
    assert backbone("source", "add", "fire", "--name", "Fire", "--sector", "fire", "--reads", "fhir").status == 0
    assert [path.name for path in backbone.folder.iterdir()] == ["backbone.toml"]


def test_listing_sources_writes_nothing(backbone: Backbone) -> None:
    assert "No source is declared" in backbone("source", "list").out
    assert list(backbone.folder.iterdir()) == []


SAMPLE = "Member No,Full Name,NHS Number,Visit Date,Notes\n1,Mrs Private Person,9990000018,03/02/2026,secret words\n"


def test_a_scaffold_of_a_sample_passes_its_own_tests(backbone: Backbone) -> None:
    (backbone.folder / "sample.csv").write_text(SAMPLE)
    assert backbone("source", "scaffold", "new-charity", "sample.csv").status == 0
    made = (backbone.folder / "new-charity.yaml").read_text()
    assert "Private Person" not in made
    assert "secret words" not in made
    backbone("source", "add", "new-charity", "--name", "New", "--sector", "voluntary", "--reads", "new-charity.yaml")
    outcome = backbone("source", "check", "new-charity", "--json")
    assert outcome.status == 0, outcome.out
    assert outcome.json["failed"] == 0
    assert outcome.json["tests"]


def test_who_declares_a_source_whose_numbers_nobody_vouches_for_is_asked_until_they_say(backbone: Backbone) -> None:
    rest = ("--name", "New", "--reads", "fhir")
    told = backbone("source", "add", "a-charity", "--sector", "voluntary", *rest).out
    assert 'nhs_numbers = "stated"' in told
    for id, sector, said in (("b-charity", "voluntary", ("--nhs-numbers", "traced")), ("a-council", "council", ())):
        assert "nhs_numbers" not in backbone("source", "add", id, "--sector", sector, *said, *rest).out
    listed = {row["id"]: row["nhs_numbers"] for row in backbone("source", "list", "--json").json}
    assert (listed["a-charity"], listed["b-charity"], listed["a-council"]) == ("traced", "traced", "traced")
    asked = [line for line in backbone("doctor").out.splitlines() if "nhs_numbers" in line]
    assert len(asked) == 1
    assert "a-charity" in asked[0]


def test_a_scaffold_overwrites_no_work(backbone: Backbone) -> None:
    (backbone.folder / "sample.csv").write_text(SAMPLE)
    (backbone.folder / "mine.yaml").write_text("source: mine\n")
    assert backbone("source", "scaffold", "mine", "sample.csv").status == 2
    assert (backbone.folder / "mine.yaml").read_text() == "source: mine\n"


def test_a_failed_test_of_a_mapping_is_told_with_its_line(backbone: Backbone) -> None:
    (backbone.folder / "sample.csv").write_text(SAMPLE)
    backbone("source", "scaffold", "new-charity", "sample.csv")
    file = backbone.folder / "new-charity.yaml"
    file.write_text(file.read_text().replace("occurred_at: 2026-02-03", "occurred_at: 2026-02-04"))
    backbone("source", "add", "new-charity", "--name", "New", "--sector", "voluntary", "--reads", "new-charity.yaml")
    outcome = backbone("source", "check")
    assert outcome.status == 2
    assert "failed" in outcome.out
    assert "expected 2026-02-04" in outcome.out


def test_a_mapping_that_is_none_is_told_and_keeps_no_other_from_being_checked(backbone: Backbone) -> None:
    mine = SOURCE.replace('"willow-contacts"', '"mine"', 1).replace("willow-contacts.yaml", "mine.yaml")
    for content, says in (
        (b"reads: csv\nabout: caf\xe9\n", "mine.yaml, line 2: the mapping file is not UTF-8"),
        (b"a: [", "not YAML"),
    ):
        (backbone.folder / "mine.yaml").write_bytes(content)
        backbone.settings(mine + SOURCE)
        outcome = backbone("source", "check")
        assert outcome.status == 2
        assert says in outcome.err
        assert "willow-contacts.yaml line" in outcome.out
        assert "0 failed" in outcome.out


def test_files_saved_by_an_editor_on_windows_are_read(backbone: Backbone) -> None:
    (backbone.folder / "sample.csv").write_text(SAMPLE)
    backbone("source", "scaffold", "new-charity", "sample.csv")
    backbone("source", "add", "new-charity", "--name", "New", "--sector", "voluntary", "--reads", "new-charity.yaml")
    for name in ("new-charity.yaml", "backbone.toml"):
        file = backbone.folder / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    outcome = backbone("source", "check")
    assert (outcome.status, outcome.err) == (0, "")


def test_a_mapping_without_a_test_is_told_how_to_get_one(backbone: Backbone) -> None:
    each = "each: [{event: contact-made-1, key: [Id, $day(Day)], occurred_at: $day(Day)}]"
    (backbone.folder / "mine.yaml").write_text(f"source: mine\nreads: csv\nrecord: [Id]\ncolumns: [Id, Day]\n{each}\n")
    backbone.settings(SOURCE.replace('"willow-contacts"', '"mine"', 1).replace("willow-contacts.yaml", "mine.yaml"))
    outcome = backbone("source", "check")
    assert outcome.status == 0
    assert "Add `tests:`" in outcome.out


def test_checking_a_source_that_is_not_declared_is_wrong_use(backbone: Backbone) -> None:
    backbone.settings(SOURCE)
    outcome = backbone("source", "check", "wilow-contacts")
    assert outcome.status == 2
    assert "willow-contacts" in outcome.err
