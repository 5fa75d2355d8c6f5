"""Translates CloudEvents of our own types, from any source that can write them.

An event is accepted when its type is in the catalogue and its data is a FHIR Bundle with the type's focus first and the
Patient in it. A new event is made from it:

* **Identity.** The sender's ``id`` is the natural key of the fact. Our own ``id``, ``subject`` and ``partitionkey`` are made
  from it and from the Patient, as for every other source, so nobody can claim somebody else's. The same event sent again is
  the same, in whatever mode, batch, order of members or spacing: what counts is what it states. The same id with different
  content is another version of the fact, and a withdrawal names what it withdraws by its id. A ``subject`` is not read, because
  senders put into it whom an event is about: on a withdrawal, where it may be meant, it is flagged. Versions are ordered by
  ``sequence``, else by time. Two that differ under one id and one ``sequence`` are against the standard: both are taken in,
  and the later one is flagged.
* **Times.** ``time`` says when it happened, ``timeprecision`` how exactly. Without ``time`` the time of arrival is used, and
  flagged.
* **Sensitivity.** ``dataclassification`` may raise what the type and the resources' own labels ask for, never lower it.

Source: CloudEvents 1.0.2 §3, §3.1.1 (source and id are those of one event only); JSON Event Format §3 (structured), §4 (batch).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from adapters.compose import Origin, Statement, compose, content_hash
from adapters.fhir.document import MARK, parse, read
from adapters.fhir.entries import wrong
from adapters.fhir.identity import PatientIdentity, identity
from adapters.fhir.leaves import leaves
from adapters.fhir.moments import FhirMoment, moment
from adapters.fhir.state import refuse_modifiers, sensitivity
from adapters.future import flagged
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.catalogue import CATALOGUE, EventType, Movement
from schemas.errors import InvalidValue, MissingIdentifier, RejectedInput, Unreadable, Unsupported
from schemas.event import PAYLOAD_TYPE, Precision, Sensitivity, strictest
from schemas.fhir.bundle import Resource, canonical
from schemas.fhir.check import faults_in

VERSION = "cloudevents-2"
"""To be raised whenever the same input would make a different event: see `adapters.translator.Translator.version`."""
_PAYLOAD_TYPES = frozenset({"", PAYLOAD_TYPE, "application/json"})
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})")
"""RFC 3339 §5.6, with the letters in capitals as it recommends."""
_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context §3.2."""
_DATA = "Its data is a FHIR Bundle of type collection in JSON, the type's focus first and the Patient in it."
_LONGEST = 200
"""Most characters of an id or a sequence; anything longer is not a name."""


class _Sent(msgspec.Struct):
    """The attributes of an event that are read. ``null`` is an attribute without a value (JSON Event Format §2.2)."""

    specversion: str
    id: str
    source: str
    type: str
    subject: msgspec.Raw = msgspec.Raw()
    time: str | None = None
    timeprecision: Precision | None = None
    dataclassification: Sensitivity | None = None
    sequence: str | None = None
    correlationid: str | None = None
    traceparent: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_EVENT = msgspec.json.Decoder(_Sent)
_BATCH = msgspec.json.Decoder(list[msgspec.Raw])
_NAMED = re.compile(r"`\$\.([a-z0-9_]+)`|field `([a-z0-9_]+)`")
"""Finds the attribute in msgspec's message, as a path or a missing field. Nothing else of the message may be repeated."""


