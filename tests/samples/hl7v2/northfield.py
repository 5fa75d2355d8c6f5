"""Northfield Hospital's patient administration system, invented: its messages about Margaret Ellis-Whitmore."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.hl7v2.translate import Hl7v2Translator
from adapters.translator import Arrival, Item
from schemas.catalogue import CATALOGUE
from schemas.event import Event, payload
from schemas.fhir.bundle import focus_of, patient_of
from schemas.identifiers import LocalId
from schemas.pseudonyms import Pseudonyms
from schemas.sentence import title
from schemas.source import Sector, Source

SOURCE = Source(
    id="northfield-pas",
    name="Northfield Hospital",
    sector=Sector.NHS,
    organisation="RX1",
    places={"AMU": "Acute Medical Unit", "KM": "Kingsmill Ward", "ED": "Emergency Department"},
)
PSEUDONYMS = Pseudonyms(b"a secret for tests, 32 bytes long")
ARRIVAL = Arrival(SOURCE, datetime(2026, 2, 10, 15, 0, tzinfo=UTC), PSEUDONYMS)
LOCAL_ID = "NF204417"
NHS_NUMBER = "9990000018"
VISIT = "NF-V-88120"
RECORD = PSEUDONYMS.record(SOURCE.id, LocalId(LOCAL_ID))
_ORDER = ("MSH", "EVN", "PID", "PD1", "NK1", "MRG", "PV1", "PV2", "OBX", "AL1", "DG1", "PR1", "ZU1", "ZU3", "ZU8")

_PLAIN: Mapping[str, str] = {
    "MSH-2": "^~\\&",
    "MSH-3": "PAS",
    "MSH-4": "RX1",
    "MSH-5": "ROUTE",
    "MSH-6": "ROUTE",
    "MSH-7": "20260210143305",
    "MSH-10": "NF00000001",
    "MSH-11": "P",
    "MSH-12": "2.4",
    "MSH-18": "UNICODE UTF-8",
    "EVN-2": "20260210143300",
    "EVN-6": "20260210143000",
    "PID-1": "1",
    "PID-3": f"{LOCAL_ID}^^^RX1^MR~{NHS_NUMBER}^^^NHS^NH",
    "PID-5": "Ellis-Whitmore^Margaret^^^Mrs^^L",
    "PID-7": "19410309",
    "PID-8": "2",
    "PID-11": "14 Orchard Rise^^Northfield^^NF4 2QZ^^H",
    "PID-13": "01632960114^PRN^PH",
    "PID-16": "W",
    "PID-32": "NSTS01",
    "PD1-3": "Orchard Surgery^^C81999",
    "PD1-4": "G9999981^Okafor^Ada^^^Dr",
    "PV1-1": "1",
    "PV1-2": "I",
    "PV1-3": "KM^Bay 1^Bed 2^RX1",
    "PV1-4": "21",
    "PV1-7": "C9999971^Lindqvist^Maja^^^Dr",
    "PV1-14": "19",
    "PV1-16": "N",
    "PV1-19": VISIT,
    "PV1-44": "20260202214000",
    "PV2-3": "^Fall at home",
}


def message(
    trigger: str = "A01", changes: Mapping[str, str] | None = None, without: Iterable[str] = (), end: str = "\r"
) -> bytes:
    """A message about Margaret. ``changes`` are fields by name (``PID-3``), ``without`` fields or whole segments left out."""
    fields = {"MSH-9": f"ADT^{trigger}"} | _PLAIN | dict(changes or {})
    left = set(without)
    segments: dict[str, dict[int, str]] = {}
    for name, text in fields.items():
        segment, _, number = name.partition("-")
        if not {name, segment} & left:
            segments.setdefault(segment, {})[int(number)] = text
    lines = [_line(segment, segments[segment]) for segment in sorted(segments, key=_ORDER.index)]
    return "".join(line + end for line in lines).encode()


def _line(segment: str, fields: Mapping[int, str]) -> str:
    first = 2 if segment == "MSH" else 1
    return "|".join([segment, *[fields.get(number, "") for number in range(first, max(fields) + 1)]])


def items(raw: bytes, arrival: Arrival = ARRIVAL) -> list[Item]:
    """The items of ``raw`` as a translator that has seen nothing yet gives them out."""
    return list(Hl7v2Translator().translate(io.BytesIO(raw), arrival))


def item(raw: bytes, arrival: Arrival = ARRIVAL) -> Item:
    """The one item of ``raw``."""
    (one,) = items(raw, arrival)
    return one


def events(raw: bytes, arrival: Arrival = ARRIVAL) -> tuple[Event, ...]:
    """The events of the one item of ``raw``, which is accepted."""
    one = item(raw, arrival)
    assert one.rejection is None, str(one.rejection.error)
    return one.events


def event(raw: bytes, arrival: Arrival = ARRIVAL) -> Event:
    """The first event of ``raw``: its trigger's own."""
    return events(raw, arrival)[0]


def focus(raw: bytes, arrival: Arrival = ARRIVAL) -> dict[str, Any]:
    """What the first event of ``raw`` is about."""
    return focus_of(payload(event(raw, arrival)))


def patient(raw: bytes, arrival: Arrival = ARRIVAL) -> dict[str, Any]:
    """The Patient of the first event of ``raw``."""
    found = patient_of(payload(event(raw, arrival)))
    assert found is not None
    return found


def sentence(one: Event) -> str:
    """The title of ``one`` on the timeline."""
    return title(CATALOGUE[one.type].title, focus_of(payload(one)), SOURCE.name)
