"""Records through the command line, beside a running server: taken in, looked at, mended, made anew."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from adapters.eventlog.connect import connect
from adapters.sources.mllp_send import MllpSender
from schemas.log import EVENTS, NewRecord
from tests.command_line import DEADLINE_S, Backbone, Outcome, Server
from tests.patience import eventually

SAMPLES = files("gateway") / "samples"
NUMBER = "9990000018"
"""NHS number of the person the samples are about."""
FAMILY = "Ellis-Whitmore"


def run(backbone: Backbone, *arguments: str, stdin: bytes = b"") -> Outcome:
    """A command that must be done without a complaint."""
    outcome = backbone(*arguments, stdin=stdin)
    assert outcome.status == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    backbone = Backbone(folder)
    backbone.settings((SAMPLES / "backbone.toml").read_text())
    with backbone.serving() as server:
        yield server


def asked(server: Server, path: str, body: object = None) -> Any:
    """What the server answers, ``None`` for a 404."""
    content = json.dumps(body).encode() if body else None
    request = urllib.request.Request(server.http + path, data=content, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        assert refused.code == 404
        return None


@pytest.fixture(scope="module")
def backbone(folder: Path, server: Server) -> Backbone:
    """The command beside a server that has taken in the hospital's messages and the charity's sheet."""
    backbone = Backbone(folder)
    for name in ("northfield-pas.hl7", "willow-contacts.csv"):
        (folder / name).write_bytes((SAMPLES / name).read_bytes())
        run(backbone, "ingest", name.partition(".")[0], name)
    eventually(lambda: _sectors(server) == {"nhs", "voluntary"})
    return backbone


def _sectors(server: Server) -> set[str]:
    found = asked(server, "/people/search", {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER})
    page = asked(server, f"/people/{found['person']}/timeline") if found else {"entries": []}
    return {entry["source"]["sector"] for entry in page["entries"]}


@pytest.fixture(scope="module")
def person(backbone: Backbone) -> str:
    return run(backbone, "person", "find", stdin=NUMBER.encode()).out.strip()


def test_the_same_file_again_has_the_same_receipt(backbone: Backbone) -> None:
    first = run(backbone, "ingest", "willow-contacts", "willow-contacts.csv", "--json").json
    second = run(backbone, "ingest", "willow-contacts", "willow-contacts.csv", "--json").json
    assert first == second
    assert first["received"] == first["accepted"] > 0
    assert first["door"] == "cli"


def test_standard_input_is_taken_in(backbone: Backbone) -> None:
    content = (SAMPLES / "willow-contacts.csv").read_bytes()
    outcome = run(backbone, "ingest", "willow-contacts", "-", "--media-type", "text/csv", "--json", stdin=content)
    assert outcome.json["rejected"] == 0


def test_a_receipt_for_people_says_counts_and_no_names(backbone: Backbone) -> None:
    outcome = run(backbone, "ingest", "willow-contacts", "willow-contacts.csv")
    assert "accepted" in outcome.out
    assert "receipt " in outcome.out
    assert FAMILY not in outcome.out


def test_an_unknown_source_is_wrong_use(backbone: Backbone) -> None:
    outcome = backbone("ingest", "wilow-contacts", "willow-contacts.csv")
    assert outcome.status == 2
    assert "willow-contacts" in outcome.err


FORMS = [
    ("the number", [], NUMBER),
    ("the number with spaces", [], "999 000 0018"),
    ("a search as the API takes it", [], json.dumps({"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER})),
    ("a local identifier", ["--source", "northfield-pas"], "NF204417"),
    ("a local identifier by its system", [], '{"system": "urn:care-backbone:source:willow-contacts", "value": "W-118"}'),
]


@pytest.mark.parametrize(("options", "text"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_a_person_is_found_by_any_of_their_identifiers(backbone: Backbone, person: str, options: list[str], text: str) -> None:
    assert run(backbone, "person", "find", *options, stdin=f"{text}\n".encode()).out.strip() == person


REFUSED = [
    ("no NHS number", "9990000019", "this is no NHS number"),
    ("nothing", "", "there is no identifier"),
    ("no JSON of ours", '{"number": "9990000018"}', "not an identifier"),
    ("a system nobody has", '{"system": "urn:x", "value": "9990000018"}', "no such system"),
    ("somebody unknown", "9990000085", "nobody here"),
]


@pytest.mark.parametrize(("text", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_found_is_refused_without_repeating_it(backbone: Backbone, text: str, says: str) -> None:
    outcome = backbone("person", "find", stdin=text.encode())
    assert outcome.status == 2
    assert says in outcome.err
    assert "99900000" not in outcome.out + outcome.err.replace("nhs-number", "")


@pytest.mark.parametrize("words", [["person", "find", NUMBER], ["timeline", NUMBER]], ids=" ".join)
def test_an_identifier_in_the_arguments_is_refused_without_repeating_it(backbone: Backbone, words: list[str]) -> None:
    outcome = backbone(*words)
    assert outcome.status == 2
    assert "arguments" in outcome.err
    assert NUMBER not in outcome.out + outcome.err


def test_a_timeline_is_a_table(backbone: Backbone, person: str) -> None:
    lines = run(backbone, "timeline", person, "--order", "oldest").out.splitlines()
    assert lines[0].split() == ["When", "What", "Source", "Sector"]
    assert lines[1].startswith("2026-02-02 21:40  Admitted to Acute Medical Unit, Northfield Hospital")
    assert any("Home visit by Willow Befriending" in line for line in lines)


def test_a_timeline_as_json_has_the_shape_of_the_api(backbone: Backbone, person: str) -> None:
    page = run(backbone, "timeline", person, "--limit", "1", "--json").json
    assert set(page) == {"person", "entries", "next", "missing", "behind"}
    following = run(backbone, "timeline", person, "--limit", "1", "--after", page["next"], "--json").json
    assert following["entries"][0]["id"] != page["entries"][0]["id"]


def test_a_timeline_is_filtered_as_the_api_filters(backbone: Backbone, person: str) -> None:
    entries = run(backbone, "timeline", person, "--sector", "voluntary", "--kind", "contact", "--json").json["entries"]
    assert {entry["source"]["sector"] for entry in entries} == {"voluntary"}
    wrong = backbone("timeline", person, "--sector", "volunteers")
    assert wrong.status == 2
    assert "voluntary" in wrong.err


def test_nobodys_timeline_is_said_to_be_nobodys(backbone: Backbone) -> None:
    outcome = backbone("timeline", "0" * 32)
    assert outcome.status == 2
    assert "no such person" in outcome.err


def test_a_dry_run_says_where_each_field_comes_from_and_writes_nothing(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path)
    backbone.settings((SAMPLES / "backbone.toml").read_text())
    sheet = (SAMPLES / "willow-contacts.csv").read_bytes()
    outcome = run(backbone, "translate", "willow-contacts", "-", "--media-type", "text/csv", "--json", stdin=sheet)
    (born,) = [one for one in outcome.json["provenance"] if one["field"].endswith("birthDate")]
    assert born["from"] == ['column "Date of Birth"']
    assert outcome.json["items"][0]["events"][0]["type"] == "contact-made-1"
    assert outcome.json["required"]
    assert [path.name for path in tmp_path.iterdir()] == ["backbone.toml"]


def test_a_dry_run_for_people_shows_fields_values_and_origins(backbone: Backbone) -> None:
    outcome = run(backbone, "translate", "northfield-pas", "northfield-pas.hl7")
    assert "message 4: encounter-discharged-1" in outcome.out
    assert any(line.split()[0] == "Patient.birthDate" and "PID-7" in line for line in outcome.out.splitlines() if line)


def test_a_dry_run_of_what_would_be_rejected_returns_1(backbone: Backbone) -> None:
    outcome = backbone("translate", "northfield-pas", "-", "--media-type", "application/hl7-v2", stdin=b"MSH|rubbish")
    assert outcome.status == 1
    assert "rejected" in outcome.out


ROW = b"Date,Time,Member ID,Name,Contact,Attended,What was done\n03/02/2026,10:30,W-7,Mr Private Person,Home visit,Came,tea\n"


@pytest.fixture(scope="module")
def kept(backbone: Backbone, server: Server) -> str:
    """Id of a rejected row in the quarantine."""
    outcome = backbone("ingest", "willow-contacts", "-", "--media-type", "text/csv", "--json", stdin=ROW)
    assert outcome.status == 1
    (refusal,) = outcome.json["refusals"]
    item = str(refusal["quarantine"])
    eventually(lambda: asked(server, f"/quarantine/{item}"))
    return item


def test_what_was_rejected_is_listed_without_its_content(backbone: Backbone, kept: str) -> None:
    outcome = run(backbone, "quarantine", "list", "--source", "willow-contacts")
    assert kept in outcome.out
    (line,) = [line for line in outcome.out.splitlines() if kept in line]
    assert re.search(r"invalid-value +[0-9T:-]{19}Z +0$", line), "an item stands on one line, with longer words as well"
    assert "Private Person" not in outcome.out
    assert kept in [item["id"] for item in run(backbone, "quarantine", "list", "--json").json["items"]]


def test_what_was_rejected_is_shown_with_its_reason_and_its_content_only_on_request(backbone: Backbone, kept: str) -> None:
    shown = run(backbone, "quarantine", "show", kept)
    assert "reason" in shown.out
    assert "Private Person" not in shown.out
    assert "Private Person" in run(backbone, "quarantine", "show", kept, "--content").out


def test_a_redrive_without_a_cure_is_rejected_again_and_counted(backbone: Backbone, server: Server, kept: str) -> None:
    assert backbone("quarantine", "redrive", kept).status == 1
    eventually(lambda: asked(server, f"/quarantine/{kept}")["tries"] == 1)
    assert run(backbone, "quarantine", "show", kept, "--json").json["status"] == "open"


async def over_mllp(server: Server, message: bytes) -> bytes:
    async with MllpSender(*server.mllp) as sender:
        return await sender.send(message)


def test_what_a_stranger_sent_keeps_nothing_else_from_being_sent_through_again(
    backbone: Backbone, server: Server, kept: str
) -> None:
    stranger = b"MSH|^~\\&|STRANGE|XX9|||20260212||ADT^A31|S1|P|2.4\rPID|||S1^^^XX9^MR\r"
    assert b"MSA|AR|S1" in asyncio.run(over_mllp(server, stranger))
    eventually(lambda: "unknown-mllp" in backbone("quarantine", "list").out)
    (item,) = [line.split()[0] for line in backbone("quarantine", "list").out.splitlines() if "unknown-mllp" in line]
    outcome = backbone("quarantine", "redrive", "--all")
    assert outcome.status == 1
    assert f"{kept}:" in outcome.out and item not in outcome.out
    assert "1 item of senders that were not known on arrival left" in outcome.err
    refused = backbone("quarantine", "redrive", item)
    assert refused.status == 2 and "--as SOURCE" in refused.err and "source list" in refused.err
    assert "accepted 1" in run(backbone, "quarantine", "redrive", item, "--as", "northfield-pas").out


MENDED = """
source: willow-contacts
reads: csv
record: [Member ID]
each:
  - event: contact-made-1
    key: [Member ID, Date]
    occurred_at: '$day(Date)'
