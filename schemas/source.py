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
    """How far a source's NHS numbers can be trusted when the record itself does not say."""

    TRACED = "traced"
    """Checked against the national register before being stored: records are linked on them."""
    STATED = "stated"
    """As somebody said or typed them: kept and shown, never linked on."""


TRACING = frozenset({Sector.NHS, Sector.COUNCIL})
"""Sectors whose systems trace NHS numbers as a matter of course: hospitals by the Personal Demographics Service, councils for
their Client Level Data. Whoever declares any other source is asked to say it (docs/decisions/0004)."""


class VisitNumbersAre(StrEnum):
    """What one of a source's visit numbers (PV1-19) identifies."""

    UNIQUE = "unique"
    """One visit, whoever the patient is, as HL7 v2.4 §3.3.3.19 says."""
    PER_PATIENT = "per-patient"
    """One visit of one patient: another patient's visit may have the same number."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One sending system, as declared in the settings."""

    id: str
    """Names the source for ever, as part of every key and event id. Lower-case letters, digits and hyphens."""
    name: str
    """What people call it, for example ``Northfield Hospital``: shown on the timeline."""
    sector: Sector
    organisation: str = ""
    """ODS code of the organisation."""
    nhs_numbers: NumbersAre = NumbersAre.TRACED
    """How far to trust an NHS number without a verification status."""
    visit_numbers: VisitNumbersAre = VisitNumbersAre.UNIQUE
    """What its visit numbers identify."""
    places: Mapping[str, str] = {}
    """Names for its codes of wards and sites: ``KM`` is ``Kingsmill Ward``. A code without a name is shown as sent."""

    @property
    def urn(self) -> str:
        """The CloudEvents ``source``, and the FHIR system of this source's local identifiers."""
        return SOURCE_URN + self.id
