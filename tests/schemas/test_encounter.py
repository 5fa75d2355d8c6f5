"""What is said of a stay."""

from __future__ import annotations

from schemas.fhir.check import is_valid
from schemas.identifiers import OdsCode
from schemas.resources.encounter import service_provider
from schemas.source import Sector, Source


def test_whose_stay_it_is_needs_no_second_look_at_its_code() -> None:
    source = Source(id="s", name="Northfield Hospital", sector=Sector.NHS, organisation=OdsCode("RX1"))
    provider = service_provider(source)
    assert provider["identifier"]["value"] == "RX1"
    stay = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "#p"},
        "serviceProvider": provider,
    }
    assert is_valid(stay)
