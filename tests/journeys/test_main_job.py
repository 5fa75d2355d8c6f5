"""The main job: three sectors' records become one person's timeline."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.journeys.conftest import Make
from tests.journeys.harness import SAMPLES, Backbone, hospital_messages
from tests.patience import eventually


def _send_everything(backbone: Backbone) -> None:
    answers = backbone.mllp(*hospital_messages())
    assert [b"MSA|AA|" in answer for answer in answers] == [True] * 4
    arriving = backbone.folder / "inbox" / "riverside" / "services.csv.part"
    arriving.write_bytes((SAMPLES / "riverside-services.csv").read_bytes())
    arriving.rename(arriving.with_suffix(""))
    sheet = (SAMPLES / "willow-contacts.csv").read_bytes()
    answer = backbone.http.post("/intake/willow-contacts", content=sheet, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text


def _sectors(backbone: Backbone) -> set[str]:
    return {entry["source"]["sector"] for entry in backbone.timeline()}


def test_a_hospital_a_council_and_a_charity_meet_on_one_timeline(backbone: Backbone) -> None:
    _send_everything(backbone)
    eventually(lambda: _sectors(backbone) == {"nhs", "council", "voluntary"})
    titles = [entry["title"] for entry in backbone.timeline()]
    assert "Discharged from Kingsmill Ward, Northfield Hospital, to own home" in titles
    assert any("Meals" in title for title in titles)
    assert any("Willow Befriending" in title for title in titles)
    occurred = [entry["occurred_at"] for entry in backbone.timeline()]
    assert occurred == sorted(occurred)


def test_the_timeline_is_kept_over_a_restart(backbone: Backbone) -> None:
    _send_everything(backbone)
    eventually(lambda: _sectors(backbone) == {"nhs", "council", "voluntary"})
    before = backbone.timeline()
    assert backbone.end() == 0
    backbone.start()
    assert backbone.timeline() == before


def test_a_kill_loses_nothing_that_was_acknowledged(backbone: Backbone) -> None:
    answers = backbone.mllp(*hospital_messages())
    backbone.end(signal.SIGKILL)
    assert len(answers) == 4
    backbone.start()
    eventually(lambda: len({entry["type"] for entry in backbone.timeline()}) >= 4)


def test_the_same_messages_again_change_nothing(backbone: Backbone) -> None:
    first = backbone.mllp(*hospital_messages())
    eventually(lambda: len(backbone.timeline()) >= 4)
    before = backbone.timeline()
    second = backbone.mllp(*hospital_messages())
    assert [_code(answer) for answer in second] == [_code(answer) for answer in first]
    marker = hospital_messages()[0].replace(b"NF204417", b"NF999999").replace(b"9990000018", b"9990000026")
    backbone.mllp(marker.replace(b"NF00000001", b"NF00000099").replace(b"NF-V-88120", b"NF-V-99999"))
    eventually(lambda: backbone.timeline("9990000026"))
    assert backbone.timeline() == before


def _code(answer: bytes) -> bytes:
    return answer.split(b"MSA|")[1].split(b"\r")[0]


def test_out_of_order_arrival_ends_in_the_same_timeline(backbone: Backbone, make: Make, tmp_path: Path) -> None:
    messages = hospital_messages()
    backbone.mllp(*reversed(messages))
    eventually(lambda: len(backbone.timeline()) >= 4)
    other = make(tmp_path / "in-order")
    try:
        other.start()
        other.mllp(*messages)
        eventually(lambda: len(other.timeline()) == len(backbone.timeline()))
        assert [_without_arrival(one) for one in other.timeline()] == [_without_arrival(one) for one in backbone.timeline()]
    finally:
        other.close()


def _without_arrival(entry: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in entry.items() if name != "recorded_at"}


@pytest.mark.parametrize("column", ["Event Type"])
def test_a_rejected_row_is_kept_and_redriven_once_the_input_is_understood(backbone: Backbone, column: str) -> None:
    lines = (SAMPLES / "riverside-services.csv").read_text().splitlines()
    broken = "\n".join([lines[0], lines[1] + ",one cell too many", *lines[2:]]) + "\n"
    headers = {"Content-Type": "text/csv"}
    answer = backbone.http.post("/intake/riverside-adult-care", content=broken.encode(), headers=headers)
    assert answer.status_code == 207, answer.text
    receipt = answer.json()
    assert receipt["received"] == receipt["accepted"] + receipt["rejected"]
    [refusal] = receipt["refusals"]
    assert refusal["position"] == "line 2"
    kept = eventually(lambda: backbone.http.get("/quarantine").json()["items"])
    assert [item["id"] for item in kept] == [refusal["quarantine"]]
    assert backbone.http.get(f"/intake/receipts/{receipt['id']}").json()["rejected"] == 1
