"""The store's file is removed under a running server: it is made anew from the log, and nobody has to start anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.messages import messages, numbers
from tests.journeys.harness import Backbone
from tests.patience import eventually


def removed(data: Path) -> None:
    for file in data.glob("store.db*"):
        file.unlink()


def moved(data: Path) -> None:
    (data / "elsewhere").mkdir()
    for file in data.glob("store.db*"):
        file.rename(data / "elsewhere" / file.name)


@pytest.mark.parametrize("lost", [removed, moved])
def test_a_store_that_is_gone_is_made_anew_from_the_log(tmp_path: Path, lost: Callable[[Path], None]) -> None:
    sent, first, last = list(messages(40)), next(iter(numbers())), list(zip(numbers(), range(10), strict=False))[-1][0]
    backbone = Backbone(tmp_path).start()
    try:
        assert len(backbone.mllp(*sent[:20])) == 20
        before = eventually(lambda: [entry["id"] for entry in backbone.timeline(first)])
        lost(tmp_path / "backbone-data")
        assert len(backbone.mllp(*sent[20:])) == 20, "taking in needs the log alone"
        eventually(lambda: _timeline(backbone, last))
        assert [entry["id"] for entry in _timeline(backbone, first)] == before
        assert backbone.http.get("/health/ready").status_code == 200
        assert backbone.end() == 0
    finally:
        backbone.close()


def _timeline(backbone: Backbone, number: str) -> list[dict[str, str]]:
    """The entries, while the store may not answer."""
    person = backbone.http.post("/people/search", json={"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number})
    return backbone.timeline(number) if person.status_code == 200 else []
