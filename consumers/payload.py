"""An event's payload, parsed no further than is needed: of a Bundle often one resource is, and most of the time is parsing."""

from __future__ import annotations

import msgspec

from schemas.event import Event


class _Part(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Part]


class _Typed(msgspec.Struct):
    kind: str = msgspec.field(name="resourceType")


_BUNDLE = msgspec.json.Decoder(_Bundle)
_TYPED = msgspec.json.Decoder(_Typed)


def resources_in(event: Event) -> list[bytes]:
    """The resources of the Bundle as JSON, the focus first. Raises ``msgspec.ValidationError`` when it is no Bundle."""
    return [bytes(part.resource) for part in _BUNDLE.decode(event.data).entry]


def patient_in(event: Event) -> bytes:
    """The Patient as JSON; an empty one of a Bundle that has none."""
    for resource in resources_in(event):
        if _TYPED.decode(resource).kind == "Patient":
            return resource
    return b'{"resourceType":"Patient"}'