"""


def test_a_redrive_after_the_mapping_is_mended_is_taken_in(backbone: Backbone, server: Server, kept: str) -> None:
    mended = backbone.folder / "willow-contacts.yaml"
    mended.write_text(MENDED)
    try:
        outcome = backbone("quarantine", "redrive", "--all", "--source", "willow-contacts", "--json")
        assert outcome.status == 0, outcome.out + outcome.err
        eventually(lambda: asked(server, f"/quarantine/{kept}")["status"] == "taken-in")
    finally:
        mended.unlink()


def test_a_cursor_of_no_list_is_wrong_use_and_not_an_empty_list(backbone: Backbone, kept: str) -> None:
    outcome = backbone("quarantine", "list", "--after", "zzz")
    assert (outcome.status, "the `next` of the page before" in outcome.err) == (2, True)


def test_when_there_is_nothing_to_do_that_is_said(backbone: Backbone) -> None:
    assert "nothing to send" in run(backbone, "quarantine", "redrive", "--all", "--source", "northfield-pas").out
    assert "Nothing is parked" in run(backbone, "parked", "retry", "people").out


def test_the_items_of_a_redrive_must_be_said(backbone: Backbone) -> None:
    assert backbone("quarantine", "redrive").status == 2
    assert backbone("quarantine", "redrive", "some-id", "--all").status == 2
    assert "no such item" in backbone("quarantine", "redrive", "some-id").err


def test_a_rebuild_beside_the_server_changes_nothing_that_is_read(backbone: Backbone, person: str) -> None:
    before = run(backbone, "timeline", person, "--json").json["entries"]
    outcome = run(backbone, "rebuild", "timeline", "people", "receipts", "quarantine")
    assert "timeline: rebuilt from " in outcome.out
    assert run(backbone, "timeline", person, "--json").json["entries"] == before


def test_a_projection_that_is_none_is_wrong_use(backbone: Backbone) -> None:
    outcome = backbone("rebuild", "time-line")
    assert outcome.status == 2
    assert "did you mean timeline?" in outcome.err


def test_the_doctor_finds_nothing_wrong(backbone: Backbone) -> None:
    outcome = run(backbone, "doctor")
    levels = {line.split()[0] for line in outcome.out.splitlines()}
    assert levels <= {"ok", "warn"}, outcome.out
    about = {finding["about"] for finding in run(backbone, "doctor", "--json").json}
    assert about >= {"settings", "data folder", "secrets", "log", "store", "projections", "clock", "mappings", "drop folders"}


def test_the_log_is_verified(backbone: Backbone) -> None:
    topics = run(backbone, "log", "verify", "--json").json
    assert {topic["topic"] for topic in topics} == {"backbone.events", "backbone.receipts", "backbone.quarantine"}
    assert all(topic["sound"] for topic in topics)
    assert "sound" in run(backbone, "log", "verify").out


@pytest.fixture(scope="module")
def parked(backbone: Backbone, server: Server) -> Backbone:
    """One record in the log that no projection of events can read."""
    asyncio.run(_append(backbone.folder / "backbone-data" / "log.db", b"no event"))
    eventually(lambda: asked(server, "/health/ready")["parked"] == {"people": 1, "timeline": 1, "receipts": 0, "quarantine": 0})
    return backbone


async def _append(file: Path, value: bytes) -> None:
    log = await connect(f"sqlite:///{file}", partitions=24)
    await log.append([NewRecord(EVENTS, "key", value)])
    await log.close()


def test_an_event_that_cannot_be_applied_is_listed_and_said_by_the_doctor(parked: Backbone) -> None:
    listed = run(parked, "parked", "list", "timeline", "--json").json
    assert listed["counts"] == {"timeline": 1}
    assert listed["parked"][0]["topic"] == EVENTS and listed["parked"][0]["code"]
    assert "people" in run(parked, "parked", "list").out
    [line] = [line for line in parked("doctor").out.splitlines() if "timeline could not apply 1 events" in line]
    assert "backbone parked list timeline" in line


def test_what_still_cannot_be_applied_is_told_by_the_status(parked: Backbone) -> None:
    outcome = parked("parked", "retry", "timeline", "--json")
    assert (outcome.status, outcome.json) == (1, {"projection": "timeline", "applied": 0, "left": 1, "gone": 0})
    assert run(parked, "parked", "list", "timeline", "--json").json["parked"][0]["tries"] >= 2


def test_what_can_be_applied_now_is_parked_no_more(parked: Backbone, person: str) -> None:
    with sqlite3.connect(parked.folder / "backbone-data" / "store.db") as store:
        elsewhere = (
            "SELECT partition FROM position WHERE projection = 'timeline' AND next > 0 EXCEPT SELECT partition FROM parked"
        )
        partition = store.execute(elsewhere).fetchone()[0]
        store.execute(
            "INSERT INTO parked VALUES ('timeline', ?, ?, 0, 'X', 'somewhere', '2026', '2026', 1)", (EVENTS, partition)
        )
    before = run(parked, "timeline", person, "--json").json["entries"]
    assert "timeline: 1 applied, 1 still cannot be" in parked("parked", "retry").out
    assert run(parked, "parked", "list", "timeline", "--json").json["counts"] == {"timeline": 1}
    assert run(parked, "timeline", person, "--json").json["entries"] == before


def test_parked_events_of_no_projection_are_wrong_use(backbone: Backbone) -> None:
    outcome = backbone("parked", "list", "time-line")
    assert outcome.status == 2
    assert "did you mean timeline?" in outcome.err


def test_a_broken_log_is_told_and_returns_3(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path)
    backbone.settings((SAMPLES / "backbone.toml").read_text())
    (tmp_path / "stay.hl7").write_bytes((SAMPLES / "northfield-pas.hl7").read_bytes())
    run(backbone, "ingest", "northfield-pas", "stay.hl7")
    with sqlite3.connect(tmp_path / "backbone-data" / "log.db") as log:
        log.execute("UPDATE entries SET value = value || x'00' WHERE seq = 2")
    outcome = backbone("log", "verify", "--json")
    assert outcome.status == 3
    assert sum(topic["counts"]["broken"] for topic in outcome.json) == 1


LOOKING = (
    ["log", "verify"],
    ["timeline", "0" * 32],
    ["quarantine", "list"],
    ["quarantine", "redrive", "--all"],
    ["quarantine", "redrive", "some-id"],
    ["parked", "retry"],
)


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_where_nothing_was_taken_in_makes_nothing(tmp_path: Path, words: list[str]) -> None:
    outcome = Backbone(tmp_path)(*words)
    assert outcome.status == 2
    assert "this is not there yet" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_tables_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "backbone-data").mkdir()
    (tmp_path / "backbone-data" / "store.db").touch()
    outcome = Backbone(tmp_path)("quarantine", "list")
    assert outcome.status == 3
    assert "tables are not there yet" in outcome.err
