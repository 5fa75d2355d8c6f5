"""A timeline page as it is served, whoever asks: the gateway's path and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.identifiers import PersonId

if TYPE_CHECKING:
    from consumers.timeline.query import Page
    from gateway.watching.freshness import Snapshot


def joined(person: PersonId, page: Page, snapshot: Snapshot) -> bytes:
    """The page as JSON, joined from parts that are JSON already; a person's id has no character that JSON escapes."""
    return b'{"person":"%b","entries":%b,"next":%b,"missing":%b,"behind":%b}' % (
        person.encode(),
        page.entries_json,
        msgspec.json.encode(page.next),
        snapshot.missing(page.sources),
        snapshot.behind,
    )
