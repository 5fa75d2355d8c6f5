"""An event's payload, parsed only as far as needed: often one resource is enough, and parsing is most of the cost."""

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


def resources_of(bundle: bytes | msgspec.Raw) -> list[bytes]:
    """The resources of a Bundle as JSON, in its order. Raises ``msgspec.ValidationError`` when it is not a Bundle."""
    return [bytes(part.resource) for part in _BUNDLE.decode(bundle).entry]


def resources_in(event: Event) -> list[bytes]:
    """The resources of the event's Bundle, the focus first."""
    return resources_of(event.data)


_HEAD = b'{"resourceType":"'
"""How resources built by the backbone begin; any other is parsed."""


def kind_of(resource: bytes) -> str:
    """The type of a resource."""
    if resource.startswith(_HEAD):
        return resource[len(_HEAD) : resource.index(b'"', len(_HEAD))].decode()
    return _TYPED.decode(resource).kind


def patient_in(event: Event) -> bytes:
    """The event's Patient as JSON; an empty one when the Bundle has none."""
    patients = (one for one in resources_in(event) if kind_of(one) == "Patient")
    return next(patients, b'{"resourceType":"Patient"}')
