"""Identifiers of people, organisations, records and facts: never a bare ``str`` across a boundary.

Source: NHS Data Dictionary, NHS NUMBER and ORGANISATION CODE; https://digital.nhs.uk/services/nhs-number.
"""

from __future__ import annotations

import re
from operator import mul
from typing import NewType

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
"""System of NHS numbers that pass the Modulus 11 check."""
NHS_NUMBER_UNCHECKED = "urn:care-backbone:identifier:nhs-number-unchecked"
"""System of what was sent as an NHS number but cannot be one: kept as sent, flagged, never linked on."""
ODS_ORGANIZATION = "https://fhir.nhs.uk/Id/ods-organization-code"
SOURCE_URN = "urn:care-backbone:source:"
"""Followed by the source's id: the system of that source's local identifiers, and the CloudEvents ``source``."""

RecordKey = NewType("RecordKey", str)
"""Opaque key of one source's record of one person: the partition key. See `schemas.pseudonyms`."""
PersonId = NewType("PersonId", str)
"""Opaque id of a person: a function of the evidence, so that a rebuild in any order gives the same id. See
`schemas.pseudonyms`."""
FactId = NewType("FactId", str)
"""Opaque id of a fact (a visit's discharge, a row): the CloudEvents ``subject``, shared by all versions of the fact."""

_SEPARATORS = str.maketrans("", "", " -")
_WEIGHTS = tuple(range(10, 1, -1))
_ZEROS = ord("0") * sum(_WEIGHTS)
"""By how much the weighted sum of the ASCII codes exceeds that of the digits: summing codes takes a third of the time."""


class NhsNumber(str):
    """Ten ASCII digits with a correct Modulus 11 check digit. Build it with `nhs_number`, which refuses everything else."""

    __slots__ = ()


def nhs_number(text: str) -> NhsNumber | None:
    """The NHS number in ``text`` (spaces and hyphens allowed), or ``None`` if it cannot be one.

    A digit repeated ten times (``9999999999``, zeros) passes the check but is a placeholder and was never issued, so it is
    refused as well.

    Source: NHS Data Dictionary, NHS NUMBER.
    """
    digits = text.translate(_SEPARATORS)
    if len(digits) != 10 or not (digits.isascii() and digits.isdigit()) or len(set(digits)) == 1:
        return None
    total = sum(map(mul, _WEIGHTS, digits.encode())) - _ZEROS
    return NhsNumber(digits) if (11 - total % 11) % 11 == int(digits[9]) else None


class OdsCode(str):
    """An organisation's code in the Organisation Data Service: 3 to 12 letters and digits, upper case."""

    __slots__ = ()


_ODS = re.compile(r"[A-Za-z0-9]{3,12}")


def ods_code(text: str) -> OdsCode | None:
    """The ODS code in ``text``, in upper case whatever was sent, or ``None`` if it cannot be one.

    Source: NHS Data Dictionary, ORGANISATION CODE.
    """
    code = text.strip()
    return OdsCode(code.upper()) if _ODS.fullmatch(code) else None


class LocalId(str):
    """A source's own identifier for a record: hospital number, case number, row id. It means nothing outside that source."""

    __slots__ = ()
