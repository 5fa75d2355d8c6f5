"""Makes an event from a statement: the step that all formats share.

A translator derives a `Statement` from its input. Here the statement gets its id, is checked against FHIR R4, and is put into
the CloudEvents envelope.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

import msgspec
import orjson

from adapters.translator import Arrival, as_read
from schemas.catalogue import EventType
from schemas.errors import InvalidValue
from schemas.event import PAYLOAD_TYPE, SCHEMA_URN, Event, Precision, Sensitivity, event_id, instant, stricter
from schemas.fhir.bundle import Resource, Written, collection, write
from schemas.fhir.check import faults_in, is_valid
from schemas.fhir.proven import Proven
from schemas.identifiers import FactId, RecordKey


class Statement(NamedTuple):
    """One fact as a source stated it."""

    type: EventType
    record: RecordKey
    natural_key: tuple[str, ...]
    """Identifies the fact at the source, for example the visit and the kind of movement. Different content under the same key
    is another version."""
    happened_at: datetime
    """Aware. A day is represented by its first instant in Europe/London."""
    focus: Resource
    patient: Resource
    others: tuple[Resource, ...] = ()
    precision: Precision = Precision.SECOND
    sequence: str = ""
    """Sort key of the versions of the fact, compared as text (`schemas.event.Event.sequence`)."""
    thread: str = ""
    """The source's id for what belongs together: visit number, referral id. Hashed here."""
    sensitivity: Sensitivity = Sensitivity.NORMAL
    urls: tuple[str, ...] = ()
    """The ``fullUrl`` of the entries as received (`schemas.fhir.bundle.collection`)."""
    known_focus: Proven | None = None
    known_patient: Proven | None = None
    """Proofs that parts of the focus and of the Patient are valid, so that those need not be checked again."""


class Origin(NamedTuple):
    """What the events of one item have in common."""

    arrival: Arrival
    content_hash: bytes
    """SHA-256 of the item's content (`content_hash`)."""
    version: str
    """Version of the translation: `adapters.translator.Translator.version`."""


_SHA_256 = hashlib.sha256()
"""An empty hash. Copying it takes a fifth of the time of making a new one, for which OpenSSL looks up the name."""


def content_hash(content: bytes) -> bytes:
    """SHA-256 of one item as received: the message or row, not the file it came in."""
    hashed = _SHA_256.copy()
    hashed.update(content)
    return hashed.digest()


def compose(statement: Statement, origin: Origin) -> Event:
    """The event that states ``statement``.

    The same statement from the same content gives the same id. The classification is the stricter of the type's and the
    statement's own.

    Raises `InvalidValue` when the payload is not valid FHIR R4 or is nested too deeply to be written, or when the time is
    outside the years 1 to 9999. The message names the element, never its content.
    """
    row, arrival = statement.type, origin.arrival
    source, pseudonyms = arrival.source, arrival.pseudonyms
    fact = pseudonyms.fact(source.id, *statement.natural_key)
    return Event(
        id=event_id(source.id, fact, row.name, origin.content_hash, as_read(origin.version, source)),
        source=source.urn,
        specversion="1.0",
        type=row.name,
        subject=fact,
        time=_time(statement.happened_at),
        recordedtime=instant(arrival.received_at),
        partitionkey=statement.record,
        dataschema=SCHEMA_URN + row.name,
        datacontenttype=PAYLOAD_TYPE,
        data=msgspec.Raw(_payload(statement, fact)),
        dataclassification=stricter(row.sensitivity, statement.sensitivity),
        timeprecision=statement.precision,
        sequence=statement.sequence,
        correlationid=pseudonyms.conversation(source.id, statement.thread) if statement.thread else "",
        traceparent=arrival.traceparent,
    )


def _payload(statement: Statement, fact: FactId) -> bytes:
    """The Bundle as JSON. A Bundle of valid resources is valid by construction, except for received URLs."""
    focus = _checked(statement.focus, statement.known_focus)
    patient = focus if statement.focus is statement.patient else _checked(statement.patient, statement.known_patient)
    if focus is None or patient is None or statement.urls or not all(map(is_valid, statement.others)):
        return _written(_sound(statement, fact))
    return _written(collection(focus, fact, patient, statement.record, statement.others))


def _checked(resource: Resource, known: Proven | None) -> Written | None:
    """``resource``, ready to be written; ``None`` if it is not valid."""
    if known is None:
        return resource if is_valid(resource) else None
    rest, shown = known.split(resource)
    return shown if not rest or is_valid(rest) else None


def _sound(statement: Statement, fact: FactId) -> Resource:
    """The Bundle, checked as a whole. Raises `InvalidValue` that names its first fault."""
    bundle = collection(statement.focus, fact, statement.patient, statement.record, statement.others, statement.urls)
    faults = faults_in(bundle)
    if faults:
        raise InvalidValue(f"the payload would not be valid FHIR R4: it {faults[0].reason}", where=faults[0].element)
    return bundle


def _written(bundle: Resource) -> bytes:
    try:
        return write(bundle)
    except orjson.JSONEncodeError as error:
        raise InvalidValue("the payload is nested more than 250 deep or holds a number of more than 64 bits") from error


def _time(moment: datetime) -> str:
    try:
        return instant(moment)
    except OverflowError as error:
        raise InvalidValue("the time is outside the years 1 to 9999 in UTC") from error
