"""What tests of tables share: a source, an arrival, a small mapping, and the items of some content."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from adapters.tabular.mapping.load import load_mapping
from adapters.tabular.translate import TabularTranslator
from adapters.translator import Arrival, Item
from schemas.event import Event, payload
from schemas.pseudonyms import Pseudonyms
from schemas.source import NumbersAre, Sector, Source

SOURCE = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)
STATED = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL, nhs_numbers=NumbersAre.STATED)
PSEUDONYMS = Pseudonyms(b"only for tests: 32 bytes or more")
RECEIVED_AT = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
ARRIVAL = Arrival(SOURCE, RECEIVED_AT, PSEUDONYMS)

SERVICES = """
source: riverside-adult-care
reads: csv
record: [Person Id]
nhs_number: NHS Number
each:
  - event: service-started-1
    when: '`Event Type` = "Service"'
    key: [Person Id, Service Type, Event Start Date]
    occurred_at: '$day(`Event Start Date`)'
    focus:
      resourceType: EpisodeOfCare
      type: [{text: '`Service Type`'}]
tests:
  - row: {Person Id: "1001", Event Type: Service, Service Type: Meals, Event Start Date: 03/02/2026}
    makes: [{event: service-started-1, occurred_at: 2026-02-03}]
"""
"""The mapping file of the front door."""
HEADER = "Person Id,NHS Number,Event Type,Service Type,Event Start Date\n"
ROW = "1001,9990000018,Service,Meals,03/02/2026\n"


def items_of(content: bytes | str, mapping: str = SERVICES, arrival: Arrival = ARRIVAL) -> list[Item]:
    """The items of ``content``, all read."""
    raw = content.encode() if isinstance(content, str) else content
    return list(TabularTranslator(load_mapping(mapping, "test.yaml")).translate(io.BytesIO(raw), arrival))


def one_event(content: bytes | str, mapping: str = SERVICES, arrival: Arrival = ARRIVAL) -> Event:
    """The only event of ``content``."""
    (item,) = items_of(content, mapping, arrival)
    assert item.rejection is None, item.rejection
    (event,) = item.events
    return event


def resources(event: Event) -> list[dict[str, Any]]:
    """The resources of the event's Bundle, the focus first."""
    return [entry["resource"] for entry in payload(event)["entry"]]


def refusal(content: bytes | str, mapping: str = SERVICES) -> str:
    """The message with which the whole of ``content`` is refused."""
    (item,) = items_of(content, mapping)
    assert item.rejection is not None and item.rejection.whole and not item.rejection.content and not item.events
    return str(item.rejection.error)
