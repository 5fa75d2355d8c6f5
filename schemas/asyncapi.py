"""The vocabulary in machine-readable form: a JSON Schema for each event type, and an AsyncAPI document of the topics they
travel on.

Both are generated from the tables (catalogue, envelope, FHIR schema), so they cannot drift from them.

Source: AsyncAPI 3.0.0, https://www.asyncapi.com/docs/reference/specification/v3.0.0; JSON Schema 2020-12; CloudEvents 1.0.2 §3,
Kafka binding §3.3 (structured mode).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from schemas.arrival.quarantine import KeptPart, Tried
from schemas.arrival.receipt import Receipt
from schemas.catalogue import CATALOGUE, CATALOGUE_VERSION, EventType
from schemas.errors import NotFound
from schemas.event import CONTENT_TYPE, PAYLOAD_TYPE, SCHEMA_URN, Event
from schemas.fhir.check import definitions
from schemas.identifiers import SOURCE_URN
from schemas.log import EVENTS, PARTITIONS, QUARANTINE, RECEIPTS
from schemas.sentence import render

Schema = dict[str, Any]

UNKNOWN_TYPE = "GET /catalogue lists the types of events there are."

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_OPAQUE = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
"""A pseudonym: `schemas.pseudonyms`."""
_INSTANT = {"type": "string", "format": "date-time", "pattern": "Z$"}

_ATTRIBUTES: Mapping[str, Schema] = {
    "id": {"type": "string", "format": "uuid", "description": "The same for the same content from the same source."},
    "source": {"type": "string", "pattern": f"^{SOURCE_URN}", "description": "Who states it."},
    "subject": _OPAQUE | {"description": "The fact: all its versions share it."},
    "time": _INSTANT | {"description": "When it happened; how exactly that is known says timeprecision."},
    "recordedtime": _INSTANT | {"description": "When the backbone learned it."},
    "partitionkey": _OPAQUE | {"description": "The source's record of the person: order holds within it."},
    "datacontenttype": {"const": PAYLOAD_TYPE},
    "dataclassification": {"description": "Confidentiality of HL7 v3; absent (in events of old): N."},
    "timeprecision": {"description": "How exactly time is known; absent: second."},
    "sequence": {"description": "Order among the versions of the fact, compared as text; absent: by time."},
    "correlationid": _OPAQUE | {"description": "What belongs together at the source: a visit, a referral thread."},
    "traceparent": {"description": "W3C Trace Context."},
}
"""What the types in `schemas.event.Event` leave unsaid about its attributes."""


def event_schema(type_name: str) -> Schema:
    """The JSON Schema of one type of event, with every definition it refers to.

    Raises `NotFound` when the catalogue has no such type.
    """
    row = CATALOGUE.get(type_name)
    if row is None:
        raise NotFound("the catalogue has no event type of this name", where="path, type", cure=UNKNOWN_TYPE)
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_URN + row.name,
        "title": row.name,
        "description": _sentence(row),
        **_envelope(row),
        "$defs": {"Payload": _payload(row), **definitions()},
    }


def _envelope(row: EventType) -> Schema:
    """Names, required attributes and enumerations come from the struct itself. Further extension attributes are allowed."""
    drawn = msgspec.json.schema(Event)["$defs"]
    struct: Schema = drawn["Event"]
    fixed = {"type": {"const": row.name}, "dataschema": {"const": SCHEMA_URN + row.name}, "data": {"$ref": "#/$defs/Payload"}}
    properties = {name: _resolved(plain, drawn) | _ATTRIBUTES.get(name, {}) for name, plain in struct["properties"].items()}
    return {
        "type": "object",
        "required": struct["required"],
        "properties": properties | fixed,
        "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
    }


def _resolved(schema: Schema, drawn: Mapping[str, Schema]) -> Schema:
    """``schema`` with enumerations written in place: the names of our own classes mean nothing outside."""
    if "$ref" in schema:
        return {name: value for name, value in drawn[schema["$ref"].rsplit("/", 1)[1]].items() if name == "enum"}
    return {name: value for name, value in schema.items() if name != "default"}


def _payload(row: EventType) -> Schema:
    """A Bundle whose first entry is the focus and which contains the Patient."""
    focus = {} if row.focus == "Resource" else {"resourceType": {"const": row.focus}}
    first = {"required": ["fullUrl", "resource"], "properties": {"resource": {"properties": focus}}}
    patient = {"required": ["resource"], "properties": {"resource": {"properties": {"resourceType": {"const": "Patient"}}}}}
    return {
        "$ref": "#/$defs/Bundle",
        "required": ["entry"],
        "properties": {"type": {"const": "collection"}, "entry": {"prefixItems": [first], "contains": patient, "minItems": 1}},
    }


def _sentence(row: EventType) -> str:
    """The type's sentence when nothing more is known than that some source stated it."""
    return render(row.title, {"source": "the source"})


def asyncapi() -> Schema:
    """The AsyncAPI 3.0 document: the topics, the messages on each, and that the backbone is their sender."""
    events = {name: _event_message(row) for name, row in CATALOGUE.items()}
    accounts = {name: _account_message(name, title) for name, (_, title) in _ACCOUNTS.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Care Backbone",
            "version": f"{CATALOGUE_VERSION}.0.0",
            "description": "Health and care records of many systems as one stream of events. Every event is a CloudEvent "
            "whose data is a FHIR R4 Bundle; the type's major version rises when it changes incompatibly.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": _channel(EVENTS, "All events; order holds within a record.", events),
            "receipts": _channel(RECEIPTS, "What arrived, and what became of it; order holds within a source.", ["Receipt"]),
            "quarantine": _channel(QUARANTINE, "What was rejected, whole, and what became of it later.", ["KeptPart", "Tried"]),
        },
        "operations": {
            name: {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}
            for name, (channel, summary) in _OPERATIONS.items()
        },
        "components": {"messages": events | accounts, "schemas": _account_schemas()},
    }


_OPERATIONS = {
    "tellEvents": ("events", "Tell what sources stated."),
    "accountForArrivals": ("receipts", "Account for everything that arrived."),
    "keepRejected": ("quarantine", "Keep what could not be translated."),
}
_ACCOUNTS: Mapping[str, tuple[type, str]] = {
    "Receipt": (Receipt, "The account of one arrival"),
    "KeptPart": (KeptPart, "One part of a rejected item"),
    "Tried": (Tried, "The outcome of sending a kept item through again"),
}


def _channel(topic: str, description: str, messages: Iterable[str]) -> Schema:
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "partitions": PARTITIONS}},
    }


def _event_message(row: EventType) -> Schema:
    return {
        "name": row.name,
        "title": _sentence(row),
        "summary": f"{row.focus} · {row.kind} · {row.character} · {row.movement} · at least {row.sensitivity}",
        "tags": [{"name": tag} for tag in dict.fromkeys((row.kind.value, row.character.value))],
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": {"content-type": {"const": CONTENT_TYPE}}},
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"schemas/{row.name}.json"}},
        "bindings": {"kafka": {"key": _OPAQUE}},
    }


def _account_message(name: str, title: str) -> Schema:
    return {
        "name": name,
        "title": title,
        "contentType": "application/json",
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"#/components/schemas/{name}"}},
    }


def _account_schemas() -> Schema:
    classes = [account for account, _ in _ACCOUNTS.values()]
    return msgspec.json.schema_components(classes, ref_template="#/components/schemas/{name}")[1]
