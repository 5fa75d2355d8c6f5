"""The payloads of a timeline as entries of a searchset: each resource as its event carried it, with references rewritten to
lead to what is served beside it. Pure.

Payloads are stored as `schemas.fhir.bundle.write` writes them, without a space between, and are not parsed and written again,
which took four times as long: what changes in a resource is put between the rest of its bytes.

Source: FHIR R4 Patient ``$everything``, Bundle §2.36.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
import orjson

from schemas.fhir.bundle import FACT_URN, Resource
from schemas.identifiers import SOURCE_URN

EVENT_URN = "urn:care-backbone:event:"
"""Prefix; an event's id and a place in its payload follow. Replaces the sender's own ``fullUrl``."""
_FACT = FACT_URN.encode()
_REFERENCE = b'"reference":"'
"""How a reference begins, and nothing else: in a text quotes are escaped, and no element of FHIR has a quote in its name."""


class _SourceOf(msgspec.Struct, gc=False):
    id: str


class PageEntry(msgspec.Struct, gc=False):
    """What is read of a timeline entry."""

    id: str
    """Of its event."""
    recorded_at: str
    source: _SourceOf


class _Part(msgspec.Struct, gc=False):
    """One entry of a payload."""

    url: msgspec.Raw = msgspec.field(name="fullUrl")
    resource: msgspec.Raw


class _Payload(msgspec.Struct, gc=False):
    entry: list[_Part]


class _Head(msgspec.Struct, gc=False):
    """What is read of a resource."""

    kind: str = msgspec.field(name="resourceType")
    id: str = ""
    meta: dict[str, msgspec.Raw] | None = None


_PAYLOAD = msgspec.json.Decoder(_Payload)
_HEAD = msgspec.json.Decoder(_Head)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Stated(msgspec.Struct, gc=False):
    """A resource of a payload, other than its Patient."""

    mode: bytes
    url: bytes
    """Its address here."""
    head: _Head
    content: bytes


def entries_of(page: Iterable[tuple[PageEntry, str]], patient_url: str, types: Collection[str]) -> list[orjson.Fragment]:
    """The searchset entries of a page, given its entries with their payloads: each payload's focus, then whatever came with it.

    A payload's own Patient is left out, as the person's takes its place. ``types`` are the resource types wanted; all when
    empty.
    """
    found, person = [], orjson.dumps(patient_url)[1:-1]
    for answer, payload in page:
        resources, moved = _parts(answer.id, payload, person)
        meta = f'{{"lastUpdated":"{answer.recorded_at}","source":"{SOURCE_URN}{answer.source.id}"}}'.encode()
        found += [_entry(one, meta, moved) for one in resources if not types or one.head.kind in types]
    return found


def _parts(event: str, payload: str, person: bytes) -> tuple[list[_Stated], dict[bytes, bytes]]:
    """The resources of a payload, and how each is referred to in there → its address here, both as between quotes of JSON.

    A sender may use the same ``fullUrl`` in many payloads with different content, but no two entries of a Bundle may share one
    (invariant bdl-7).
    """
    resources: list[_Stated] = []
    moved: dict[bytes, bytes] = {}
    for place, part in enumerate(_PAYLOAD.decode(payload).entry):
        head, sent = _HEAD.decode(part.resource), bytes(part.url)[1:-1]
        if head.kind == "Patient":
            here = person
        else:
            here = sent if sent.startswith(_FACT) else f"{EVENT_URN}{event}:{place}".encode()
            resources.append(_Stated(b"include" if place else b"match", here, head, bytes(part.resource)))
        moved[sent] = here
        if head.id:
            moved[f"{head.kind}/{head.id}".encode()] = here
    return resources, moved


def _entry(one: _Stated, meta: bytes, moved: Mapping[bytes, bytes]) -> orjson.Fragment:
    """The entry of a resource, with ``meta`` where its own says nothing else, and every reference into the payload replaced.

    A reference with a quote in it, which no URI has (RFC 3986 §2), stays as it is.
    """
    content, more = (one.content, b',"meta":' + meta) if one.head.meta is None else (_with_meta(one, meta), b"")
    before, *references = content[:-1].split(_REFERENCE)
    pieces = [b'{"fullUrl":"', one.url, b'","resource":', before]
    for reference in references:
        sent, quote, rest = reference.partition(b'"')
        pieces += (_REFERENCE, moved.get(sent, sent), quote, rest)
    pieces += (more, b'},"search":{"mode":"', one.mode, b'"}}')
    return orjson.Fragment(b"".join(pieces))


def _with_meta(one: _Stated, meta: bytes) -> bytes:
    members = _as_written(_MEMBERS.decode(one.content))
    return orjson.dumps(members | {"meta": orjson.loads(meta) | _as_written(one.head.meta or {})})


def _as_written(members: Mapping[str, msgspec.Raw]) -> Resource:
    return {name: orjson.Fragment(bytes(value)) for name, value in members.items()}
