"""The shapes in which the timeline is served. Entries are stored as JSON ready to serve; these classes say what is in them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.identifiers import PersonId


class Status(StrEnum):
    """Whether an entry still holds."""

    CURRENT = "current"
    WITHDRAWN = "withdrawn"
    """Cancelled, or entered in error: shown only with ``include=withdrawn``."""


class EntrySource(msgspec.Struct, frozen=True):
    """Who stated it."""

    id: str
    name: str
    sector: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: the newest version of one fact."""

    id: str
    """Id of the event that made this version."""
    type: str
    kind: str
    character: str
    occurred_at: str
    """``2026-02-03`` when only the day is known, else RFC 3339 in UTC."""
    precision: str
    """``year``, ``month``, ``day``, ``minute`` or ``second``."""
    recorded_at: str
    """RFC 3339 in UTC."""
    title: str
    """One plain sentence."""
    status: Status
    source: EntrySource
    record: str
    """Key of the source record it belongs to."""
    version: int
    """Counts the versions of the fact from 1, in the source's order."""
    replaces: str | None
    """Id of the previous version."""
    correlation: str | None
    """Joins what belongs together at the source: a visit, a referral thread."""


LIMIT = 50
"""Entries on a page unless asked."""
LIMIT_MOST = 500
"""Most entries on a page: about 200 KB of JSON."""


class Order(StrEnum):
    """Direction of a page."""

    NEWEST = "newest"
    OLDEST = "oldest"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a person's timeline."""

    person: PersonId
    since: datetime | None = None
    """Aware; only entries that happened at or after it."""
    until: datetime | None = None
    """Aware; only entries that happened before it."""
    kinds: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    as_of: datetime | None = None
    """Aware; the timeline as it was known then."""
    order: Order = Order.NEWEST
    limit: int = LIMIT
    after: str | None = None
    """Cursor from the page before."""
    resources: bool = False
    """Include each entry's FHIR Bundle."""
    withdrawn: bool = False
    """Include entries that were withdrawn."""
