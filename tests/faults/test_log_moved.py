"""The log's file is moved away under a server that nobody sends anything: readiness says so, and is content once it is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Where the files went."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def _move(of: Path, to: Path) -> None:
    for name in ("log.db", "log.db-wal"):
        (of / name).rename(to / name)


def test_readiness_says_that_the_logs_file_was_moved_away(tmp_path: Path, moved: Path) -> None:
    backbone, data = Backbone(tmp_path).start(), tmp_path / "backbone-data"
    try:
        assert len(backbone.mllp(*hospital_messages()[:2])) == 2
        eventually(lambda: len(backbone.timeline()) == 2)
        assert backbone.http.get("/health/ready").json()["appends"] == {"works": True}
        _move(data, moved)
        for part in ("", "?part=taking-in"):
            told = backbone.http.get(f"/health/ready{part}")
            assert told.status_code == 503
            assert "bring the file back" in told.json()["appends"]["cure"]
        assert backbone.http.get("/health/ready?part=either").status_code == 200
        assert "\nbackbone_log_takes_appends 0.0\n" in backbone.http.get("/metrics").text
        _move(moved, data)
        assert backbone.http.get("/health/ready").status_code == 200
        assert len(backbone.mllp(*hospital_messages()[2:])) == 2
        assert backbone.end() == 0
    finally:
        backbone.close()
