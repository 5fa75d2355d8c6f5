"""The translator of FHIR R4: message Bundles, other Bundles and single resources in, events out.

A message is one item, understood or rejected whole. Of any other Bundle each resource that states something is an item, with
what it refers to and what refers to it; a resource that neither states anything nor belongs to one that does is rejected by
itself. Resources stand in the payload as they came, under the ``fullUrl`` they came with; `adapters.fhir.identity` says what is
added to the Patient.

Source: FHIR R4 Bundle, Messaging, https://hl7.org/fhir/R4/bundle.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from adapters.compose import Origin, compose, content_hash
from adapters.fhir.document import parse, read
from adapters.fhir.entries import Entries, Entry, wrong
from adapters.fhir.leaves import leaves
from adapters.fhir.message import said_by_message
from adapters.fhir.rules import KINDS, is_dead
from adapters.fhir.state import Reading, Said, said_by, tell
from adapters.future import flagged
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import RejectedInput, Unsupported
from schemas.fhir import Fault, faults_in
from schemas.resources.bundle import Resource, write

VERSION = "fhir-2"
"""Raised when the same document would make another event: see `adapters.translator.Translator.version`."""
GATHERED = ("collection", "transaction", "batch", "searchset")
"""Types of Bundle whose entries each speak for themselves."""


class Understood(NamedTuple):
    """One item."""

    said: list[Said]
    beside: list[Entry]
    """What stands beside the entry that it is said about."""
    reading: Reading


class FhirTranslator:
    """The translator of every source that sends FHIR R4 in JSON (`adapters.translator.Translator`)."""

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
        """The elements of the first item; empty when it cannot be read."""
        try:
            document = parse(content)
            gathered = _gathered(document)
        except RejectedInput:
            return
        first = next(iter(_standing(gathered)), None) if gathered else None
        yield from leaves(_bundle(document, first, gathered) if gathered and first else document)

    def _entry(self, document: Resource, entry: Entry, entries: Entries, arrival: Arrival) -> Item:
        """Its content is a Bundle in which it is what matched and the rest is what came along: alone it says the same."""
        position, raw = f"entry {entry.number + 1}", write(_bundle(document, entry, entries))
        reading = Reading(entries, document.get("timestamp", ""), arrival)
        return self._item(position, raw, arrival, lambda: Understood(said_by(entry, entries), _beside(entry, entries), reading))

    def _item(self, position: str, raw: bytes, arrival: Arrival, understand: Callable[[], Understood]) -> Item:
        origin = Origin(arrival, content_hash(raw), self.version)
        try:
            understood = understand()
            told = [tell(one, understood.beside, understood.reading) for one in understood.said]
            events = tuple([compose(one.statement, origin) for one in told])
            late = (flag for event in events for flag in flagged(event, arrival.received_at))
            return Item(position, events, flags=tuple(dict.fromkeys([*(flag for one in told for flag in one.flags), *late])))
        except RejectedInput as error:
            return Item(position, rejection=Rejection(error, raw))


def _alone(document: Resource, arrival: Arrival) -> Understood:
    """A message, or a resource that is no Bundle."""
    if document.get("resourceType") == "Bundle" and document.get("type") != "message":
        raise Unsupported("a Bundle of this type makes no statements", where="Bundle.type")
    faults = faults_in(document)
    if faults:
        raise wrong(faults[0])
    if document["resourceType"] != "Bundle":
        entry = Entry(0, "", document, {})
        entries = Entries([entry])
        return Understood(said_by(entry, entries), [], Reading(entries, "", arrival))
    entries = Entries([_entry(number, raw, None) for number, raw in enumerate(document.get("entry", ()))])
    said = said_by_message(entries)
    beside = [entry for entry in entries.all if entry is not said.entry]
    return Understood([said], beside, Reading(entries, document.get("timestamp", ""), arrival))


def _gathered(document: Resource) -> Entries | None:
    """The entries of a Bundle whose entries each speak for themselves; ``None`` for any other document.

    Raises `InvalidValue` when the Bundle around them is not FHIR.
    """
    if document.get("resourceType") != "Bundle" or document.get("type") not in GATHERED:
        return None
    sent = document.get("entry", [])
    stood_in = [_stood_in(entry) for entry in sent] if isinstance(sent, list) else sent
    faults = faults_in({**document, "entry": stood_in} if "entry" in document else document)
    if faults:
        raise wrong(faults[0])
    return Entries([_entry(number, raw, _fault(raw)) for number, raw in enumerate(sent)])


def _stood_in(entry: Any) -> Any:
    """The entry around any resource: what is wrong inside one is no fault of the Bundle's."""
    return entry | {"resource": {"resourceType": "Patient"}} if isinstance(entry, dict) and "resource" in entry else entry


def _fault(raw: Resource) -> Fault | None:
    if not isinstance(raw.get("resource"), dict):
        return Fault("Bundle.entry", "has no resource")
    return next(iter(faults_in(raw["resource"])), None)


def _entry(number: int, raw: Resource, fault: Fault | None) -> Entry:
    resource = raw.get("resource")
    return Entry(number, raw.get("fullUrl", ""), resource if isinstance(resource, dict) else {}, raw, fault)


def _standing(entries: Entries) -> list[Entry]:
    """The entries that are items: those that state something, and those that belong to none that does.

    A Patient whom others are about is not told of again, unless they died.
    """
    stating = [one for one in entries.all if one.type in KINDS and one.type != "Patient" and not one.included]
    spoken_of = {one.number for one in entries.around(*stating)}
    only = entries.only("Patient")
    spoken_of |= {only.number} if only and stating else set()
    patients = (one for one in entries.all if one.type == "Patient" and not one.included)
    stating += [one for one in patients if one.number not in spoken_of or _is_dead(one)]
    belonging = {one.number for entry in stating for one in _beside(entry, entries)} | spoken_of
    numbers = {one.number for one in stating}
    return [one for one in entries.all if one.number in numbers or not (one.number in belonging or one.included)]


def _is_dead(entry: Entry) -> bool:
    return entry.fault is None and is_dead(entry.resource)


def _beside(entry: Entry, entries: Entries) -> list[Entry]:
    """What ``entry`` refers to, and what that refers to; and what refers to it without stating anything itself."""
    attached = [one for one in entries.referring(entry) if one.type not in KINDS]
    return [one for one in entries.around(entry, *attached) if one is not entry]


def _bundle(document: Resource, entry: Entry, entries: Entries) -> Resource:
    """A Bundle of ``entry`` and what it needs to be understood."""
    needed = {entry.number} | {one.number for one in _beside(entry, entries)}
    only = entries.only("Patient")
    needed |= {only.number} if only else set()
    stamp = {"timestamp": document["timestamp"]} if "timestamp" in document else {}
    kept = [_kept(entries.all[number], number == entry.number) for number in sorted(needed)]
    return {"resourceType": "Bundle", "type": "searchset", **stamp, "entry": kept}


def _kept(entry: Entry, matched: bool) -> Resource:
    """Source: FHIR R4 Bundle, search-entry-mode: what matched, and what came along."""
    known = {name: entry.raw[name] for name in ("fullUrl", "resource") if name in entry.raw}
    return known | {"search": {"mode": "match" if matched else "include"}}
