"""How fast one core translates: messages and rows, with validation and encoding, nothing written."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from adapters.translator import Arrival, Translator
from schemas.event import encode
from schemas.pseudonyms import Pseudonyms
from schemas.source import Source

ARRIVED_AT = datetime(2026, 4, 1, 12, tzinfo=UTC)
"""After the last of the bench's messages: what lies ahead of its arrival is flagged, and takes longer."""


def rate(translator: Translator, source: Source, contents: Iterable[bytes]) -> float:
    """Items a second that become events."""
    arrival = Arrival(source, ARRIVED_AT, Pseudonyms(bytes(32)))
    items = events = 0
    started = time.perf_counter()
    for content in contents:
        for item in translator.translate(io.BytesIO(content), arrival):
            assert item.rejection is None, item.rejection
            items += 1
            events += sum(len(encode(event)) > 0 for event in item.events)
    assert events >= items
    return items / (time.perf_counter() - started)
