"""A batch of CloudEvents, sorted by whose they are: each event is judged by itself.

What is of a source that may send over HTTP goes to it, in the order of the batch. What is of nobody who may is kept, under
`UNKNOWN_OVER_HTTP`: a batch is answered once, so that a sender could not tell which part of it to send again. A batch of which
nothing is of anybody is refused as one such event is, and nothing of it is kept.

Source: CloudEvents 1.0.2 JSON Event Format §4: a batch is of events "otherwise unrelated".
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from adapters.intake.receive import Delivery, Intake
from adapters.translator import Item, Rejection
from gateway.settings.shapes import UNKNOWN_OVER_HTTP, SourceSettings
from gateway.settings.values import Door
from schemas.arrival.receipt import Receipt
from schemas.errors import DoorClosed, InvalidRequest, UnknownSender, UnknownSource
from schemas.event import CONTENT_TYPE
from schemas.identifiers import SOURCE_URN
from schemas.source import Source

BATCH_TYPE = "application/cloudevents-batch+json"
NOT_KEPT = "Nothing was kept, because nothing says whose it is: correct it and send it again."
_KEPT = "It is kept: redrive it as the source it is of, once that may send over http."


class _Attributes(msgspec.Struct):
    """What is read here; the translator reads the rest."""

    source: str


_ONE = msgspec.json.Decoder(_Attributes)
_BATCH = msgspec.json.Decoder(list[msgspec.Raw])


class Lot(NamedTuple):
    """What of a batch is of one source, or of none."""

    source: Source
    events: list[bytes]
    positions: list[str]
    """Of each event in the batch as it was sent."""
    why: list[InvalidRequest | UnknownSource]
    """Why each is nobody's; empty in a lot of a source."""


def source_of(event: bytes) -> str:
    """Id of the source that the event names. Raises `InvalidRequest`, `UnknownSource`."""
    try:
        urn = _ONE.decode(event).source
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("this is not JSON, or an event has no source", where="body", cure=NOT_KEPT) from None
    if not urn.startswith(SOURCE_URN):
        raise UnknownSource(where="body, source", cure=f"Set `source` to {SOURCE_URN} followed by the id of a declared source.")
    return urn[len(SOURCE_URN) :]


def sort_out(content: bytes, declared: Callable[[str], SourceSettings]) -> list[Lot]:
    """The lots of a batch, that of nobody last. ``declared`` is as `gateway.uses.services.Services.declared`.

    Raises `InvalidRequest` when it is no batch, or is empty, and what is wrong with its first event when none is of a source.
    """
    lots: dict[str, Lot] = {}
    nobodys = Lot(UNKNOWN_OVER_HTTP, [], [], [])
    for number, event in enumerate(_events(content), 1):
        try:
            source = declared(source_of(event)).source
            lot = lots.setdefault(source.id, Lot(source, [], [], []))
        except (InvalidRequest, UnknownSource) as error:
            lot = nobodys
            lot.why.append(error)
        lot.events.append(event)
        lot.positions.append(f"event {number}")
    if not lots:
        raise nobodys.why[0]
    return [*lots.values(), *([nobodys] if nobodys.events else [])]


async def take_in_lot(intake: Intake, lot: Lot, traceparent: str) -> Receipt:
    """Take in one of several lots, or keep what is nobody's. Raises `LogUnavailable`."""
    content = io.BytesIO(b"[" + b",".join(lot.events) + b"]")
    delivery = Delivery(
        lot.source, Door.HTTP, content, BATCH_TYPE, traceparent=traceparent, positions=_renumbered(lot.positions)
    )
    if lot.source is not UNKNOWN_OVER_HTTP:
        return await intake.receive(delivery)
    return await intake.keep(delivery._replace(media_type=CONTENT_TYPE), _kept(lot))


def _events(content: bytes) -> Sequence[bytes]:
    try:
        found = [bytes(event) for event in _BATCH.decode(content.removeprefix(BOM_UTF8))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("this is not a batch of events in JSON", where="body", cure=NOT_KEPT) from None
    if not found:
        raise InvalidRequest("the batch is empty", where="body", cure="Send at least one event.")
    return found


def _renumbered(positions: Sequence[str]) -> Mapping[str, str]:
    """What the translator calls the events of a lot, to what they are in the batch."""
    return {f"event {number}": position for number, position in enumerate(positions, 1)}


def _kept(lot: Lot) -> Iterator[Item]:
    for event, position, error in zip(lot.events, lot.positions, lot.why, strict=True):
        says = "an event has no source" if not isinstance(error, DoorClosed | UnknownSource) else error.message
        yield Item(position, rejection=Rejection(UnknownSender(says, where="source", cure=_KEPT), event))
