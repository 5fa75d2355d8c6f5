"""Translates FHIR R4 into events: message Bundles, other Bundles and single resources.

A message is one item, which is translated or rejected as a whole. In any other Bundle each resource that states something is an
item, together with the resources it refers to and those that refer to it; a resource that neither states anything nor belongs
to one that does is rejected by itself. The payload contains the resources unchanged, under their ``fullUrl``;
`adapters.fhir.identity` says what is added to the Patient.

Source: FHIR R4 Bundle, Messaging, https://hl7.org/fhir/R4/bundle.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from adapters.compose import Origin, compose, content_hash
from adapters.fhir.document import parse, read
from adapters.fhir.entries import BundleEntries, BundleEntry, wrong
from adapters.fhir.leaves import leaves
from adapters.fhir.message import said_by_message
from adapters.fhir.rules import KINDS, is_dead
from adapters.fhir.state import DocumentReading, StatedFact, said_by, statement_of
from adapters.future import flagged
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import RejectedInput, Unsupported
from schemas.fhir.bundle import Resource, write
from schemas.fhir.check import FhirFault, faults_in

VERSION = "fhir-2"
"""Increased whenever the same document would make a different event: see `adapters.translator.Translator.version`."""
GATHERED = ("collection", "transaction", "batch", "searchset")
"""Types of Bundle whose entries are independent of each other."""


class Understood(NamedTuple):
    """What one item states."""

    facts: list[StatedFact]
    beside: list[BundleEntry]
    """The entries that go with the one that states it."""
    reading: DocumentReading


class FhirTranslator:
    """Translates the content of every source that sends FHIR R4 in JSON (`adapters.translator.Translator`)."""

    version = VERSION

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content``, in order. Never raises on input."""
        try:
            raw = read(content)
            document = parse(raw)
            gathered = _gathered(document)
        except RejectedInput as error:
            yield Item("document", rejection=Rejection(error, b"", whole=True))
            return
        if gathered is None:
            position = "message" if document.get("type") == "message" else "resource"
            yield self._item(position, raw, arrival, lambda: _alone(document, arrival))
            return
        for entry in _standing(gathered):
            yield self._entry(document, entry, gathered, arrival)

    def fields(self, content: bytes) -> Iterator[Field]:
        """The elements of the first item; none if it cannot be read."""
        try:
            document = parse(content)
            gathered = _gathered(document)
        except RejectedInput:
            return
        first = next(iter(_standing(gathered)), None) if gathered else None
        yield from leaves(_bundle(document, first, gathered) if gathered and first else document)

    def _entry(self, document: Resource, entry: BundleEntry, entries: BundleEntries, arrival: Arrival) -> Item:
        """The item of one entry. Its content is a Bundle of the entry and those it needs, which translates to the same by
        itself.
        """
        position, raw = f"entry {entry.number + 1}", write(_bundle(document, entry, entries))
        reading = DocumentReading(entries, document.get("timestamp", ""), arrival)
        return self._item(position, raw, arrival, lambda: Understood(said_by(entry, entries), _beside(entry, entries), reading))

    def _item(self, position: str, raw: bytes, arrival: Arrival, understand: Callable[[], Understood]) -> Item:
        origin = Origin(arrival, content_hash(raw), self.version)
        try:
            understood = understand()
            stated = [statement_of(one, understood.beside, understood.reading) for one in understood.facts]
            events = tuple([compose(one.statement, origin) for one in stated])
            late = (flag for event in events for flag in flagged(event, arrival.received_at))
            return Item(
                position,
                events,
                flags=tuple(dict.fromkeys([*(flag for one in stated for flag in one.flags), *late])),
            )
        except RejectedInput as error:
            return Item(position, rejection=Rejection(error, raw))


