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


def resources_of(bundle: bytes | msgspec.Raw) -> list[bytes]:
    """The resources of a Bundle as JSON, in its order. Raises ``msgspec.ValidationError`` when it is none."""
    return [bytes(part.resource) for part in _BUNDLE.decode(bundle).entry]


def resources_in(event: Event) -> list[bytes]:
    """The resources of the event's Bundle, the focus first."""
    return resources_of(event.data)


_HEAD = b'{"resourceType":"'
"""How resources begin that were built here; one from elsewhere is parsed."""


def kind_of(resource: bytes) -> str:
    """The resource's type."""
    if resource.startswith(_HEAD):
        return resource[len(_HEAD) : resource.index(b'"', len(_HEAD))].decode()
    return _TYPED.decode(resource).kind


def patient_in(event: Event) -> bytes:
    """The Patient as JSON; an empty one of a Bundle that has none."""
    patients = (one for one in resources_in(event) if kind_of(one) == "Patient")
    return next(patients, b'{"resourceType":"Patient"}')
