"""``backbone demo``: what `make demo` runs."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import Backbone


def test_the_demo_shows_three_sectors_on_one_timeline_and_keeps_them(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path, {"BACKBONE_LOG": "kafka://no-such-host:9092", "BACKBONE_DATA": str(tmp_path / "real")})
    shown = backbone("demo", "--once", "--json").json
    assert {entry["source"]["sector"] for entry in shown["timeline"]["entries"]} == {"nhs", "council", "voluntary"}
    assert [path.name for path in tmp_path.iterdir()] == ["backbone-demo"], "settings of the environment are left alone"
    again = Backbone(tmp_path)(
        "timeline", shown["person"], "--order", "oldest", "--json", "--config", "backbone-demo/backbone.toml"
    )
    assert again.json["entries"] == shown["timeline"]["entries"]


def test_the_demo_for_people_is_a_table_and_the_next_commands(tmp_path: Path) -> None:
    outcome = Backbone(tmp_path)("demo", "--once")
    assert outcome.status == 0, outcome.err
    assert "Discharged from Kingsmill Ward, Northfield Hospital, to own home" in outcome.out
    assert "backbone serve --config " in outcome.out
    assert outcome.err == ""
    assert not [line for line in outcome.out.splitlines() if line != line.rstrip()]


def test_the_demo_empties_no_folder_it_did_not_make(tmp_path: Path) -> None:
    mine = tmp_path / "backbone-demo" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("work")
    outcome = Backbone(tmp_path)("demo", "--once")
    assert outcome.status == 2
    assert "--folder" in outcome.err
    assert mine.read_text() == "work"
