"""A source: one system of one organisation that sends records to the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from schemas.identifiers import SOURCE_URN


class Sector(StrEnum):
    """Which part of health and care a source belongs to."""

    NHS = "nhs"
    COUNCIL = "council"
    VOLUNTARY = "voluntary"
    CARE_PROVIDER = "care-provider"
    HOUSING = "housing"
    FIRE = "fire"
    CARER = "carer"
    """Family and friends."""
    PERSON = "person"
    """The person the record is about."""


class NumbersAre(StrEnum):
    """What a source's NHS numbers are worth when the record itself does not say."""

    TRACED = "traced"
    """Checked against the national register before they are stored: records are linked on them."""
    STATED = "stated"
    """As somebody said or typed them: kept, shown, never linked on."""


class VisitNumbersAre(StrEnum):
    """What a source's visit numbers (PV1-19) name."""

    UNIQUE = "unique"
    """One visit each, whoever's it is, as HL7 v2.4 §3.3.3.19 says."""
    PER_PATIENT = "per-patient"
    """One visit of one patient: another's may have the same number."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One sending system, as declared in the settings."""

    id: str
    """Names the source for ever: part of every key and event id. Lower case, digits and hyphens."""
    name: str
    """What people call it, for example ``Northfield Hospital``: shown on the timeline."""
    sector: Sector
    organisation: str = ""
    """ODS code of the organisation."""
    nhs_numbers: NumbersAre = NumbersAre.TRACED
    """What an NHS number without a verification status means here."""
    visit_numbers: VisitNumbersAre = VisitNumbersAre.UNIQUE
    """What its visit numbers name."""
    places: Mapping[str, str] = {}
    """What people call its codes of wards and sites: ``KM`` is ``Kingsmill Ward``. A code without a name is shown as sent."""

    @property
    def urn(self) -> str:
        """The CloudEvents ``source``, and the FHIR system of this source's local identifiers."""
        return SOURCE_URN + self.id
