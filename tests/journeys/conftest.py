"""Journeys: from a source to a reader, through the doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.harness import Backbone


@pytest.fixture
def backbone(tmp_path: Path) -> Iterator[Backbone]:
    """A running backbone on the embedded default."""
    made = Backbone(tmp_path).start()
    yield made
    made.http.close()
    if made.process is not None and made.process.poll() is None:
        made.end()
