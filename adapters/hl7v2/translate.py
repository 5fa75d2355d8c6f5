"""The translator of HL7 v2: messages in, events out.

Source: HSCIC ITK HL7 V2 Message Specifications 1.0.15; HL7 v2.4 chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from adapters.compose import Origin, compose, content_hash
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.site import Site
from adapters.hl7v2.state import statements
from adapters.hl7v2.text.batch import messages, single
from adapters.hl7v2.text.fields import fields_of
from adapters.hl7v2.text.memory import LONG_BYTES, forget
from adapters.hl7v2.text.message import parse
from adapters.translator import Arrival, Field, Item, Rejection
from schemas.errors import RejectedInput

VERSION = "hl7v2-3"
"""Increased whenever the same message would make a different event: see `adapters.translator.Translator.version`."""


class Hl7v2Translator:
    """Translates the content of every source that sends HL7 v2 (`adapters.translator.Translator`).

    Each message is one item, also in a file of many (`adapters.hl7v2.text.batch`). An incomplete batch is refused.
    """

    version = VERSION

    def __init__(self) -> None:
        self._sites: dict[str, Site] = {}

    def translate(self, content: BinaryIO, arrival: Arrival) -> Iterator[Item]:
        """The items of ``content``, in order. Never raises on input."""
        site = self._site(arrival)
        only = single(content)
        if only:
            yield self._item(only, "message", arrival, site)
            return
        found = messages(content)
        try:
            first = next(found, None)
        except RejectedInput as error:
            yield Item("batch", rejection=Rejection(error, b"", whole=True))
            return
        if first is None:
            return
        second = next(found, None)
        yield self._item(first, "message" if second is None else "message 1", arrival, site)
        if second is None:
            return
        yield self._item(second, "message 2", arrival, site)
        for number, raw in enumerate(found, 3):
            yield self._item(raw, f"message {number}", arrival, site)

    def fields(self, content: bytes) -> Iterator[Field]:
        """The fields and components of the first message; none if it cannot be read."""
        try:
            message = parse(next(messages(BytesIO(content)), b""))
        except RejectedInput:
            return
        yield from fields_of(message)

    def _item(self, raw: bytes, position: str, arrival: Arrival, site: Site) -> Item:
        """The item of one message, which is translated or rejected as a whole."""
        if len(raw) > LONG_BYTES:
            site = Site(site.source, site.pseudonyms)
        try:
            reading = Reading(parse(raw), arrival, site)
            stated = statements(reading)
            origin = Origin(arrival, content_hash(raw), self.version)
            return Item(position, tuple([compose(statement, origin) for statement in stated]), flags=tuple(reading.flags))
        except RejectedInput as error:
            return Item(position, rejection=Rejection(error, raw))
        finally:
            if len(raw) > LONG_BYTES:
                forget()

    def _site(self, arrival: Arrival) -> Site:
        """What the messages of the source share. Made at its first message, and again after its settings change."""
        source, pseudonyms = arrival.source, arrival.pseudonyms
        site = self._sites.get(source.id)
        if site is None or site.pseudonyms is not pseudonyms or (site.source is not source and site.source != source):
            site = self._sites[source.id] = Site(source, pseudonyms)
        return site
