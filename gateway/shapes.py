"""The shapes that are served and stand in no other module: as they are encoded, and as ``/openapi.json`` describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from schemas.arrival.receipt import Receipt, shown
from schemas.timeline import Entry, EntrySource


class Problem(msgspec.Struct, kw_only=True):
    """A problem detail (RFC 9457) with a stable code, the place and the cure."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None
    cure: str
    instance: str | msgspec.UnsetType = msgspec.UNSET


class Missing(msgspec.Struct, kw_only=True):
    """A source that holds a record of this person and has been silent for longer than expected."""

    source: EntrySource
    reason: Literal["silent"]
    last_heard_at: str | None
    """RFC 3339 in UTC; null when nothing ever came."""
    expected_every_seconds: int


class Behind(msgspec.Struct, kw_only=True):
    """How far the timeline is behind what was sent."""

    events: int | None
    """Events not yet on the timeline; null while the engines do not say."""
    seconds: float | None
    """Age of the oldest of them; while the engines do not say, at least the time since they did."""


class TimelineEntry(Entry, frozen=True, kw_only=True):
    """One entry: the newest version of one fact; with ``include=resource`` its FHIR Bundle as well."""

    resource: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class TimelinePage(msgspec.Struct, kw_only=True):
    """A page of a person's timeline."""

    person: str
    entries: list[TimelineEntry]
    next: str | None
    """Cursor of the next page: its `after`."""
    missing: list[Missing]
    behind: Behind


class Shape(BaseModel):
    """What is served, made from the attributes of what holds it."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class Search(BaseModel):
    """An identifier to look a person up by; it never travels in a URL."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    system: str
    """``https://fhir.nhs.uk/Id/nhs-number`` or ``urn:care-backbone:source:<source id>`` for a source's own identifiers."""
    value: str


class Found(Shape):
    """The person an identifier belongs to."""

    person: str


class SourceView(Shape):
    """Who stated something."""

    id: str
    name: str
    sector: str


class LinkedRecord(Shape):
    """One source's record of a person, and why it is theirs."""

    record: str
    """Its key: opaque."""
    source: SourceView
    rule: str
    """By which it was linked."""
    merged_into: str | None
    """Key of the record that its source says replaced it."""
    identifiers: list[dict[str, Any]]
    """FHIR Identifiers, as the source states them."""
    first_at: str | None
    last_at: str | None


class Contradiction(Shape):
    """Evidence about a person that speaks against itself: somebody should look."""

    code: str
    people: list[str]
    records: list[str]


class Person(Shape):
    """A person: the records that are theirs."""

    person: str
    """Their id now; the one asked for may be an earlier one."""
    records: list[LinkedRecord]
    former: list[str]
    """Ids they had before."""
    contradictions: list[Contradiction]


class RefusalView(Shape):
    """One part of what arrived that was rejected and kept."""

    position: str
    code: str
    reason: str
    """A sentence with the cure; names fields and positions, never their content."""
    quarantine: str
    """Id under which it is kept."""
    where: str
    """The field it is about, where one is."""


class ReceiptView(Shape):
    """The account of one arrival: received = accepted + rejected."""

    id: str
    source: str
    door: str
    received_at: str
    sha256: str
    size_bytes: int
    received: int
    accepted: int
    rejected: int
    events: list[str]
    """Ids of the events made, in input order."""
    refusals: list[RefusalView]
    """What was rejected, and under which id it is kept in quarantine."""
    flags: list[str]
    """What was taken in but deserves a look."""


class BatchView(Shape):
    """The account of a batch that is of several sources: a receipt for each, and what they come to together."""

    received: int
    accepted: int
    rejected: int
    receipts: list[ReceiptView]
    """Their positions are those in the batch as it was sent. What is of nobody who may send is under `unknown-http`."""


class QuarantineRow(Shape):
    """Something that was not understood, as it is listed."""

    id: str
    source: str
    door: str
    media_type: str
    code: str
    reason: str
    """A sentence with the cure; names fields and positions, never their content."""
    position: str
    """Where in the arrival it stood."""
    receipt: str
    received_at: str
    """First seen: RFC 3339 in UTC."""
    name: str
    """Name of the file, without its folder."""
    parts: int
    """How many log records hold its content."""
    status: Literal["open", "taken-in"]
    tries: int
    last_try: str | None
    """RFC 3339 in UTC."""


class QuarantinePage(Shape):
    """A page of the quarantine, oldest first."""

    items: list[QuarantineRow]
    next: str | None
    """Cursor of the next page: its `after`."""


class Trial(Shape):
    """What came of sending an item through again."""

    id: str
    at: str
    """RFC 3339 in UTC."""
    accepted: bool
    receipt: str
    code: str
    reason: str


class QuarantineItem(QuarantineRow):
    """One item, with what came of each new try; with ``include=content`` its raw bytes as well."""

    trials: list[Trial]
    """Oldest first."""
    content: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""


class EngineHealth(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether an engine answers; if not, why."""

    reachable: bool
    code: str = ""
    cure: str = ""


class Works(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether something does what it is needed for, as far as it is known without trying; if not, why."""

    works: bool
    code: str = ""
    cure: str = ""


class Health(msgspec.Struct, kw_only=True):
    """Whether a process can do its work."""

    status: Literal["ready", "not ready"]
    log: EngineHealth
    appends: Works | None
    """Whether the log takes what is appended; ``null`` in a process that takes nothing in."""
    disk: Works
    """Whether the disks of the embedded engines have room."""
    store: EngineHealth | None
    """``null`` in a process that needs none, because it takes in and nothing else."""
    ledger: EngineHealth | None
    """Said, and does not count: nothing that is served needs it yet. ``null`` in a process that writes nothing to it."""
    taking_in: bool
    """Whether this process takes anything in."""
    behind: dict[str, Behind]
    """By projection, as measured last."""
    parked: dict[str, int]
    """Events that a projection cannot apply and has set aside, by projection: `backbone parked list` says why."""
    not_ready: list[str] = []
    """Other processes of this server that do not answer, or are not ready."""


def view(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it is served: every count, and nothing that is the backbone's own business (control ids, ACK codes)."""
    return {name: value for name, value in shown(receipt).items() if name in ReceiptView.model_fields}
