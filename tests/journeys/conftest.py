"""Journeys: from a source to a reader, through the doors, on the embedded default and on Kafka with PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.harness import PARTITIONS, Backbone, split

EMBEDDED, SPLIT = "embedded", "Kafka and PostgreSQL, a process a role"
SHAPES = [EMBEDDED, pytest.param(SPLIT, marks=pytest.mark.engine)]

Make = Callable[[Path], Backbone]
"""Makes a backbone of the shape in a folder; it is not started."""


@pytest.fixture(params=SHAPES)
def make(request: pytest.FixtureRequest) -> Make:
    """The shapes that every journey is made on. Those made by one test have one key secret, and nothing else in common."""
    secret = uuid.uuid4().hex
    if request.param == EMBEDDED:
        settings = {"BACKBONE_KEY_SECRET": secret, "BACKBONE_PARTITIONS": str(PARTITIONS)}
        return lambda folder: Backbone(folder, settings)
    kafka, postgres = request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("postgres_url")
    return lambda folder: split(folder, f"kafka://{kafka}/{uuid.uuid4().hex}?replication=1", postgres, secret)


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
