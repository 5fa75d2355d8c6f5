"""A server that runs takes up changed sources and mappings, at every door; what has an error leaves what was in force."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.bench.messages import messages
from tests.command_line import DEADLINE_S, HOSPITAL, Backbone, Server
from tests.patience import eventually

WILLOW = (files("adapters") / "tabular" / "mappings" / "willow-contacts.yaml").read_text()
ROWS = "Date,Member ID,Contact,Attended,NHS Number,What was done\n{day}/02/2026,W17,Home visit,{attended},9990000018,\n"
CHARITY = """
[[source]]
id = "willow-contacts"
name = "Willow Befriending"
sector = "voluntary"
reads = "willow-contacts.yaml"
nhs_numbers = "traced"
"""
BY_FOLDER = CHARITY.replace("willow-contacts", "hearthside", 1).replace("Willow", "Hearthside") + (
    'doors = ["http", "folder"]\nfolder = "inbox/hearthside"\n'
)
QUICK = '[folders]\nsettle = "1 second"\n'


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    made = Backbone(tmp_path)
    made.settings(QUICK + CHARITY)
    (tmp_path / "willow-contacts.yaml").write_text(WILLOW)
    return made


def send(server: Server, source: str, content: str) -> tuple[int, dict[str, Any]]:
    """Status and body of what is answered to ``content``."""
    request = urllib.request.Request(f"{server.http}/intake/{source}", content.encode(), {"content-type": "text/csv"})
    return asked(request)


def asked(request: urllib.request.Request | str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def redriven(server: Server, item: str) -> int:
    return asked(urllib.request.Request(f"{server.http}/quarantine/{item}/redrive", method="POST"))[0]


def faults(server: Server) -> float:
    """What the metric says."""
    with urllib.request.urlopen(f"{server.http}/metrics", timeout=DEADLINE_S) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("backbone_settings_faults "))


def acknowledged(server: Server, content: bytes) -> bool:
    with socket.create_connection(server.mllp, timeout=DEADLINE_S) as connection:
        connection.sendall(b"\x0b" + content + b"\x1c\r")
        return b"MSA|AA|" in connection.recv(65536)


def said(server: Server) -> list[str]:
    """Stops the server; its messages."""
    return [json.loads(line)["message"] for line in server.stop().err.splitlines()]


def test_what_a_mended_mapping_lets_through_is_redriven_without_a_restart(backbone: Backbone) -> None:
    with backbone.serving() as server:
        status, told = send(server, "willow-contacts", ROWS.format(day=12, attended="certainly"))
        assert status == 422
        item = told["refusals"][0]["quarantine"]
        assert redriven(server, item) == 422
        mended = WILLOW.replace("$yes(Attended)", '$yes(Attended = "certainly" ? "yes" : Attended)')
        assert mended != WILLOW
        (backbone.folder / "willow-contacts.yaml").write_text(mended)
        eventually(lambda: redriven(server, item) == 200)
        assert send(server, "willow-contacts", ROWS.format(day=13, attended="certainly"))[0] == 200


def test_a_mapping_with_an_error_leaves_the_one_before_in_force_and_says_so(backbone: Backbone) -> None:
    mapping = backbone.folder / "willow-contacts.yaml"
    with backbone.serving() as server:
        mapping.write_text("source: willow-contacts\nreads: cvs\n")
        eventually(lambda: faults(server) == 1)
        assert send(server, "willow-contacts", ROWS.format(day=12, attended="yes"))[0] == 200
        doctor = backbone("doctor", "--json")
        assert doctor.status == 2
        assert [row["says"] for row in doctor.json if row["level"] == "fail" and row["about"] == "mappings"]
        mapping.write_text(WILLOW)
        eventually(lambda: faults(server) == 0)
        messages = said(server)
    (refusal,) = [message for message in messages if "stay in force" in message]
    assert f"{mapping}, line 2" in refusal
    assert [message for message in messages if "any more" in message]


def test_a_new_source_may_send_at_every_door_and_is_named_on_the_timeline(backbone: Backbone) -> None:
    (message,) = messages(1)
    with backbone.serving() as server:
        assert not acknowledged(server, message)
        assert send(server, "hearthside", "")[0] == 404
        backbone.settings(QUICK + CHARITY + HOSPITAL + BY_FOLDER)
        eventually(lambda: acknowledged(server, message.replace(b"PAS", b"PAS")) or None)
        inbox = eventually(lambda: next(backbone.folder.glob("inbox/hearthside"), None))
        (inbox / "visits.csv").write_text(ROWS.format(day=14, attended="yes"))
        eventually(lambda: (inbox / "done" / "visits.csv").is_file())
        assert send(server, "hearthside", ROWS.format(day=15, attended="yes"))[0] == 200
        found = eventually(lambda: backbone("person", "find", stdin=b"9990000018").out.strip())
        shown = eventually(lambda: (page := backbone("timeline", found).out).count("Hearthside") >= 2 and page)
        assert "Home visit by Hearthside Befriending" in shown


def test_a_source_that_is_declared_no_more_may_not_send_and_is_not_waited_for(backbone: Backbone) -> None:
    backbone.settings(QUICK + CHARITY + BY_FOLDER + 'expect_every = "1 day"\n')
    heard = 'backbone_source_heard_timestamp_seconds{source="hearthside"}'
    with backbone.serving() as server:
        eventually(lambda: heard in _metrics(server))
        backbone.settings(QUICK + CHARITY)
        eventually(lambda: send(server, "hearthside", "")[0] == 404)
        eventually(lambda: heard not in _metrics(server))
        left = backbone.folder / "inbox" / "hearthside" / "late.csv"
        left.write_text(ROWS.format(day=14, attended="yes"))
        assert send(server, "willow-contacts", ROWS.format(day=14, attended="yes"))[0] == 200
        server.stop()
    assert left.is_file()


def _metrics(server: Server) -> str:
    with urllib.request.urlopen(f"{server.http}/metrics", timeout=DEADLINE_S) as answer:
        return str(answer.read().decode())


def test_settings_with_an_error_and_those_that_are_not_about_sources_wait(backbone: Backbone) -> None:
    with backbone.serving() as server:
        backbone.settings(QUICK + "[[source]]\n")
        eventually(lambda: faults(server) > 0)
        assert send(server, "willow-contacts", ROWS.format(day=12, attended="yes"))[0] == 200
        backbone.settings('[limits]\nbody = "1 MiB"\n' + QUICK + CHARITY)
        eventually(lambda: faults(server) == 0)
        messages = said(server)
    assert "what the settings say of limits waits for the next start" in messages


def test_a_server_that_began_in_an_empty_folder_takes_up_the_first_source(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path)
    added = ("source", "add", "northfield-pas", "--name", "Northfield", "--sector", "nhs", "--reads", "hl7v2")
    with backbone.serving() as server:
        assert send(server, "northfield-pas", "")[0] == 404
        assert backbone(*added).status == 0
        eventually(lambda: send(server, "northfield-pas", "")[0] != 404)