class CloudEventsTranslator:
    """The translator of every source that sends CloudEvents in JSON, one or a batch (`adapters.translator.Translator`)."""

    version = VERSION

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content``, in order. Never raises on input."""
        try:
            raw = read(content)
            events = _events(raw)
        except RejectedInput as error:
            yield Item("document", rejection=Rejection(error, b"", whole=True))
            return
        if events is None:
            yield self._item("event", raw, arrival)
            return
        for number, event in enumerate(events, 1):
            yield self._item(f"event {number}", bytes(event), arrival)

    def fields(self, content: bytes) -> Iterator[Field]:
        """The attributes and elements of the first event; empty when it cannot be read."""
        try:
            events = _events(content)
            document = parse(bytes(events[0]) if events else content)
        except RejectedInput:
            return
        yield from leaves(document)

    def _item(self, position: str, raw: bytes, arrival: Arrival) -> Item:
        try:
            sent = _read(raw)
            payload = _payload(sent, _row(sent, arrival))
            whom, statement, flags = _understood(sent, payload, arrival)
            trace = sent.traceparent or ""
            circumstances = arrival._replace(traceparent=trace) if _TRACEPARENT.fullmatch(trace) else arrival
            event = compose(statement, Origin(circumstances, _stated(sent, statement, payload.bundle), self.version))
            flags = (*whom.flags, *flags, *_not_read(sent), *flagged(event, arrival.received_at))
            return Item(position, (event,), flags=flags, control=_control(sent, arrival))
        except RejectedInput as error:
            return Item(position, rejection=Rejection(error, raw))


def _events(raw: bytes) -> list[msgspec.Raw] | None:
    """The events of a batch; ``None`` when it is one event. Raises `Unreadable`."""
    text = raw.removeprefix(MARK).lstrip()
    if not text.startswith(b"["):
        return None
    try:
        return _BATCH.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("this is not a batch of events in JSON") from None


def _read(raw: bytes) -> _Sent:
    """The attributes. Raises `Unreadable`, `InvalidValue`; the message names the attribute, never its value."""
    try:
        return _EVENT.decode(raw.removeprefix(MARK))
    except msgspec.ValidationError as error:
        found = _NAMED.search(str(error))
        where = (found[1] or found[2]) if found else "event"
        raise InvalidValue("an attribute of the event is missing or not of its kind", where=where) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("this is not an event in JSON") from None


def _stated(sent: _Sent, statement: Statement, bundle: Resource) -> bytes:
    """SHA-256 of what the event states: everything that is read of it but its id, in one form however it was sent."""
    attributes = {
        "type": sent.type,
        "time": statement.happened_at.timestamp() if sent.time else None,
        "timeprecision": statement.precision,
        "dataclassification": statement.sensitivity,
        "sequence": statement.sequence,
        "correlationid": statement.thread,
    }
    return content_hash(canonical(attributes) + canonical(bundle))


def _control(sent: _Sent, arrival: Arrival) -> str:
    """HMAC of the sender's id of one version; empty of a withdrawal, which names what it withdraws."""
    if CATALOGUE[sent.type].movement is Movement.WITHDRAWS:
        return ""
    return arrival.pseudonyms.control(arrival.source.id, "\x1f".join(("cloudevent", sent.id, sent.sequence or "")))


def _not_read(sent: _Sent) -> tuple[str, ...]:
    """What to flag of a withdrawal that may mean its ``subject``: it would withdraw nothing, and nobody would be told."""
    named = CATALOGUE[sent.type].movement is Movement.WITHDRAWS and bytes(sent.subject) not in (b"", b"null")
    return ("subject-not-read at subject",) if named else ()


class _Payload(NamedTuple):
    """The data of an event, and what in it is what."""

    bundle: Resource
    focus: Resource
    patient: Resource
    entries: list[Resource]


