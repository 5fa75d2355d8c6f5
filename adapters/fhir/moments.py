"""Converts FHIR dates and times into instants with a precision.

A date without a time is its first instant in Europe/London, where the people are. A leap second counts as the second before it.

Source: FHIR R4 datatypes, date, dateTime, instant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.errors import InvalidValue
from schemas.event import Precision
from schemas.fhir.bundle import Resource

LONDON = ZoneInfo("Europe/London")
_PRECISIONS = {4: Precision.YEAR, 7: Precision.MONTH, 10: Precision.DAY}
"""Length of the text to precision; longer texts always have seconds."""
_FRACTION = re.compile(r"\.([0-9]{1,6})[0-9]*")


class FhirMoment(NamedTuple):
    """One time as sent."""

    at: datetime
    """In UTC."""
    precision: Precision


def moment(text: str) -> FhirMoment:
    """The moment of ``text``, which must be a valid ``date``, ``dateTime`` or ``instant``.

    Raises `InvalidValue` when it is outside the years 1 to 9999 in UTC.
    """
    precision = _PRECISIONS.get(len(text), Precision.SECOND)
    try:
        local = _instant(text) if precision is Precision.SECOND else _first_instant(text)
        return FhirMoment(local.astimezone(UTC), precision)
    except OverflowError:
        raise InvalidValue("the time is outside the years 1 to 9999 in UTC") from None


def _first_instant(text: str) -> datetime:
    year, month, day = (*(int(part) for part in text.split("-")), 1, 1)[:3]
    return datetime(year, month, day, tzinfo=LONDON)


def _instant(text: str) -> datetime:
    """The instant of ``text``; the fraction is cut to the six digits that Python can hold."""
    seconds, rest = text[17:19], text[19:]
    fraction = _FRACTION.match(rest)
    zone = rest[fraction.end() :] if fraction else rest
    digits = fraction[1].ljust(6, "0") if fraction else "000000"
    return datetime.fromisoformat(f"{text[:17]}{min(int(seconds), 59):02}.{digits}{zone}")


_DAY_OF_DEATH = "deceasedDateTime"
_MIDNIGHT = re.compile(r"T00:00:00(?:\.0+)?(?:Z|[+-][0-9:]{5})")


def _without_midnight(path: str, text: str) -> str:
    """The date without the time, if it is a death at midnight: so the Personal Demographics Service writes a day of death."""
    return text[:10] if path == _DAY_OF_DEATH and _MIDNIGHT.fullmatch(text[10:]) else text


def first_moment(resource: Resource, elements: Iterable[str]) -> FhirMoment | None:
    """The first of ``elements`` (paths such as ``period.start``) that the resource has; of a list, its first member is used."""
    for path in elements:
        found = at_path(resource, path)
        if isinstance(found, str):
            return moment(_without_midnight(path, found))
    return None


def at_path(resource: Resource, path: str) -> Any:
    """The value at ``path``, going into the first member of lists; ``None`` if there is none."""
    found: Any = resource
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, list):
            found = found[0]
    return found
