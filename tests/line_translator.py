"""A translator whose format is one word a line, for tests of what uses translators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import InvalidValue, MissingIdentifier
from schemas.event import PAYLOAD_TYPE, SCHEMA_URN, Event, Precision, event_id, instant
from schemas.identifiers import LocalId

SECRET = b"only for tests: 32 bytes or more"


class LineTranslator:
    """``good`` makes an event, ``flagged`` one with a flag, ``blank`` none; ``bad`` is rejected, ``refuse`` refuses the whole.

    ``boom`` raises, as only a faulty translator does; ``mended`` is good from version 2 on.
    """

    def __init__(self, version: str = "lines-1", data: bytes = b'{"resourceType":"Bundle"}') -> None:
        self.version = version
        self._data = data
        self.lines = 0
        """Translated so far."""

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        for number, line in enumerate(content, 1):
            self.lines += 1
            yield self._item(line, f"line {number}", arrival)

    def _item(self, line: bytes, position: str, arrival: Arrival) -> Item:
        word = line.split(b" ")[0].strip()
        if word == b"boom":
            raise ZeroDivisionError("Mrs Canary's translator")
        if word == b"refuse":
            return Item(position, rejection=Rejection(InvalidValue("cut short", where=position), b"", whole=True))
        if word == b"bad" or (word == b"mended" and self.version == "lines-1"):
            return Item(position, rejection=Rejection(MissingIdentifier("no identifier", where=position), line))
        if word == b"blank":
            return Item(position)
        flags = (f"odd at {position}",) if word == b"flagged" else ()
        return Item(position, (self._event(line, arrival),), flags=flags)

    def _event(self, line: bytes, arrival: Arrival) -> Event:
        source, pseudonyms = arrival.source, arrival.pseudonyms
        fact = pseudonyms.fact(source.id, line.decode())
        return Event(
            id=event_id(source.id, fact, "contact-made-1", line, self.version),
            source=source.urn,
            specversion="1.0",
            type="contact-made-1",
            subject=fact,
            time=instant(arrival.received_at),
            recordedtime=instant(arrival.received_at),
            partitionkey=pseudonyms.record(source.id, LocalId(line.decode()[:8])),
            dataschema=SCHEMA_URN + "contact-made-1",
            datacontenttype=PAYLOAD_TYPE,
            data=msgspec.Raw(self._data),
            timeprecision=Precision.SECOND,
            traceparent=arrival.traceparent,
        )

    def fields(self, content: bytes) -> Iterator[Field]:
        return iter(())
