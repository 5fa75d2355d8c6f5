"""Journeys: from a source to a reader, through the doors, on the embedded default and on Kafka with PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.harness import Backbone
from tests.stores import empty_database

EMBEDDED, SPLIT = "embedded", "Kafka and PostgreSQL, a process a role"
SHAPES = [EMBEDDED, pytest.param(SPLIT, marks=pytest.mark.engine)]

PARTITIONS = 6
"""Enough for records to spread; each costs a round trip at the start."""

Make = Callable[[Path], Backbone]
"""Makes a backbone of the shape in a folder; it is not started."""


@pytest.fixture(params=SHAPES)
def make(request: pytest.FixtureRequest) -> Make:
    """The shapes that every journey is made on. Those made by one test have one key secret, and nothing else in common."""
    settings = {"BACKBONE_KEY_SECRET": uuid.uuid4().hex, "BACKBONE_PARTITIONS": str(PARTITIONS)}
    if request.param == EMBEDDED:
        return lambda folder: Backbone(folder, settings)
    kafka, postgres = request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("postgres_url")

    def split(folder: Path) -> Backbone:
        engines = {
            "BACKBONE_LOG": f"kafka://{kafka}/{uuid.uuid4().hex}?replication=1",
            "BACKBONE_STORE": empty_database(postgres),
        }
        return Backbone(folder, {**settings, **engines}, ("gateway", "intake", "projections"))

    return split


@pytest.fixture
def backbone(make: Make, tmp_path: Path) -> Iterator[Backbone]:
    """A running backbone of each shape."""
    made = make(tmp_path)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Backbone]:
    """A running backbone on the embedded default: for what no engine has a part in."""
    made = Backbone(tmp_path)
    try:
        yield made.start()
    finally:
        made.close()
