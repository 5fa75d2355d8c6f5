"""What can be asked by both doors, over HTTP and at the command line, is answered and refused alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.command_line import HOSPITAL, Backbone, Server
from tests.gateway.http_rig import MARGARET, NHS_NUMBER, SAMPLES
from tests.patience import eventually

NOBODY, NOTHING = "0" * 32, "00000000-0000-5000-8000-000000000000"
OURS = "urn:care-backbone:source:"


class Doors(NamedTuple):
    """One backbone, asked by either door."""

    server: Server
    command: Backbone

    def over_http(self, path: str, body: Any = None) -> Any:
        """What a path answers."""
        data = None if body is None else json.dumps(body).encode()
        method = "GET" if data is None else "POST"
        asked = Request(self.server.http + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urlopen(asked) as answer:
                return json.load(answer)
        except HTTPError as refused:
            with refused:
                return json.load(refused)

    def by_command(self, words: str, stdin: str = "") -> Any:
        """What a command prints, or says is wrong."""
        outcome = self.command(*words.split(), "--json", stdin=stdin.encode())
        return json.loads(outcome.out or outcome.err)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    command = Backbone(tmp_path_factory.mktemp("uses"))
    command.settings(HOSPITAL)
    (command.folder / "stay.hl7").write_bytes((SAMPLES / "northfield-pas.hl7").read_bytes())
    (command.folder / "wrong.hl7").write_bytes(b"MSH|^~\\&|PAS|||||||||\rPID|1\r")
    with command.serving() as server:
        both = Doors(server, command)
        both.by_command("ingest northfield-pas stay.hl7")
        both.by_command("ingest northfield-pas wrong.hl7")
        searched = {"system": NHS_NUMBER, "value": MARGARET}
        eventually(lambda: "person" in both.over_http("/people/search", searched) and both.over_http("/quarantine")["items"])
        yield both


def searching(system: str, value: str) -> tuple[tuple[str, Any], tuple[str, str]]:
    asked = {"system": system, "value": value}
    return ("/people/search", asked), ("person find", json.dumps(asked))


REFUSED = {
    "nobody has the identifier": (*searching(NHS_NUMBER, "9990000026"), "not-found"),
    "the number fails its check": (*searching(NHS_NUMBER, "9990000019"), "invalid-request"),
    "the number is none": (*searching(NHS_NUMBER, "Canary"), "invalid-request"),
    "there is no number": (*searching(NHS_NUMBER, ""), "invalid-request"),
    "the system is nobody's": (*searching("mrn", "1"), "invalid-request"),
    "the source is not declared": (*searching(OURS + "unheard-of", "1"), "unknown-source"),
    "the local identifier is empty": (*searching(OURS + "northfield-pas", ""), "invalid-request"),
    "there is no such person": ((f"/people/{NOBODY}/timeline", None), (f"timeline {NOBODY}", ""), "not-found"),
    "an identifier stands for an id": ((f"/people/{MARGARET}/timeline", None), (f"timeline {MARGARET}", ""), "not-found"),
    "a word is none of the list": (
        (f"/people/{NOBODY}/timeline?kind=canary", None),
        (f"timeline {NOBODY} --kind canary", ""),
        "invalid-request",
    ),
    "a time cannot be read": (
        (f"/people/{NOBODY}/timeline?since=yesterday", None),
        (f"timeline {NOBODY} --since yesterday", ""),
        "invalid-request",
    ),
    "the source asked for is not declared": (
        (f"/people/{NOBODY}/timeline?source=unheard-of", None),
        (f"timeline {NOBODY} --source unheard-of", ""),
        "invalid-request",
    ),
    "there is no such item": ((f"/quarantine/{NOTHING}", None), (f"quarantine show {NOTHING}", ""), "not-found"),
    "an item cannot have the id": (("/quarantine/x", None), ("quarantine show x", ""), "not-found"),
    "there is nothing to redrive": ((f"/quarantine/{NOTHING}/redrive", {}), (f"quarantine redrive {NOTHING}", ""), "not-found"),
    "there is no such status": (("/quarantine?status=lost", None), ("quarantine list --status lost", ""), "invalid-request"),
    "it is no cursor of the list": (("/quarantine?after=x", None), ("quarantine list --after x", ""), "invalid-request"),
}


@pytest.mark.parametrize(("path", "words", "code"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_is_refused_alike_by_both_doors(
    doors: Doors, path: tuple[str, Any], words: tuple[str, str], code: str
) -> None:
    over_http, by_command = doors.over_http(*path), doors.by_command(*words)
    assert (over_http["code"], over_http["detail"], over_http["where"], over_http["cure"]) == (
        code,
        by_command["message"],
        by_command["where"],
        by_command["cure"],
    )
    assert by_command["code"] == code
    assert not any(sent in str(by_command) for sent in ("99900000", "canary", "Canary", "yesterday"))


def test_a_redrive_as_a_source_that_is_not_declared_is_refused_alike(doors: Doors) -> None:
    item = doors.over_http("/quarantine")["items"][0]["id"]
    over_http = doors.over_http(f"/quarantine/{item}/redrive?source=unheard-of", {})
    by_command = doors.by_command(f"quarantine redrive {item} --as unheard-of")
    assert (over_http["code"], over_http["detail"], over_http["cure"]) == (
        "unknown-source",
        by_command["message"],
        by_command["cure"],
    )


def test_what_is_answered_is_answered_alike_by_both_doors(doors: Doors) -> None:
    path, words = searching(NHS_NUMBER, MARGARET)
    found = doors.over_http(*path)
    assert found == doors.by_command(*words)
    person = found["person"]
    page = doors.over_http(f"/people/{person}/timeline?limit=1")
    assert page["entries"] == doors.by_command(f"timeline {person} --limit 1")["entries"]
    assert page["next"] == doors.by_command(f"timeline {person} --limit 1")["next"]
    listed = doors.over_http("/quarantine")
    assert listed == doors.by_command("quarantine list")
    item = listed["items"][0]["id"]
    assert doors.over_http(f"/quarantine/{item}") == doors.by_command(f"quarantine show {item}")