def _understood(sent: _Sent, payload: _Payload, arrival: Arrival) -> tuple[PatientIdentity, Statement, tuple[str, ...]]:
    """Whose event it is, what it states, and what to flag."""
    focus, patient, entries = payload.focus, payload.patient, payload.entries
    whom = identity(patient, arrival)
    refuse_modifiers(focus, patient)
    happened, flags = _when(sent, arrival)
    is_patient = focus is patient
    others = [entry for entry in entries if entry["resource"] is not focus and entry["resource"] is not patient]
    first = [_url(entries, focus)] if is_patient else [_url(entries, focus), _url(entries, patient)]
    statement = Statement(
        type=CATALOGUE[sent.type],
        record=whom.record,
        natural_key=("cloudevent", sent.id),
        happened_at=happened.at,
        precision=sent.timeprecision or happened.precision,
        focus=whom.patient if is_patient else focus,
        patient=whom.patient,
        others=tuple(entry["resource"] for entry in others),
        sequence=sent.sequence or "",
        thread=sent.correlationid or "",
        sensitivity=strictest(
            [sent.dataclassification or Sensitivity.NORMAL, *(sensitivity(one["resource"]) for one in entries)]
        ),
        urls=(*first, *(entry.get("fullUrl", "") for entry in others)),
    )
    return whom, statement, flags


def _row(sent: _Sent, arrival: Arrival) -> EventType:
    """The event's type in the catalogue. Raises `Unsupported`, `InvalidValue`."""
    if sent.specversion != "1.0":
        raise Unsupported("only version 1.0 of CloudEvents is read", where="specversion", cure="Write 1.0 and send it again.")
    if sent.source != arrival.source.urn:
        raise InvalidValue("the event is another source's", where="source")
    for name, value in (("id", sent.id), ("sequence", sent.sequence)):
        if value is not None and not 0 < len(value) <= _LONGEST:
            raise InvalidValue(f"it has from 1 to {_LONGEST} characters", where=name)
    if sent.type not in CATALOGUE:
        cure = "GET /catalogue lists those there are: name one of them and send it again."
        raise Unsupported("the catalogue has no event type of this name", where="type", cure=cure)
    if (sent.datacontenttype or "").partition(";")[0].strip().lower() not in _PAYLOAD_TYPES:
        raise Unsupported(f"the data of an event is {PAYLOAD_TYPE}", where="datacontenttype", cure=f"{_DATA} Send that.")
    return CATALOGUE[sent.type]


def _payload(sent: _Sent, row: EventType) -> _Payload:
    """The data, and what in it is what. Raises what says why the data is no payload of this type."""
    bundle = parse(_data(sent))
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "collection":
        raise InvalidValue("an event's data must be a FHIR Bundle of type collection", where="data")
    faults = faults_in(bundle)
    if faults:
        raise wrong(faults[0])
    entries: list[Resource] = bundle.get("entry", [])
    if not entries or any("resource" not in entry for entry in entries):
        raise InvalidValue("every entry must have a resource, and the first must be the focus", where="data.entry")
    focus: Resource = entries[0]["resource"]
    if row.focus not in (focus["resourceType"], "Resource"):
        raise InvalidValue(f"the focus of this type is of type {row.focus}", where="data.entry[0].resource")
    patients = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Patient"]
    if len(patients) != 1:
        raise MissingIdentifier("the one Patient it is about is not among the entries", where="data.entry")
    return _Payload(bundle, focus, patients[0], entries)


def _data(sent: _Sent) -> bytes:
    """The data as JSON. Raises `Unsupported`, `Unreadable`."""
    if sent.data_base64:
        try:
            return base64.b64decode(sent.data_base64, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("this is not base64", where="data_base64") from None
    if not bytes(sent.data):
        raise Unsupported("an event must have data", where="data", cure=f"{_DATA} Send it again with that.")
    return bytes(sent.data)


def _when(sent: _Sent, arrival: Arrival) -> tuple[FhirMoment, tuple[str, ...]]:
    if not sent.time:
        return FhirMoment(arrival.received_at, Precision.SECOND), ("time-of-arrival at time",)
    try:
        if _TIME.fullmatch(sent.time):
            return moment(sent.time), ()
    except ValueError:
        pass
    raise InvalidValue("this is not a time as RFC 3339 writes it", where="time")


def _url(entries: list[Resource], resource: Resource) -> str:
    return next((str(entry.get("fullUrl", "")) for entry in entries if entry["resource"] is resource), "")
