"""Whose record something is: the one rule of all formats.

The source's own identifier names the record. Only where there is none does an NHS number, and then exactly one that passes its
check. Whatever else was sent is refused, because a record of nobody, or of one person out of two, would mislead. What was sent
as an NHS number and cannot be one is flagged, and never names a record.

Source: NHS Data Dictionary, NHS NUMBER; `schemas.identifiers.nhs_number` (Modulus 11).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from adapters.translator import Arrival
from schemas.errors import MissingIdentifier
from schemas.fhir.bundle import Resource
from schemas.identifiers import LocalId, NhsNumber, RecordKey
from schemas.resources.person import local_identifier


class RefusalWords(NamedTuple):
    """How a format says that nothing names the record."""

    where: str
    none: str
    """There is no identifier."""
    several: str
    """There are several NHS numbers, and nothing else."""


class RecordNamed(NamedTuple):
    """The record that something belongs to."""

    key: RecordKey
    own: list[Resource]
    """The source's own identifier as a FHIR Identifier; empty if the NHS number names the record."""
    flags: list[str]
    """One for each NHS number that cannot be one."""


def record_named(
    arrival: Arrival, local: LocalId | None, numbers: Collection[NhsNumber], invalid: Sequence[str], words: RefusalWords
) -> RecordNamed:
    """The record that the identifiers found in ``arrival`` name. Raises `MissingIdentifier` when they name none.

    ``local`` is the source's own identifier, if there is one: which it is, the format decides. ``numbers`` are the different
    valid NHS numbers, and ``invalid`` says where something was sent as an NHS number that cannot be one.
    """
    source, keys = arrival.source, arrival.pseudonyms
    flags = [f"nhs-number-invalid at {where}" for where in invalid] if invalid else []
    if local:
        return RecordNamed(keys.record(source.id, local), [local_identifier(source, local)], flags)
    if len(numbers) == 1:
        return RecordNamed(keys.record_by_number(source.id, next(iter(numbers))), [], flags)
    if invalid and not numbers:
        raise MissingIdentifier.for_wrong_number(words.where)
    raise MissingIdentifier(words.several if numbers else words.none, where=words.where)