def _alone(document: Resource, arrival: Arrival) -> Understood:
    """What a message, or a resource other than a Bundle, states."""
    if document.get("resourceType") == "Bundle" and document.get("type") != "message":
        raise Unsupported("a Bundle of this type makes no statements", where="Bundle.type")
    faults = faults_in(document)
    if faults:
        raise wrong(faults[0])
    if document["resourceType"] != "Bundle":
        entry = BundleEntry(0, "", document, {})
        entries = BundleEntries([entry])
        return Understood(said_by(entry, entries), [], DocumentReading(entries, "", arrival))
    entries = BundleEntries([_entry(number, raw, None) for number, raw in enumerate(document.get("entry", ()))])
    fact = said_by_message(entries)
    beside = [entry for entry in entries.all if entry is not fact.entry]
    return Understood([fact], beside, DocumentReading(entries, document.get("timestamp", ""), arrival))


def _gathered(document: Resource) -> BundleEntries | None:
    """The entries of a Bundle of one of the types `GATHERED`; ``None`` for any other document.

    Raises `InvalidValue` when the Bundle, apart from its resources, is not valid FHIR.
    """
    if document.get("resourceType") != "Bundle" or document.get("type") not in GATHERED:
        return None
    sent = document.get("entry", [])
    placeholders = [_with_placeholder(entry) for entry in sent] if isinstance(sent, list) else sent
    faults = faults_in({**document, "entry": placeholders} if "entry" in document else document)
    if faults:
        raise wrong(faults[0])
    return BundleEntries([_entry(number, raw, _fault(raw)) for number, raw in enumerate(sent)])


def _with_placeholder(entry: Any) -> Any:
    """The entry with an empty Patient as its resource, so that a fault in a resource is not counted as one of the Bundle."""
    return entry | {"resource": {"resourceType": "Patient"}} if isinstance(entry, dict) and "resource" in entry else entry


def _fault(raw: Resource) -> FhirFault | None:
    if not isinstance(raw.get("resource"), dict):
        return FhirFault("Bundle.entry", "has no resource")
    return next(iter(faults_in(raw["resource"])), None)


def _entry(number: int, raw: Resource, fault: FhirFault | None) -> BundleEntry:
    resource = raw.get("resource")
    return BundleEntry(number, raw.get("fullUrl", ""), resource if isinstance(resource, dict) else {}, raw, fault)


def _standing(entries: BundleEntries) -> list[BundleEntry]:
    """The entries that are items: those that state something, and those that belong to none that does.

    A Patient that other entries are about is not an item of its own, unless the person died.
    """
    stating = [one for one in entries.all if one.type in KINDS and one.type != "Patient" and not one.included]
    described = {one.number for one in entries.around(*stating)}
    only = entries.only("Patient")
    described |= {only.number} if only and stating else set()
    patients = (one for one in entries.all if one.type == "Patient" and not one.included)
    stating += [one for one in patients if one.number not in described or _is_dead(one)]
    belonging = {one.number for entry in stating for one in _beside(entry, entries)} | described
    numbers = {one.number for one in stating}
    return [one for one in entries.all if one.number in numbers or not (one.number in belonging or one.included)]


def _is_dead(entry: BundleEntry) -> bool:
    return entry.fault is None and is_dead(entry.resource)


def _beside(entry: BundleEntry, entries: BundleEntries) -> list[BundleEntry]:
    """Everything ``entry`` refers to, directly or indirectly, and the entries that refer to it but state nothing themselves."""
    attached = [one for one in entries.referring(entry) if one.type not in KINDS]
    return [one for one in entries.around(entry, *attached) if one is not entry]


def _bundle(document: Resource, entry: BundleEntry, entries: BundleEntries) -> Resource:
    """A Bundle of ``entry`` and the entries it needs."""
    needed = {entry.number} | {one.number for one in _beside(entry, entries)}
    only = entries.only("Patient")
    needed |= {only.number} if only else set()
    stamp = {"timestamp": document["timestamp"]} if "timestamp" in document else {}
    kept = [_kept(entries.all[number], number == entry.number) for number in sorted(needed)]
    return {"resourceType": "Bundle", "type": "searchset", **stamp, "entry": kept}


def _kept(entry: BundleEntry, matched: bool) -> Resource:
    """The entry, marked as the match or as included. Source: FHIR R4 Bundle, search-entry-mode."""
    known = {name: entry.raw[name] for name in ("fullUrl", "resource") if name in entry.raw}
    return known | {"search": {"mode": "match" if matched else "include"}}
